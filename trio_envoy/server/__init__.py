"""Floor 9: builds and runs the tree."""
