"""Extensions: how a host is chosen."""
