"""Floor 5: compiled matchers of strings, headers and the like."""
