"""Floor 8: the HTTP connection manager: edge rules, filter chain, completion."""
