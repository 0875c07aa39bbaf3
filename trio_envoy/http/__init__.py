"""Floor 5: messages, bodies and codecs; no routes, no clusters."""
