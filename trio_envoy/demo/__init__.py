"""`make run`: the tutorial's front proxy with two services, as processes on loopback instead of containers."""
