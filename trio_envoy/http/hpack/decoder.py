"""Header blocks to fields.

What comes is checked to the letter and bounded: the number and the size of the fields, the numbers, the strings, the
table. The fields of a block over the limits are thrown away, but the block is read to its end, since what it does to
the table holds for the blocks after it.

A block that changes nothing in the table means the same until the next change. Clients ask for much the same again and
again, so a few short blocks are remembered with their fields. What that holds is bounded for each connection by
_MEMO_BLOCKS and _MEMO_BYTES, and no connection learns anything of another.
Source: RFC 7541.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.hpack import huffman, integer, static
from trio_envoy.http.hpack.errors import HpackError, Oversized
from trio_envoy.http.hpack.static import Field
from trio_envoy.http.hpack.table import DEFAULT_SIZE, OVERHEAD, Table

DEFAULT_MAX_BYTES: Final = 60 * 1024
DEFAULT_MAX_FIELDS: Final = 100
DEFAULT_HARD_BYTES: Final = 8 * DEFAULT_MAX_BYTES

_INDEXED: Final = 0x80  # from here on a byte is an index
_ADDED: Final = 0x40  # from here on a literal that goes into the table
_RESIZED: Final = 0x20  # from here on a size of the table
_INDEX_BITS: Final = 0x7F
_ADDED_BITS: Final = 0x3F
_RESIZED_BITS: Final = 0x1F
_LITERAL_BITS: Final = 0x0F  # of a literal that does not go into the table
_HUFFMAN: Final = 0x80
_LENGTH_BITS: Final = 0x7F
_FIRST_DYNAMIC: Final = static.COUNT + 1
_OF_BYTE: Final = [None] * (_INDEXED + 1) + [*static.FIELDS] + [None] * (0xFF - _INDEXED - static.COUNT)  # whole fields
_STRING_BYTES: Final = 65536  # of one name or value on the wire, as nghttp2
_MEMO_BLOCKS: Final = 16
_MEMO_BYTES: Final = 256  # of a block


class Decoder:
    """What one end of a connection knows of the other's encoder.

    Attributes:
        max_bytes: of all fields of a block; each counts its name, its value and the overhead.
        max_fields: of a block.
        hard_bytes: from here on the connection is over, not the message alone.
        size: of the fields of the last block, by the same count.
    """

    __slots__ = ("_allowed", "_due", "_memo", "_overhead", "_table", "hard_bytes", "max_bytes", "max_fields", "size")

    def __init__(
        self,
        table_size: int = DEFAULT_SIZE,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_fields: int = DEFAULT_MAX_FIELDS,
        hard_bytes: int = DEFAULT_HARD_BYTES,
        *,
        overhead: int = OVERHEAD,
    ) -> None:
        """Begin with an empty table.

        Args:
            table_size: of the table, until the peer makes it another; of HTTP/2 it is the default.
            max_bytes: see the class.
            max_fields: see the class.
            hard_bytes: see the class.
            overhead: bytes that a field counts beside its name and value: RFC 7541 counts 32, Envoy's limits none.
        """
        self.max_bytes = max_bytes
        self.max_fields = max_fields
        self.hard_bytes = hard_bytes
        self.size = 0
        self._overhead = overhead
        self._table = Table(table_size)
        self._allowed = table_size
        self._due: int | None = None  # the next block begins with a size of the table, and no larger one
        self._memo: dict[bytes, tuple[list[Field], int]] = {}

    @property
    def allowed_table_size(self) -> int:
        """How large the peer may make the table: what our settings say, once the peer has taken them."""
        return self._allowed

    @allowed_table_size.setter
    def allowed_table_size(self, size: int) -> None:
        self._allowed = size
        if size < (self._table.limit if self._due is None else self._due):
            self._due = size  # RFC 7541 s4.2

    @property
    def table_bytes(self) -> int:
        """How large the table is now, as RFC 7541 counts."""
        return self._table.size

    def decode(self, block: bytes) -> list[Field]:
        """The fields of a whole header block.

        Raises:
            Oversized: there are too many; the table is in step.
            HpackError: this is no header block, or far too large a one.
        """
        known = self._memo.get(block) if self._due is None else None
        if known is None:
            try:
                known = self._read(block, self._resize(block))
            except IndexError:
                raise HpackError("a header block refers to nothing, or ends too soon") from None
        fields, self.size = known
        if self.size > self.max_bytes or len(fields) > self.max_fields:  # may have been changed
            raise Oversized(len(fields), self.size)
        return fields.copy()

    def _resize(self, block: bytes) -> int:
        """Do what the block says about the size of the table; gives the position of the first field."""
        position = 0
        while block and _RESIZED <= block[position] < _ADDED:
            size, position = block[position] & _RESIZED_BITS, position + 1
            if size == _RESIZED_BITS:
                size, position = integer.decode_rest(block, position, size)
            if size > (self._allowed if self._due is None else self._due):
                raise HpackError("the table is made larger than was agreed")
            self._due = None
            self._table.resize(size)
            self._memo.clear()
            if position == len(block):
                break
        if self._due is not None:
            raise HpackError("the table is larger than was agreed")
        return position

    def _read(self, block: bytes, position: int) -> tuple[list[Field], int]:
        """The fields from there on, and their size."""
        table, whole = self._table, _OF_BYTE
        dynamic = table.fields
        max_bytes, max_fields, overhead = self.max_bytes, self.max_fields, self._overhead
        fields: list[Field] = []
        begin, end = position, len(block)
        count = size = 0
        changed = False
        over: tuple[int, int] | None = None
        while position < end:
            byte = block[position]
            position += 1
            field = whole[byte]
            if field is None:
                if byte >= _INDEXED:
                    if byte == 0xFF:
                        index, position = integer.decode_rest(block, position, _INDEX_BITS)
                    else:
                        index = byte & _INDEX_BITS
                    if index < _FIRST_DYNAMIC:
                        raise HpackError("a field has index 0")
                    field = dynamic[index - _FIRST_DYNAMIC]
                else:
                    field, position = self._literal(block, position, byte)
                    if byte >= _ADDED:
                        table.add(field)
                        changed = True
            count += 1
            size += len(field[0]) + len(field[1]) + overhead
            if size <= max_bytes and count <= max_fields:
                fields.append(field)
                continue
            over = over or (count, size)
            if size > self.hard_bytes:
                raise HpackError(f"a header block of more than {self.hard_bytes} bytes")
        if changed:
            self._memo.clear()
        if over:
            raise Oversized(*over)
        if not changed and not begin and end <= _MEMO_BYTES:
            if len(self._memo) == _MEMO_BLOCKS:
                self._memo.clear()
            self._memo[block] = fields, size
        return fields, size

    def _literal(self, block: bytes, position: int, byte: int) -> tuple[Field, int]:
        """(a field that is spelt out, the position after it); `byte` came before `position`."""
        if byte >= _ADDED:
            bits = _ADDED_BITS
        elif byte < _RESIZED:
            bits = _LITERAL_BITS
        else:
            raise HpackError("the size of the table is changed within a block")
        index = byte & bits
        if index == bits:
            index, position = integer.decode_rest(block, position, bits)
        if not index:
            name, position = _string(block, position)
        elif index < _FIRST_DYNAMIC:
            name = static.FIELDS[index - 1][0]
        else:
            name = self._table.fields[index - _FIRST_DYNAMIC][0]
        value, position = _string(block, position)
        return (name, value), position


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    """(a name or a value, the position after it)."""
    byte = block[position]
    position += 1
    length = byte & _LENGTH_BITS
    if length == _LENGTH_BITS:
        length, position = integer.decode_rest(block, position, length)
        if length > _STRING_BYTES:
            raise HpackError(f"a name or value of more than {_STRING_BYTES} bytes")
    end = position + length
    text = block[position:end]
    if len(text) != length:
        raise HpackError("a header block ends within a name or value")
    return (huffman.decode(text) if byte & _HUFFMAN else text), end
