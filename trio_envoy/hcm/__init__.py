"""Floor 7: the HTTP connection manager: edge rules, filter chain, completion."""
