"""Extensions: where hosts come from."""
