"""Floor 9: leaves; the module path is the type URL. No extension imports another."""
