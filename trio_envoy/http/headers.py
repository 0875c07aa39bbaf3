"""Header fields: ordered, lower-case names, bytes; the first value of a name is a dict look-up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trio_envoy.http.spelling import Spelling


class Headers:
    """Ordered header fields with lower-case bytes names.

    As long as no name is there twice, which is nearly always, the dict is all there is: it keeps the order, too.
    Pseudo-headers of HTTP/2 are not in here: they are attributes of the message.

    Attributes:
        first: the first value of each name, to be looked at, not changed.
        every: all fields, when a name is there more than once; else None. For the codecs' fast paths.
        spelling: how HTTP/1 writes the names; None: in lower case (h1/spelled.py has those that remember).
    """

    __slots__ = ("every", "first")

    spelling: Spelling | None = None

    def __init__(self, items: Iterable[tuple[bytes, bytes]] = ()) -> None:
        every = list(items)
        self.first = dict(every)
        self.every: list[tuple[bytes, bytes]] | None = None
        if len(self.first) != len(every):
            self.every = every
            self.first = dict(reversed(every))
            self.first = {name: self.first[name] for name, _ in every}

    @property
    def items(self) -> list[tuple[bytes, bytes]]:
        """All fields in order; a list of its own."""
        return list(self)

    def get(self, name: bytes) -> bytes | None:
        """The first value, or None."""
        return self.first.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """All values in order."""
        if name not in self.first:
            return []
        if self.every is None:
            return [self.first[name]]
        return [v for n, v in self.every if n == name]

    def joined(self, name: bytes, separator: bytes = b",") -> bytes | None:
        """All values as one, as Envoy's getAllOfHeaderAsString does; None when absent."""
        if self.every is None or name not in self.first:
            return self.first.get(name)
        return separator.join([v for n, v in self.every if n == name])

    def add(self, name: bytes, value: bytes) -> None:
        """Append a field, whatever is there already."""
        if self.every is not None:
            self.every.append((name, value))
        elif name in self.first:
            self.every = [*self.first.items(), (name, value)]
        self.first.setdefault(name, value)

    def set(self, name: bytes, value: bytes) -> None:
        """Make this the only value: in the place of the first one if there was one, else at the end."""
        first, every = self.first, self.every
        if every is not None:
            if name in first:
                position = [n for n, _ in every].index(name)
                every = [(n, v) for n, v in every if n != name]
                every.insert(position, (name, value))
            else:
                every.append((name, value))
            self._keep(every)
        first[name] = value

    def append(self, name: bytes, value: bytes, separator: bytes = b",") -> None:
        """Add to the value of a field, behind what it says already (Envoy's appendToHeader); its values become one."""
        before = self.joined(name, separator)
        self.set(name, before + separator + value if before else value)

    def remove(self, name: bytes) -> bool:
        """Drop all fields of that name; True if there was one."""
        if self.first.pop(name, None) is None:
            return False
        if self.every is not None:
            self._keep([(n, v) for n, v in self.every if n != name])
        return True

    def remove_prefix(self, prefix: bytes) -> None:
        """Drop all fields whose name starts with prefix."""
        self.first = {n: v for n, v in self.first.items() if not n.startswith(prefix)}
        if self.every is not None:
            self._keep([(n, v) for n, v in self.every if not n.startswith(prefix)])

    def _keep(self, every: list[tuple[bytes, bytes]]) -> None:
        """These are all fields now; if each name is there once, the dict will do."""
        names = {name for name, _ in every}
        self.every = every if len(names) != len(every) else None

    def copy(self) -> Headers:
        """An independent copy."""
        new = Headers.__new__(Headers)
        new.every = None if self.every is None else self.every.copy()
        new.first = self.first.copy()
        return new

    def byte_size(self) -> int:
        """Bytes of all names and values, as Envoy's HeaderMap::byteSize."""
        return sum([len(n) + len(v) for n, v in self])

    def __contains__(self, name: bytes) -> bool:
        return name in self.first

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.first.items() if self.every is None else self.every)

    def __len__(self) -> int:
        return len(self.first if self.every is None else self.every)

    def __repr__(self) -> str:
        return f"Headers({self.items!r})"
