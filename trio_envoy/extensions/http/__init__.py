"""Extensions: what looks at HTTP beside the filters."""
