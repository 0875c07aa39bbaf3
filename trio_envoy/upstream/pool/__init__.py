"""Connection pools, one module per protocol."""
