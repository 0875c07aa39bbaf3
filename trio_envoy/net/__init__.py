"""Floor 4: sockets, TLS, addresses, filter interfaces, what is known about a stream."""
