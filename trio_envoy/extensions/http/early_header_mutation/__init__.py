"""Extensions: what changes a request before anything looks at it."""
