"""Where each part of a YAML text begins and ends, down to the comments around it.

The upgrade of a *file* keeps what it doesn't change to the letter; so the text is cut along its nodes:

* the *lead* of an item (of a mapping or sequence): the lines of comments and the blank lines between the item before it
  and itself;
* its *tail*: the comment behind its last character, on the same line.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from typing import Any, Final

import attrs
import yaml
from yaml._yaml import CParser

from trio_envoy.errors import Path

_COMMENT: Final = re.compile(r"\s+#.*")
_TAIL: Final = re.compile(r",?(\s+#.*)")
_PROPERTIES: Final = re.compile(r"(?:[ \t]+[&!]\S*)*[ \t]*")
_GAP_COMMENT: Final = re.compile(r"(?:^|\s)(#.*)$", re.MULTILINE)


@attrs.define(eq=False)
class Piece:
    """A node of the text, with the item it is the value of.

    Attributes:
        start: offset of the value, of its anchor or tag if it has one; of the `*` of an alias.
        end: offset behind its last character; comments don't count.
        item: offset where its item begins: of the key, of the dash, or `start`.
        key_end: offset behind the key; -1 for a value of a sequence and for the root.
        kind: "scalar", "mapping" or "sequence"; of an alias: of what it stands for.
        is_flow: a collection in brackets.
        is_alias: `*name`.
        anchor: its own name, or "".
        parent: path of the collection it is in.
        before: end of the item before it, or where its collection begins.
    """

    start: int
    end: int
    item: int
    key_end: int
    kind: str
    is_flow: bool
    is_alias: bool
    anchor: str
    parent: Path
    before: int

    @property
    def is_inline(self) -> bool:
        """The value begins on the line of its key or dash."""
        return self.kind == "scalar" or self.is_flow or self.is_alias


class TextTree:
    """The pieces of the first document of a text, by path; of a key that comes twice the last one.

    Args:
        text: valid YAML, its lines ended by line feeds.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces: dict[Path, Piece] = {}
        self.children: dict[Path, list[Path]] = {}
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._dashes = self._offsets_of(yaml.BlockEntryToken)
        self._anchors: dict[str, str] = {}
        parser = CParser(text)
        self._next: Callable[[], Any] = parser.get_event
        self._next()  # StreamStart
        self._next()  # DocumentStart
        self._node(self._next(), (), -1, None, 0)

    def column(self, offset: int) -> int:
        """The column, from 0, of an offset."""
        return offset - self._starts[self.line(offset)]

    def line(self, offset: int) -> int:
        """The line, from 0, of an offset."""
        return bisect.bisect_right(self._starts, offset) - 1

    def line_end(self, offset: int) -> int:
        """The offset of the end of the line of an offset, without its newline."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def lines(self, first: int, last: int) -> list[str]:
        """The text of these lines, the last one included."""
        return [self.text[self._starts[n] : self.line_end(self._starts[n])] for n in range(first, last + 1)]

    def lead(self, piece: Piece) -> list[str]:
        """The lines of comments in front of an item, and the blank lines among them, as they are."""
        collection = self.pieces.get(piece.parent)
        if collection is not None and collection.is_flow:
            is_first = self.pieces[self.children[piece.parent][0]] is piece
            return self._gap(piece.before, piece.item, behind_item=not is_first)
        return self.lines(self.line(piece.before) + 1, self.line(piece.item) - 1)

    def foot(self, path: Path) -> list[str]:
        """The comments between the last item and the closing bracket."""
        piece = self.pieces[path]
        if not piece.is_flow or path not in self.children:
            return []
        return self._gap(self.pieces[self.children[path][-1]].end, piece.end, behind_item=True)

    def _gap(self, begin: int, end: int, *, behind_item: bool) -> list[str]:
        """The comments between two items in brackets, without the tail of the first."""
        if behind_item and _TAIL.fullmatch(self.text, begin, self.line_end(begin)):
            begin = self.line_end(begin)
        return [match[1].rstrip() for match in _GAP_COMMENT.finditer(self.text, begin, end)]

    def tail(self, piece: Piece) -> str:
        """The comment behind a value on its last line, with the blanks in front of it, or ""; a block has none."""
        if not piece.is_inline:
            return ""
        match = _TAIL.fullmatch(self.text, piece.end, self.line_end(piece.end))
        return match[1].rstrip() if match else ""

    def header(self, piece: Piece) -> str:
        """What stands behind a key (or dash) whose block begins on a later line: anchor, tag, comment; or ""."""
        begin = piece.key_end + 1 if piece.key_end >= 0 else piece.item + 1
        end = self.line_end(begin)
        if piece.is_inline:
            return ""
        match = _PROPERTIES.match(self.text, begin, end)
        rest = match.end() if match else begin
        if rest < end and not _COMMENT.fullmatch(self.text, max(rest - 1, begin), end):
            return ""  # the block begins here
        return self.text[begin:end].rstrip()

    def _offsets_of(self, token: type[Any]) -> list[int]:
        return [
            self._offset(each.start_mark)
            for each in yaml.scan(self.text, Loader=yaml.CSafeLoader)
            if isinstance(each, token)
        ]

    def _offset(self, mark: Any) -> int:
        line: int = self._starts[mark.line]
        return line + int(mark.column)

    def _node(self, event: Any, path: Path, key_end: int, item: int | None, before: int) -> Piece:
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        is_alias, anchor = isinstance(event, yaml.AliasEvent), event.anchor or ""
        kind = "scalar"
        if isinstance(event, yaml.MappingStartEvent):
            kind = "mapping"
        elif isinstance(event, yaml.SequenceStartEvent):
            kind = "sequence"
        is_flow = bool(getattr(event, "flow_style", False))
        if is_alias:
            kind = self._anchors.get(anchor, "scalar")
        elif anchor:
            self._anchors[anchor] = kind
        item = start if item is None else item
        piece = Piece(start, end, item, key_end, kind, is_flow, is_alias, anchor, path[:-1], before)
        self.pieces[path] = piece
        if path:
            self.children.setdefault(path[:-1], []).append(path)
        if kind == "scalar" or is_alias:
            while piece.end > piece.start and self.text[piece.end - 1] in "\n ":
                piece.end -= 1
        elif kind == "mapping":
            self._mapping(piece, path)
        else:
            self._sequence(piece, path)
        return piece

    def _mapping(self, piece: Piece, path: Path) -> None:
        before = piece.end if piece.is_flow else self._opening(piece)
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            start, key_end = self._offset(event.start_mark), self._offset(event.end_mark)
            key = getattr(event, "value", "") or "null"
            child = self._node(self._next(), (*path, key), key_end, start, before)
            before = max(child.end, key_end + 1)
            piece.end = before
        if piece.is_flow:
            piece.end = self._offset(event.end_mark)

    def _sequence(self, piece: Piece, path: Path) -> None:
        before = piece.end if piece.is_flow else self._opening(piece)
        index = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            start = self._offset(event.start_mark)
            item = start
            if not piece.is_flow:  # an empty item is said to stand right behind its dash
                item = self._dashes[bisect.bisect_left(self._dashes, start) - 1]
            child = self._node(event, (*path, index), -1, item, before)
            before = piece.end = max(child.end, item + 1)
            index += 1
        if piece.is_flow:
            piece.end = self._offset(event.end_mark)

    def _opening(self, piece: Piece) -> int:
        """Where the text before the first item of a block begins: behind the key or dash in front of it."""
        if piece.key_end >= 0:
            return piece.key_end + 1
        return piece.item if piece.item == piece.start else piece.item + 1
