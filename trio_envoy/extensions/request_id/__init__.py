"""Extensions: what x-request-id is."""
