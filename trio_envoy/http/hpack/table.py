"""The dynamic table, which both ends of a connection keep in step.

Source: RFC 7541 s2.3.2, s4.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from trio_envoy.http.hpack import static
from trio_envoy.http.hpack.static import Field

DEFAULT_SIZE: Final = 4096  # bytes; SETTINGS_HEADER_TABLE_SIZE before anything is said (RFC 9113 s6.5.2)
OVERHEAD: Final = 32  # bytes; of each field beside its name and value


class Table:
    """The fields that were met lately, the newest first, and no more of them than fit.

    Attributes:
        fields: the first has index 62.
        size: bytes of all of them, as RFC 7541 counts.
        limit: bytes.
    """

    __slots__ = ("fields", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.fields: deque[Field] = deque()
        self.size = 0
        self.limit = limit

    def add(self, field: Field) -> None:
        """Put a field in front; one that is larger than the table empties it."""
        self.fields.appendleft(field)
        self.size += len(field[0]) + len(field[1]) + OVERHEAD
        while self.size > self.limit:
            self._evict()

    def resize(self, limit: int) -> None:
        """Let it hold so many bytes from now on."""
        self.limit = limit
        while self.size > limit:
            self._evict()

    def _evict(self) -> Field:
        field = self.fields.pop()
        self.size -= len(field[0]) + len(field[1]) + OVERHEAD
        return field


class SearchTable(Table):
    """A table that knows where its fields and names are."""

    __slots__ = ("_added", "_field_at", "_name_at")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._added = 0  # ever
        self._field_at: dict[Field, int] = {}  # the latest of that field: how many were added, itself included
        self._name_at: dict[bytes, int] = {}

    def index(self, field: Field) -> int:
        """The index of this field, 0 if there is none."""
        at = self._field_at.get(field)
        return 0 if at is None else static.COUNT + 1 + self._added - at

    def name_index(self, name: bytes) -> int:
        """The index of a field with this name, 0 if there is none."""
        at = self._name_at.get(name)
        return 0 if at is None else static.COUNT + 1 + self._added - at

    def add(self, field: Field) -> None:
        self._added += 1
        self._field_at[field] = self._name_at[field[0]] = self._added
        super().add(field)

    def _evict(self) -> Field:
        at = self._added - len(self.fields) + 1
        field = super()._evict()
        if self._field_at[field] == at:
            del self._field_at[field]
        if self._name_at[field[0]] == at:
            del self._name_at[field[0]]
        return field
