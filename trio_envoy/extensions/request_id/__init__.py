"""Extensions: what makes the ids of requests."""
