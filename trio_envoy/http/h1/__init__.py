"""HTTP/1.1: sans-IO parser and writer, and the server and client that drive them."""
