"""HPACK of the `hpack` package, which remembers what it did last, and with a table that no peer makes large.

A peer asks for much the same again and again, and is answered much the same. While a compression table stays as it is,
the same fields are the same bytes: they are looked up instead of being worked through. Whatever changes the table
makes all that forgotten.
Source: RFC 7541; nghttp2 bounds its encoder's table in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

import hpack
from hpack.table import HeaderTable

TABLE_BYTES: Final = 4096  # of the encoder's table at most, whatever the peer allows: each field looks through it
_REMEMBERED: Final = 64  # blocks
_LONG: Final = 1024  # bytes; a longer block is not remembered
_RESIZE: Final = 0x20  # first byte & 0xe0: the block changes the size of the table

Field = tuple[bytes, bytes]
K = TypeVar("K")
V = TypeVar("V")


class _Table(HeaderTable):
    """A compression table that counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class Encoder(hpack.Encoder):
    """Fields to bytes; see hpack.Encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table = self._table = _Table()
        self._blocks: dict[tuple[Field, ...], bytes] = {}

    @property
    def header_table_size(self) -> int:
        """Bytes of the table."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        value = min(value, TABLE_BYTES)
        if value != self.header_table.maxsize:  # the package forgets a change if the same is said twice
            self._blocks.clear()
            self.header_table.maxsize = value
            self.table_size_changes.append(value)

    # the package takes more forms of fields than are ever given here
    def encode(self, headers: Iterable[Field], huffman: bool = True) -> bytes:  # type: ignore[override]
        """The block of these fields, each of which is always or never hpack.NeverIndexedHeaderTuple."""
        table = self._table
        if table.resized:
            return super().encode(headers, huffman)
        fields = tuple(headers)
        block = self._blocks.get(fields)
        if block is None:
            changes = table.changes
            block = super().encode(fields, huffman)
            _remember(self._blocks, fields, block, len(block), changed=table.changes != changes)
        return block


class Decoder(hpack.Decoder):
    """Bytes to fields; see hpack.Decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table = self._table = _Table()
        self._fields: dict[bytes, Iterable[hpack.HeaderTuple]] = {}

    def decode(self, data: bytes, raw: bool = False) -> Iterable[hpack.HeaderTuple]:
        """The fields of this block."""
        fields = self._fields.get(data)
        if fields is None:
            table = self._table
            changes = table.changes
            fields = super().decode(data, raw)
            if data[:1] and data[0] & 0xE0 == _RESIZE:
                self._fields.clear()
            else:
                _remember(self._fields, data, fields, len(data), changed=table.changes != changes)
        return fields


def _remember(cache: dict[K, V], key: K, value: V, size: int, *, changed: bool) -> None:
    if changed or len(cache) >= _REMEMBERED:
        cache.clear()
    if not changed and size <= _LONG:
        cache[key] = value
