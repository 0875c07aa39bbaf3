"""Floor 6: compiled route tables; clusters are named by string."""
