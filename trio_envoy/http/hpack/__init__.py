"""HPACK, sans-IO: header fields to the bytes of a header block and back (RFC 7541)."""
