"""--concurrency N: a main process, and N workers that serve. docs/architecture.md draws it; see fleet.py."""
