"""HTTP/2: a sans-IO session (frames, windows, streams), and the server and client connections that drive it."""
