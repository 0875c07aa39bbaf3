"""The text of an upgraded YAML document: the old text where nothing changed, with its comments, anchors and layout.

Rules:

1. A part of the new tree that is the very object of the old one is copied to the letter, moved to its new column.
2. A mapping or sequence that is an old one with changes inside (its *home*) keeps its items' order, spelling and style;
   one in brackets stays so if it stood, and fits, on one line.
3. Comments go with the item they stand at; those of items that are gone stay where they stood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from trio_envoy.config.document import plain_scalar
from trio_envoy.config.v2.text_tree import Piece, TextTree
from trio_envoy.config.v2.upgrade import UpgradeResult
from trio_envoy.errors import Path

MAX_FLOW: Final = 100  # characters of a line with a collection in brackets that had to be changed
_COMMENT: Final = re.compile(r"\s+#.*")
_PLAIN: Final = re.compile(r"[A-Za-z_/.0-9][A-Za-z_/.0-9:*+()^$-]*")


class _Value(NamedTuple):
    """The text of a value: what follows the key or dash on its line, and the lines below."""

    header: str
    lines: list[str]
    is_block: bool


class UnusualText(Exception):
    """The text says its tree in a way that can't be kept, such as keys that are aliases."""


class Emitter:
    """Writes the upgraded form of a text.

    Args:
        text: the old text, with line feeds.
        old: its tree.
        result: what the upgrade made of that tree.

    Raises:
        UnusualText: the items of the text can't be told from the tree.
    """

    def __init__(self, text: str, old: Any, result: UpgradeResult) -> None:
        self._tree = TextTree(text)
        self._pieces = self._tree.pieces
        self._old = old
        self._result = result
        self._home: dict[int, Path] = {}  # new container, by id -> the old one it is
        self._owner: dict[Path, tuple[int, str | int]] = {}  # old item -> container and key that has its comments
        self._copied: set[Path] = set()  # old values that are copied with all comments inside
        self._compare()
        self._survey()
        self._steps, self._pad = self._habits()

    def document(self) -> str:
        """The whole text."""
        root, text = self._pieces[()], self._tree.text
        before = text[: root.start]
        line = before[before.rfind("\n") + 1 :]
        before = before.rstrip() + "\n" if line.strip() else before[: len(before) - len(line)]  # "--- {"
        lines = self._block(self._result.tree, (), 0 if root.is_flow else self._tree.column(root.start))
        lines += [*self._tree.foot(()), *filter(None, [self._tree.tail(root).strip()])]
        return before + "\n".join(lines) + text[self._tree.line_end(root.end) :]

    # --- what has become of what

    def _compare(self) -> None:
        """Make sure that the pieces of the text are the items of the old tree."""
        for path, piece in self._pieces.items():
            if piece.is_alias or piece.kind == "scalar":
                continue
            items = self._at(path)
            count = len(items) if isinstance(items, dict | list) else -1
            children = dict.fromkeys(self._tree.children.get(path, ()))
            if len(children) != count or (
                isinstance(items, dict) and any(child[-1] not in items for child in children)
            ):
                raise UnusualText

    def _at(self, path: Path) -> Any:
        """What stood at a place of the old tree, None if nothing did."""
        node = self._old
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def _survey(self) -> None:
        """Find the homes of the new containers, and who owns the comments of each old item."""
        taken: set[Path] = set()
        at_home: set[Path] = set()
        waiting: list[tuple[Any, Path]] = [(self._result.tree, ())]
        while waiting:
            node, where = waiting.pop()
            if self._is_old(node, where):
                self._copied.add(where)
                continue
            if not isinstance(node, dict | list):
                continue
            items = list(self._items(node, where))
            if where not in taken and self._is_home(node, where, items):
                taken.add(where)
                self._home[id(node)] = where
            for key, _, origin in items:
                if origin and self._home.get(id(node)) == origin[:-1] and origin not in at_home:
                    at_home.add(origin)
                    self._owner[origin] = (id(node), key)
                else:
                    self._owner.setdefault(origin, (id(node), key))
            waiting.extend((value, origin) for _, value, origin in reversed(items))

    def _is_home(self, node: Any, where: Path, items: list[tuple[str | int, Any, Path]]) -> bool:
        piece = self._pieces.get(where)
        if piece is None or piece.is_alias or piece.kind != ("mapping" if isinstance(node, dict) else "sequence"):
            return False
        if self._result.is_literal(node) and any(origin == where for *_, origin in items):
            return False
        return any(origin[:-1] == where and origin in self._pieces for *_, origin in items if origin)

    def _items(self, node: Any, where: Path) -> Iterator[tuple[str | int, Any, Path]]:
        """(key or index, value, where it stood) of a container that stood at `where`."""
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield key, value, self._result.item_origin(node, key, where)

    def _is_old(self, new: Any, where: Path) -> bool:
        """Whether a value is just what stood at that place."""
        if where not in self._pieces:
            return False
        old = self._at(where)
        return new is old if isinstance(new, dict | list) else type(new) is type(old) and new == old

    def _habits(self) -> tuple[dict[str, int], str]:
        """The indentation of mappings and of sequences below a key, and the blank behind `{`, as this text has them."""
        steps: dict[str, int] = {}
        pads: list[str] = []
        for path, piece in self._pieces.items():
            child = self._pieces[self._tree.children[path][0]] if path in self._tree.children else None
            if child is None or piece.is_alias:
                continue
            if piece.is_flow:
                pads += [" " if self._tree.text[piece.start + 1] == " " else ""] if piece.kind == "mapping" else []
            elif piece.key_end >= 0:
                steps.setdefault(piece.kind, self._tree.column(child.item) - self._tree.column(piece.item))
        return {"mapping": 2, "sequence": 0} | steps, pads[0] if pads else " "

    # --- lines

    def _block(self, new: Any, where: Path, column: int) -> list[str]:
        """The lines of a container in block style."""
        home = self._home.get(id(new))
        waiting = list(dict.fromkeys(self._tree.children.get(home, []))) if home is not None else []
        lines: list[str] = []
        for key, value, origin in self._items(new, where):
            if origin in waiting:
                index = waiting.index(origin)
                lines += self._remains(waiting[:index], column)
                del waiting[: index + 1]
            lines += self._item(new, key, value, origin, column)
        return lines + self._remains(waiting, column)

    def _remains(self, gone: list[Path], column: int) -> list[str]:
        """The comments of items that have no place in the new text, and of what is below them."""
        comments = [comment for path in gone if path not in self._owner for comment in self._comments(path)]
        return [" " * column + comment.strip() for comment in comments]

    def _comments(self, path: Path) -> Iterator[str]:
        piece = self._pieces[path]
        yield from (line for line in self._tree.lead(piece) if line.strip())
        comment = self._tree.tail(piece) or _comment(self._tree.header(piece))
        if comment:
            yield comment
        for child in self._tree.children.get(path, ()):
            if child not in self._owner and child not in self._copied:
                yield from self._comments(child)
        yield from self._tree.foot(path)

    def _item(self, container: Any, key: str | int, value: Any, origin: Path, column: int) -> list[str]:
        """The lines of one item, those of its comments before it."""
        piece = self._pieces.get(origin)
        owned = piece is not None and self._owner.get(origin) == (id(container), key)
        lines: list[str] = []
        foot: list[str] = []
        if owned and piece is not None:
            lines = self._lead(piece, column)
            if origin not in self._copied:
                foot = [" " * column + comment for comment in self._tree.foot(origin)]
                if self._home.get(id(value)) != origin:
                    lines += self._remains(self._tree.children.get(origin, []), column)
        if isinstance(key, str):
            name = self._key(key, origin)
            text = self._value(value, origin, column, len(name), under_key=True, owned=owned)
            return [*lines, f"{' ' * column}{name}:{text.header}", *text.lines, *foot]
        text = self._value(value, origin, column, 1, under_key=False, owned=owned)
        is_new = self._home.get(id(value)) != origin and not self._is_old(value, origin)
        if text.is_block and text.header and is_new:
            lines.append(" " * column + text.header.strip())  # it stood behind a value that was shorter
            text = text._replace(header="")
        first = text.lines[0].strip() if text.is_block and text.lines else ""
        if text.header or not first or first.startswith("#"):
            return [*lines, f"{' ' * column}-{text.header}", *text.lines, *foot]
        indent = len(text.lines[0]) - len(text.lines[0].lstrip())
        return [*lines, (" " * column + "-").ljust(indent) + text.lines[0].lstrip(), *text.lines[1:], *foot]

    def _lead(self, piece: Piece, column: int) -> list[str]:
        collection = self._pieces.get(piece.parent)
        lead = self._tree.lead(piece)
        if collection is not None and collection.is_flow:
            return [" " * column + each for each in lead]
        return _shifted(lead, column - self._tree.column(piece.item))

    def _key(self, key: str, origin: Path) -> str:
        piece = self._pieces.get(origin)
        if piece is not None and piece.key_end >= 0 and origin[-1] == key:
            return self._tree.text[piece.item : piece.key_end]
        return key if _PLAIN.fullmatch(key) else json.dumps(key)

    def _value(self, new: Any, where: Path, column: int, width: int, *, under_key: bool, owned: bool) -> _Value:
        """The text of a value whose key (of `width` characters) or dash is at `column`."""
        piece = self._pieces.get(where)
        if piece is not None and self._is_old(new, where):
            return self._verbatim(piece, where, column, under_key=under_key, owned=owned)
        tail = self._tree.tail(piece) if piece is not None and owned else ""
        if not isinstance(new, dict | list) or not new:
            return _Value(f" {_dump(new)}{tail}", [], False)
        is_home = self._home.get(id(new)) == where
        flow = self._flow(new, where) if is_home and piece is not None and piece.is_flow else None
        if flow is not None and column + width + len(flow) <= MAX_FLOW:
            return _Value(f" {flow}{tail}", [], False)
        header = tail
        if piece is not None and owned and not piece.is_inline:
            header = self._tree.header(piece)
            header = header if is_home else _comment(header)
        elif piece is not None and is_home and piece.anchor:
            header = f" &{piece.anchor}{tail}"
        column = self._first_column(new, where if is_home else None, column, under_key=under_key)
        return _Value(header, self._block(new, where, column), True)

    def _first_column(self, new: Any, old: Path | None, column: int, *, under_key: bool) -> int:
        """Where the items of a block begin that belongs to a key or dash at `column`, and is the one at `old`."""
        piece = self._pieces.get(old) if old is not None else None
        if old is not None and piece is not None and not piece.is_flow and (piece.key_end >= 0) == under_key:
            first = self._pieces[self._tree.children[old][0]]
            return column + self._tree.column(first.item) - self._tree.column(piece.item)
        if not under_key:
            return column + 2
        return column + self._steps["mapping" if isinstance(new, dict) else "sequence"]

    def _verbatim(self, piece: Piece, where: Path, column: int, *, under_key: bool, owned: bool) -> _Value:
        """The old text of a value."""
        tree = self._tree
        if piece.is_inline:
            header, *lines = f" {tree.text[piece.start : piece.end]}{tree.tail(piece) if owned else ''}".split("\n")
            shift = column - tree.column(piece.item)
            least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=column + 1)
            return _Value(header.rstrip(), _shifted(lines, max(shift, column + 1 - least)), False)
        first = self._pieces[tree.children[where][0]]
        old_column = tree.column(first.item)
        line = tree.line(piece.key_end if piece.key_end >= 0 else piece.item)
        lines = tree.lines(line + 1, tree.line(piece.end))
        header = tree.header(piece)
        if tree.line(first.item) == line:  # behind a dash
            lines = [" " * old_column + tree.text[first.item : tree.line_end(first.item)], *lines]
        kind: Any = {} if piece.kind == "mapping" else []
        return _Value(
            header,
            _shifted(lines, self._first_column(kind, where, column, under_key=under_key) - old_column),
            True,
        )

    def _flow(self, new: Any, where: Path) -> str | None:
        """A value in brackets, on one line; None if some part of it doesn't stand on one line."""
        piece = self._pieces.get(where)
        if piece is not None and self._is_old(new, where):
            text = self._tree.text[piece.start : piece.end]
            return None if "\n" in text or not piece.is_inline else text or "null"
        is_home = piece is not None and self._home.get(id(new)) == where
        if is_home and piece is not None and "\n" in self._tree.text[piece.start : piece.end]:
            return None
        if not isinstance(new, dict | list) or not new:
            return _dump(new)
        parts: list[str] = []
        for key, value, origin in self._items(new, where):
            part = self._flow(value, origin)
            if part is None or self._has_comments(origin, (id(new), key)):
                return None
            parts.append(f"{self._key(key, origin)}: {part}" if isinstance(key, str) else part)
        inner = ", ".join(parts)
        anchor = f"&{piece.anchor} " if is_home and piece is not None and piece.anchor else ""
        return anchor + (f"[{inner}]" if isinstance(new, list) else f"{{{self._pad}{inner}{self._pad}}}")

    def _has_comments(self, origin: Path, item: tuple[int, str | int]) -> bool:
        """Whether an item brings comments along that can't stand in brackets on one line."""
        piece = self._pieces.get(origin)
        if piece is None or self._owner.get(origin) != item:
            return False
        return bool(self._tree.tail(piece) or any(line.strip() for line in self._tree.lead(piece)))


def _comment(header: str) -> str:
    """The comment of a header, without anchor and tag."""
    match = _COMMENT.search(header)
    return match[0] if match else ""


def _shifted(lines: list[str], shift: int) -> list[str]:
    """Lines moved to the right, or as far as they go to the left; blank ones stay blank."""
    if shift >= 0:
        return [" " * shift + line if line.strip() else line for line in lines]
    return [line[min(-shift, len(line) - len(line.lstrip())) :] for line in lines]


def _dump(value: Any) -> str:
    """A scalar (or empty collection) as YAML."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and plain_scalar(value) == value and value[-1] != ":":
        return value
    return json.dumps(value, ensure_ascii=False)
