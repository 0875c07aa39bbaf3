"""Text to a plain tree of dict, list, str, int, float, bool and None, as Envoy reads it.

Envoy turns YAML into JSON by yaml-cpp and reads that by protobuf's JSON parser (Source/common/protobuf/yaml_utility.cc;
each rule below was measured on 1.40.0). So a plain scalar is null (`~ null Null NULL` or nothing), a boolean (YAML
1.1: `yes no on off y n true false`, lower, upper or capitalised), an integer of 32 bits (decimal, `0x` or, with a
leading `0`, octal), else a string: `1.10`, `1e3`, `2020-01-01`, `1:30` and `9999999999` stay strings, and the fields
that want a number take them so. Tags but `!` change nothing. Only the first document of a file is read; `<<` is a key
like any other; of a key that comes twice the last one counts. JSON is read with the leniencies of protobuf's parser:
single quotes, bare keys, a comma at the end. One pass over libyaml's events, no marks: positions are found again by
`config.locate` when there is something to tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

import attrs
import yaml
from yaml._yaml import CParser

from trio_envoy.config.lenient_json import LenientReader
from trio_envoy.errors import ConfigErrors, Fault

MAX_DEPTH: Final = 100  # mappings and sequences; protobuf's JsonParseOptions

_WORDS: Final[dict[str, Any]] = {
    spelling: value
    for value, words in (
        (True, ("y", "yes", "true", "on")),
        (False, ("n", "no", "false", "off")),
        (None, ("null",)),
    )
    for word in words
    for spelling in ((word, word.capitalize()) if word == "null" else (word, word.upper(), word.capitalize()))
} | {"~": None, "NULL": None}

_EMPTY_KEYS: Final = frozenset(("", "~"))
_INTEGER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)


@attrs.frozen(eq=False)
class Document:
    """One text of the configuration.

    Attributes:
        root: the tree; aliases share their dict or list, so it must not be changed.
        source: file name, or what stands for one.
        text: what was read, for `config.locate`.
        is_json: read by the rules of JSON.
        repeats: some mapping has a key twice.
        rest: something follows the first document.
    """

    root: Any
    source: str
    text: str
    is_json: bool = False
    repeats: bool = False
    rest: bool = False


def parse(text: str, source: str, *, is_json: bool = False) -> Document:
    """Read a text.

    Raises:
        ConfigErrors: it isn't YAML (or JSON), or it is empty; with line and column.
    """
    if is_json:
        return _parse_json(text, source)
    builder = Builder(text, source)
    root = builder.run()
    if root is None or isinstance(root, str | int):
        raise _error("the file has no configuration: a mapping is expected at the top", source, 1, 1)
    return Document(root, source, text, repeats=builder.repeats, rest=builder.rest)


def _error(text: str, source: str, line: int, column: int) -> ConfigErrors:
    return ConfigErrors([Fault(text, (), source, line, column)])


class Builder:
    """Builds the tree from the events of libyaml.

    Args:
        text: YAML.
        source: for errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._next: Callable[[], Any] = _nothing
        self._anchors: dict[str, Any] = {}
        self._cache: dict[str, Any] = {}  # what scalars without quotes and tag mean
        self.repeats = False
        self.rest = False

    def run(self) -> Any:
        """The first document, None when there is none."""
        try:
            parser = CParser(self._text)
            self._next = parser.get_event
            self._next()  # StreamStart
            if not isinstance(self._next(), yaml.DocumentStartEvent):
                return None
            root = self._node(self._next(), 0)
            self.rest = not _at_end(parser)
            return root
        except yaml.MarkedYAMLError as broken:
            mark = broken.problem_mark or broken.context_mark
            assert mark is not None, "the scanner and the parser of libyaml mark their errors"
            text = " ".join(part for part in (broken.context, broken.problem) if part)
            raise _error(f"not valid YAML: {text}", self._source, mark.line + 1, mark.column + 1) from None
        except yaml.reader.ReaderError as broken:
            before = self._text[: broken.position]
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            raise _error(f"not valid YAML: {broken.reason}", self._source, line, column) from None

    def _node(self, event: Any, depth: int) -> Any:
        """Build the node that the event begins."""
        kind = event.__class__
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
        elif kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise self._fault(f"alias {event.anchor!r} has no anchor before it, or stands inside its own", event)
            return self._anchors[event.anchor]
        elif depth == MAX_DEPTH:
            raise self._fault(f"nested more than {MAX_DEPTH} levels deep", event)
        elif kind is yaml.MappingStartEvent:
            value = self._mapping(depth + 1)
        else:
            value = []
            while (item := self._next()).__class__ is not yaml.SequenceEndEvent:
                value.append(self._node(item, depth + 1))
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        count = 0
        while (event := self._next()).__class__ is not yaml.MappingEndEvent:
            key = event.value if event.__class__ is yaml.ScalarEvent else self._odd_key(event)
            if key in _EMPTY_KEYS and not event.style:
                key = "null"
            if event.anchor:
                self._anchors[event.anchor] = key
            found[key] = self._node(self._next(), depth)
            count += 1
        if count != len(found):
            self.repeats = True
        return found

    def _odd_key(self, event: Any) -> str:
        """A key that isn't a plain or quoted scalar: an alias of one will do."""
        value = self._anchors.get(str(event.anchor)) if event.__class__ is yaml.AliasEvent else None
        if not isinstance(value, str | int):
            raise self._fault("a key must be a scalar", event)
        return str(value)

    def _scalar(self, event: Any) -> Any:
        value, tag = event.value, event.tag
        if event.style if tag is None else tag == "!":
            return value
        if not value:
            return None if tag is None else ""
        if value in self._cache:
            return self._cache[value]
        typed = self._cache[value] = plain_scalar(value)
        return typed

    def _fault(self, text: str, event: Any) -> ConfigErrors:
        return _error(text, self._source, event.start_mark.line + 1, event.start_mark.column + 1)


