"""Floor 7: access-log entries: a filter, a format and a sink."""
