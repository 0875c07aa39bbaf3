"""Floor 7: compiled route tables; clusters are named by string."""
