"""Header fields: ordered, lower-case names, bytes; the first value of a name is a dict look-up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Headers:
    """Ordered header fields with lower-case bytes names.

    `items` and `first` are public for the codecs' fast paths: whoever appends to `items` by hand also does
    `first.setdefault(name, value)`. Pseudo-headers of HTTP/2 are not in here: they are attributes of the message.
    """

    __slots__ = ("first", "items")

    def __init__(self, items: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.items: list[tuple[bytes, bytes]] = list(items)
        self.first: dict[bytes, bytes] = dict(self.items)
        if len(self.first) != len(self.items):  # some name is there twice, and it is not the last that counts
            self.first = {}
            for name, value in self.items:
                self.first.setdefault(name, value)

    def get(self, name: bytes) -> bytes | None:
        """The first value, or None."""
        return self.first.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """All values in order."""
        if name not in self.first:
            return []
        return [v for n, v in self.items if n == name]

    def joined(self, name: bytes, separator: bytes = b",") -> bytes | None:
        """All values as one, as Envoy's getAllOfHeaderAsString does; None when absent."""
        if name not in self.first:
            return None
        return separator.join([v for n, v in self.items if n == name])

    def add(self, name: bytes, value: bytes) -> None:
        """Append a field, whatever is there already."""
        self.items.append((name, value))
        self.first.setdefault(name, value)

    def set(self, name: bytes, value: bytes) -> None:
        """Make this the only value: in the place of the first one if there was one, else at the end."""
        first, items = self.first, self.items
        before = first.get(name)
        if before is None:
            items.append((name, value))
        elif len(first) == len(items):  # each name is there once
            items[items.index((name, before))] = (name, value)
        else:
            position = items.index((name, before))
            self.items = [(n, v) for n, v in items if n != name]
            self.items.insert(position, (name, value))
        first[name] = value

    def remove(self, name: bytes) -> bool:
        """Drop all fields of that name; True if there was one."""
        if self.first.pop(name, None) is None:
            return False
        self.items = [(n, v) for n, v in self.items if n != name]
        return True

    def remove_prefix(self, prefix: bytes) -> None:
        """Drop all fields whose name starts with prefix."""
        self.items = [(n, v) for n, v in self.items if not n.startswith(prefix)]
        self.first = {n: v for n, v in self.first.items() if not n.startswith(prefix)}

    def copy(self) -> Headers:
        """An independent copy."""
        new = Headers.__new__(Headers)
        new.items = self.items.copy()
        new.first = self.first.copy()
        return new

    def byte_size(self) -> int:
        """Bytes of all names and values, as Envoy's HeaderMap::byteSize."""
        return sum(len(n) + len(v) for n, v in self.items)

    def __contains__(self, name: bytes) -> bool:
        return name in self.first

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Headers({self.items!r})"
