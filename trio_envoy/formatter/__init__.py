"""Floor 6: compiled command operators (%REQ(X)%), for logs and header values."""
