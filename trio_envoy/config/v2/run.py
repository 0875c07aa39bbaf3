"""One upgrade under way: what it has found, what it has made, and where everything stood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import attrs

from trio_envoy.errors import Fault, Path


@attrs.frozen
class Change:
    """One change that the upgrade made.

    Attributes:
        path: where, in the original document.
        text: what, for people.
    """

    path: Path
    text: str


class At(NamedTuple):
    """In a new value: a part that is ready, and where in the original document it stood."""

    value: Any
    path: Path


class IsV2(Exception):
    """What has been walked so far must be walked again, now that the document is known to be v2."""


class Run:
    """One upgrade under way: what it has found so far.

    Attributes:
        is_v2: known from the start: the document is v2, so what v2 files meant by saying nothing is written down.
    """

    def __init__(self, *, is_v2: bool) -> None:
        self.is_v2 = is_v2
        self._found_v2 = False  # something that only v2 has was seen
        self._depends = False  # something was seen that is written differently if the document is v2
        self.changes: list[Change] = []
        self.faults: list[Fault] = []
        self.moved: dict[tuple[int, str | int], Path] = {}
        self.literals: set[int] = set()  # containers, by id, that were written down as literals
        self._made: dict[int, Any] = {}  # containers by id: kept alive, so that no id in `moved` is given twice

    def change(self, path: Path, text: str, *, v2: bool = True) -> None:
        """Note a change; `v2` if what was found is proof that the document is v2."""
        self.changes.append(Change(path, text))
        if v2 and not self._found_v2:
            self._found_v2 = True
            self._settle()

    def depends(self) -> None:
        """Note that something is written differently if the document is v2, which isn't known to be so."""
        self._depends = True
        self._settle()

    def _settle(self) -> None:
        if self._found_v2 and self._depends and not self.is_v2:
            raise IsV2

    def fault(self, path: Path, text: str) -> None:
        """Note what can't be upgraded."""
        self.faults.append(Fault(text, path))

    def own(self, container: Any) -> Any:
        """A container that may be written to: the same if this run made it, else a copy."""
        if id(container) in self._made:
            return container
        copy = dict(container) if isinstance(container, dict) else list(container)
        self._made[id(copy)] = copy
        return copy

    def set(self, container: Any, key: str | int, value: Any, path: Path) -> None:
        """Set an item of a container that this run made, and note where its value stood."""
        if isinstance(container, list) and key == len(container):
            container.append(value)
        else:
            container[key] = value
        self.moved[id(container), key] = path

    def place(self, value: Any, path: Path) -> Any:
        """A new value written down as a literal: its own parts are told at `path`, those in `At` where they stood."""
        if isinstance(value, At):
            return value.value
        if not isinstance(value, dict | list):
            return value
        placed: Any = self.own({}) if isinstance(value, dict) else self.own([])
        self.literals.add(id(placed))
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            self.set(placed, key, self.place(each, path), each.path if isinstance(each, At) else path)
        return placed


def listed(value: Any, path: Path) -> Iterator[tuple[Any, Path]]:
    """The items of a repeated field, each with its place; one that isn't a list counts as a list of one."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield each, (*path, index)
    elif value is not None:
        yield value, path


def is_true(value: Any) -> bool:
    """A bool as the loader takes it: also as a string."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
