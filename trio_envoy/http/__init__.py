"""Floor 4: messages, bodies and codecs; no routes, no clusters."""
