"""HTTP/1.1: sans-IO head parser, body framing and writer; the server and client connections that drive them."""
