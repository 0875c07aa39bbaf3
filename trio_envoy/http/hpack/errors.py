"""What can be wrong with a header block."""

from __future__ import annotations


class HpackError(Exception):
    """The block breaks RFC 7541: the two ends are out of step and the connection is over (COMPRESSION_ERROR)."""


class Oversized(Exception):
    """The block holds more than the limits; the table is in step, so that the connection can live on.

    Attributes:
        fields: how many there were when it passed the first limit.
        size: bytes of them, by the count of the decoder.
    """

    def __init__(self, fields: int, size: int) -> None:
        super().__init__(f"{fields} header fields of {size} bytes are too many")
        self.fields = fields
        self.size = size