def _nothing() -> None:
    """No event: nothing is read yet."""


def _at_end(parser: CParser) -> bool:
    """Whether nothing follows the document that was just built; what follows need not be YAML."""
    try:
        parser.get_event()  # DocumentEnd
        return isinstance(parser.get_event(), yaml.StreamEndEvent)
    except yaml.MarkedYAMLError:
        return False


def plain_scalar(text: str) -> Any:
    """The value of a scalar without quotes in YAML."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
        number = int(digits, base)
        number = -number if text[0] == "-" else number
        if number in _INT32:
            return number
        return str(number) if number in _INT64 else text
    return text


def _parse_json(text: str, source: str) -> Document:
    repeats = False

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        found = dict(pairs)
        repeats = repeats or len(found) != len(pairs)
        return found

    try:
        root = json.loads(text, strict=False, object_pairs_hook=build, parse_constant=_no_constant)
    except RecursionError:
        raise _error(f"nested more than {MAX_DEPTH} levels deep", source, 1, 1) from None
    except ValueError:
        reader = LenientReader(text)
        try:
            root, repeats = reader.read(), reader.repeats
        except json.JSONDecodeError as broken:
            raise _not_json(broken.msg, source, broken.lineno, broken.colno) from None
    if not isinstance(root, dict):
        raise _not_json("an object is expected at the top", source, 1, 1)
    if "\\u" in text and not _is_text(root):
        raise _not_json("half of a surrogate pair in a string", source, 1, 1)
    return Document(root, source, text, is_json=True, repeats=repeats)


def _is_text(root: Any) -> bool:
    try:
        json.dumps(root, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} isn't JSON")


def _not_json(text: str, source: str, line: int, column: int) -> ConfigErrors:
    hint = "a file whose name doesn't end in .yaml or .yml is read as JSON"
    return _error(f"not valid JSON: {text} ({hint})", source, line, column)
