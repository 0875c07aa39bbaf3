"""Whole numbers that begin in the low bits of a byte.

Source: RFC 7541 s5.1.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.hpack.errors import HpackError

_BYTES: Final = [bytes((byte,)) for byte in range(256)]
_BITS: Final = 32  # of the largest number that is taken, as nghttp2


def encode(value: int, largest: int, pattern: int) -> bytes:
    """A number.

    Args:
        value: the number.
        largest: what the low bits of the first byte can hold, all ones.
        pattern: the other bits of the first byte.
    """
    if value < largest:
        return _BYTES[pattern | value]
    value -= largest
    data = bytearray((pattern | largest,))
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def decode_rest(block: bytes, position: int, largest: int) -> tuple[int, int]:
    """(the number, the position after it), where the first byte, the one before `position`, was all ones.

    Raises:
        HpackError: it has more than 32 bits.
        IndexError: the block ends within it.
    """
    value = largest
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if value >> _BITS or shift >= _BITS:
            raise HpackError("a number is too large")
        if byte < 0x80:
            return value, position
        shift += 7
