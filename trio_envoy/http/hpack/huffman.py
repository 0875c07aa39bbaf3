"""The Huffman code of HPACK.

The code is canonical: codes of one length follow each other in the order of their symbols, so that the lengths say all.

Decoding takes a byte at a time. A row stands for the bits that are left of the bytes before; it gives, for the next
byte, the symbols that are complete now and the row that goes on. There are 256 rows of 256 entries, each worked out
when it is first needed: what is kept depends on the bits alone, not on who sent them, and ends at 65,536 entries (about
9 MiB, if somebody sends each of them; text needs a few hundred).
Source: RFC 7541 s5.2, appendix B.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.hpack.errors import HpackError

_EOS: Final = 256
_BITS_OF_LENGTH: Final = {  # length: its symbols, in order; all others have 20 to 30 bits
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5"
    b"\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
    b"\xdc\xf9",
    30: b"\n\r\x16",  # and the end of string
}
_PADDING_BITS: Final = 7  # at most


def _codes() -> list[str]:
    """The bits of each symbol as text; the last is the end of string."""
    codes = [""] * (_EOS + 1)
    code = length = 0
    for bits, symbols in _BITS_OF_LENGTH.items():
        code <<= bits - length
        length = bits
        for symbol in (*symbols, _EOS) if bits == max(_BITS_OF_LENGTH) else symbols:
            codes[symbol] = format(code, f"0{bits}b")
            code += 1
    return codes


_CODES: Final = _codes()
_SYMBOLS: Final = {bits: symbol for symbol, bits in enumerate(_CODES)}


class _Row(dict[int, tuple["_Row", bytes]]):
    """Where a byte leads to, behind some bits that are no whole code: (the row after it, the symbols it completes).

    Attributes:
        bits: what is left of the bytes before.
        may_end: these bits are padding.
    """

    __slots__ = ("bits", "may_end")

    def __init__(self, bits: str) -> None:
        super().__init__()
        self.bits = bits
        self.may_end = len(bits) <= _PADDING_BITS and "0" not in bits

    def __missing__(self, byte: int) -> tuple[_Row, bytes]:
        bits = self.bits + format(byte, "08b")
        symbols = bytearray()
        begin = 0
        for end in range(len(self.bits) + 1, len(bits) + 1):
            symbol = _SYMBOLS.get(bits[begin:end])
            if symbol == _EOS:
                raise HpackError("a Huffman string holds the end of string")
            if symbol is not None:
                symbols.append(symbol)
                begin = end
        rest = bits[begin:]
        following = _ROWS.get(rest)
        if following is None:
            following = _ROWS[rest] = _Row(rest)
        result = self[byte] = following, bytes(symbols)
        return result


_START: Final = _Row("")
_ROWS: Final = {"": _START}  # by bits


def decode(data: bytes) -> bytes:
    """The text of these bytes.

    Raises:
        HpackError: they hold the end of string, or end with something else than padding.
    """
    row = _START
    pieces: list[bytes] = []
    append = pieces.append
    for byte in data:
        row, symbols = row[byte]
        append(symbols)
    if not row.may_end:
        raise HpackError("a Huffman string does not end with its padding")
    return b"".join(pieces)


def encode(text: bytes) -> bytes:
    """The bytes of this text."""
    bits = "".join(map(_CODES.__getitem__, text))
    size = (len(bits) + 7) // 8
    return int(bits.ljust(size * 8, "1"), 2).to_bytes(size, "big") if bits else b""
