"""Floor 10: builds and runs the tree."""
