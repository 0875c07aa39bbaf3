"""HTTP/2: sans-IO session, and the server and client that drive it."""
