"""Floor 0: small mechanisms that know nothing of proxies."""
