"""Access loggers: where entries of access logs go."""
