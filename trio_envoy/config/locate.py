"""Where a path of the tree stands in the text: read once more, with marks, only when there is something to tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
import yaml
from yaml._yaml import CParser

from trio_envoy.config import schema
from trio_envoy.config.document import Document
from trio_envoy.errors import Path

_NOWHERE: Final = (0, 0)


@attrs.define(eq=False)
class _Place:
    """A node of the text.

    Attributes:
        line: 1-based; of the key for the value of a mapping.
        column: 1-based.
        children: by key of a mapping, by index of a sequence; empty for a scalar.
        is_list: a sequence.
        repeated: keys that come again, with their places.
    """

    line: int
    column: int
    children: dict[str | int, _Place]
    is_list: bool = False
    repeated: list[tuple[str, int, int]] = attrs.field(factory=list)


class Positions:
    """Places of all nodes of a document.

    Args:
        document: a text that could be read (what a lenient JSON parser alone takes has no places).
    """

    def __init__(self, document: Document) -> None:
        self._anchors: dict[str, _Place] = {}
        parser = CParser(document.text)
        try:
            parser.get_event()  # StreamStart
            parser.get_event()  # DocumentStart
            self._root: _Place | None = self._node(parser, parser.get_event())
        except yaml.YAMLError:
            self._root = None

    def at(self, path: Path) -> tuple[int, int]:
        """Line and column of what the path names, or of the nearest thing around it; (0, 0) when unknown.

        A key may be written in snake_case or lowerCamelCase; a list of one may be written without brackets.
        """
        place = self._root
        if place is None:
            return _NOWHERE
        for step in path:
            found = place.children.get(step)
            if found is None and isinstance(step, str):
                found = place.children.get(schema.camel(step))
            if found is None:
                if step == 0 and not place.is_list:
                    continue
                break
            place = found
        return place.line, place.column

    def repeats(self) -> Iterator[tuple[Path, int, int]]:
        """Every key that stands in its mapping already: its path, line and column."""
        seen: set[int] = set()
        waiting: list[tuple[Path, _Place]] = [((), self._root)] if self._root is not None else []
        while waiting:
            path, place = waiting.pop()
            if id(place) in seen:
                continue
            seen.add(id(place))
            for key, line, column in place.repeated:
                yield (*path, key), line, column
            waiting.extend(((*path, step), child) for step, child in place.children.items())

    def _node(self, parser: CParser, event: Any) -> _Place:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            target = self._anchors[str(event.anchor)]
            return _Place(line, column, target.children, target.is_list)
        place = _Place(line, column, {}, isinstance(event, yaml.SequenceStartEvent))
        if event.anchor:
            self._anchors[event.anchor] = place
        if isinstance(event, yaml.SequenceStartEvent):
            while not isinstance(event := parser.get_event(), yaml.SequenceEndEvent):
                place.children[len(place.children)] = self._node(parser, event)
        elif isinstance(event, yaml.MappingStartEvent):
            while not isinstance(event := parser.get_event(), yaml.MappingEndEvent):
                self._pair(parser, event, place)
        return place

    def _pair(self, parser: CParser, key: Any, into: _Place) -> None:
        """Read a value and put it under its key, at the place of the key."""
        line, column = key.start_mark.line + 1, key.start_mark.column + 1
        name = getattr(key, "value", "") or "null"
        child = self._node(parser, parser.get_event())
        child.line, child.column = line, column
        if name in into.children:
            into.repeated.append((name, line, column))
        into.children[name] = child
