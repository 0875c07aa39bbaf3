"""Floor 1: the shape of Envoy's messages; no behaviour."""
