"""Floor 6: compiled matchers of strings, headers and the like."""
