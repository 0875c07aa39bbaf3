"""Extensions: what changes the headers of a request before anything looks at them."""
