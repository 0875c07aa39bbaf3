"""Extensions: how a host is probed."""
