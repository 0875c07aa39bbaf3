"""Extensions: where the address of the client stands."""
