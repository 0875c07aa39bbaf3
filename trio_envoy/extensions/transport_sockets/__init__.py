"""Extensions: the module path is the type URL."""
