"""The table of every Envoy message, v3 and v2: field names, numbers, types, oneofs, validation rules, deprecations.

It is data, made from the Envoy binary and the v2 protos by `tests/schema/generate.py`, and holds what Envoy *knows*;
what this proxy *honours* is told by the attrs classes beside it. It drives the v2 upgrade (a field keeps its number in
v3), tells an unknown field from an unsupported one, and finds the nearest name for a misspelt one.

`schema.bin` is: b"TES1", the length of the index (4 bytes, big endian), the index, the sections. Index and sections
are zlib streams of JSON; the index maps a section's name to [offset, length]. The section "" holds what spans packages
(version, v2 -> v3 names, extensions); each other section is one proto package: {"m": messages, "e": enums}, and is read
when a name of that package is first asked for. A message row is [flags, previous_message_type, {oneof: required},
fields], a field row [name, number, kind, flags, type, map key kind, oneof, rules, JSON name], cut behind its last value
that isn't empty; an enum row is a list of [name, number, flags].
"""

from __future__ import annotations

import difflib
import functools
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import attrs

_FILE: Final = Path(__file__).with_name("schema.bin")
_MAGIC: Final = b"TES1"

# Bits of the flags in a row; the generator has the same.
_REPEATED, _DEPRECATED, _DISALLOWED, _SENSITIVE, _OPTIONAL, _WIP = 1, 2, 4, 8, 16, 32

TYPE_URL_PREFIX: Final = "type.googleapis.com/"

_NO_RULES: Final[Mapping[str, Any]] = {}


@attrs.frozen(eq=False)
class Field:
    """A field of a message.

    Attributes:
        name: as in the proto file, snake_case.
        number: on the wire; the same in v2 and v3.
        kind: "message", "enum", "string", "bytes", "bool", "double", "float", or an integer kind ("int32", "uint64",
            "sint32", "fixed64", "sfixed32", ...); of a map: the kind of its values.
        repeated: a list. A map isn't "repeated".
        map_key: kind of a map's keys, "" when the field isn't a map.
        type_name: full name of the message or enum, or "".
        oneof: name of the oneof it is a member of, or "".
        rules: its validation rules with proto names, durations in seconds, enums by name: {"duration": {"gt": 0.0}},
            {"string": {"min_len": 1}}, {"repeated": {"items": {...}}}, {"message": {"required": True}}.
        json_name: lowerCamelCase, accepted everywhere beside `name`.
        deprecated: Envoy warns of it.
        disallowed: Envoy refuses it unless a runtime key allows it.
        sensitive: dumped as "[redacted]".
        optional: a scalar whose presence counts (proto3 `optional`).
        wip: marked as work in progress; Envoy warns of it.
    """

    name: str
    number: int
    kind: str
    repeated: bool
    map_key: str
    type_name: str
    oneof: str
    rules: Mapping[str, Any]
    json_name: str
    deprecated: bool
    disallowed: bool
    sensitive: bool
    optional: bool
    wip: bool


class Oneof(NamedTuple):
    """Fields of which at most one may be set.

    Attributes:
        required: exactly one must be.
        members: their names, in order of declaration.
    """

    required: bool
    members: tuple[str, ...]


@attrs.frozen(eq=False)
class Message:
    """A message.

    Attributes:
        fqn: full name, as "envoy.config.cluster.v3.Cluster".
        fields: by name and by JSON name.
        by_number: the same fields by number, each once.
        oneofs: by name.
        previous_message_type: the v2 message it comes from, or "".
        deprecated: Envoy warns of it.
        unchecked: its validation rules are switched off.
        wip: marked as work in progress; Envoy warns of it.
    """

    fqn: str
    fields: Mapping[str, Field]
    by_number: Mapping[int, Field]
    oneofs: Mapping[str, Oneof]
    previous_message_type: str
    deprecated: bool
    unchecked: bool
    wip: bool


@attrs.frozen(eq=False)
class Enum:
    """An enum.

    Attributes:
        fqn: full name.
        values: name -> number.
        lower: lower-cased name -> name; Envoy compares without case.
        numbers: number -> name (of aliases the first).
        deprecated: names that Envoy warns of.
        disallowed: names that Envoy refuses unless a runtime key allows them.
    """

    fqn: str
    values: Mapping[str, int]
    lower: Mapping[str, str]
    numbers: Mapping[int, str]
    deprecated: frozenset[str]
    disallowed: frozenset[str]


@attrs.frozen
class Extension:
    """An extension as Envoy registers it.

    Attributes:
        name: e.g. "envoy.filters.http.router", or one of its older aliases.
        category: e.g. "envoy.filters.http".
        types: full names of the config messages it takes, its own first, then the one of routes; Envoy tells them
            for the canonical name only, and not for every extension.
    """

    name: str
    category: str
    types: tuple[str, ...]


class _Table:
    """The shipped file; keeps what has been read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            head = file.read(8)
            assert head[:4] == _MAGIC, "schema.bin isn't the table this version reads"
            size = int.from_bytes(head[4:], "big")
            self._index: dict[str, list[int]] = json.loads(zlib.decompress(file.read(size)))
        self._start = 8 + size
        self._sections: dict[str, dict[str, Any]] = {}

    @property
    def packages(self) -> list[str]:
        return [name for name in self._index if name]

    def section(self, name: str) -> dict[str, Any]:
        """A section of the file, read on first use."""
        section = self._sections.get(name)
        if section is None:
            offset, size = self._index[name]
            with self._path.open("rb") as file:
                file.seek(self._start + offset)
                section = json.loads(zlib.decompress(file.read(size)))
            self._sections[name] = section
        return section

    def row(self, part: str, fqn: str) -> Any:
        """The row of a message ("m") or enum ("e"), None if there is no such."""
        package, _, name = fqn.rpartition(".")
        while package:
            if package in self._index:
                row = self.section(package)[part].get(name)
                if row is not None:
                    return row
            package, _, outer = package.rpartition(".")
            name = f"{outer}.{name}"
        return None


@functools.cache
def _table() -> _Table:
    return _Table(_FILE)


def camel(name: str) -> str:
    """The lowerCamelCase JSON name that protoc derives from a field name."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def _field(
    name: str,
    number: int,
    kind: str,
    flags: int = 0,
    type_name: str = "",
    map_key: str = "",
    oneof: str = "",
    rules: Mapping[str, Any] = _NO_RULES,
    json_name: str = "",
) -> Field:
    return Field(
        name=name,
        number=number,
        kind=kind,
        repeated=bool(flags & _REPEATED),
        map_key=map_key,
        type_name=type_name,
        oneof=oneof,
        rules=rules or _NO_RULES,
        json_name=json_name or camel(name),
        deprecated=bool(flags & _DEPRECATED),
        disallowed=bool(flags & _DISALLOWED),
        sensitive=bool(flags & _SENSITIVE),
        optional=bool(flags & _OPTIONAL),
        wip=bool(flags & _WIP),
    )


@functools.cache
def message(fqn: str) -> Message | None:
    """The message of that full name ("envoy.config.cluster.v3.Cluster"), None if Envoy has no such."""
    row = _table().row("m", fqn)
    if row is None:
        return None
    flags, previous, oneofs, rows = row
    fields: dict[str, Field] = {}
    by_number: dict[int, Field] = {}
    for field in (_field(*each) for each in rows):
        fields[field.name] = fields[field.json_name] = by_number[field.number] = field
    members: dict[str, list[str]] = {name: [] for name in oneofs}
    for field in by_number.values():
        if field.oneof:
            members[field.oneof].append(field.name)
    return Message(
        fqn=fqn,
        fields=fields,
        by_number=by_number,
        oneofs={name: Oneof(required, tuple(members[name])) for name, required in oneofs.items()},
        previous_message_type=previous,
        deprecated=bool(flags & _DEPRECATED),
        unchecked=bool(flags & _DISALLOWED),
        wip=bool(flags & _WIP),
    )


@functools.cache
def enum(fqn: str) -> Enum | None:
    """The enum of that full name, None if Envoy has no such."""
    rows = _table().row("e", fqn)
    if rows is None:
        return None
    numbers: dict[int, str] = {}
    for name, number, *_ in rows:
        numbers.setdefault(number, name)
    return Enum(
        fqn=fqn,
        values={name: number for name, number, *_ in rows},
        lower={name.lower(): name for name, *_ in rows},
        numbers=numbers,
        deprecated=frozenset(row[0] for row in rows if len(row) > 2 and row[2] & _DEPRECATED),
        disallowed=frozenset(row[0] for row in rows if len(row) > 2 and row[2] & _DISALLOWED),
    )


def version() -> str:
    """The Envoy version that the table is of."""
    return str(_table().section("")["version"])


def message_names(package: str = "") -> Iterator[str]:
    """Full names of all messages, or of those that begin with `package`; to read all takes about 30 ms."""
    table = _table()
    for name in table.packages:
        if name.startswith(package) or package.startswith(name):
            for short in table.section(name)["m"]:
                fqn = f"{name}.{short}"
                if fqn.startswith(package):
                    yield fqn


def find_message_of_v2(fqn: str) -> str | None:
    """The v3 message that a v2 message has become, None if it has none (or isn't a v2 message)."""
    name: str | None = _table().section("")["v2"].get(fqn)
    return name


@functools.cache
def extensions() -> tuple[Extension, ...]:
    """Every extension that Envoy has, by category and name; one with an alias stands there under both."""
    rows = _table().section("")["extensions"]
    return tuple(Extension(name, category, tuple(types)) for name, category, types in rows)


@functools.cache
def _extensions_by_name() -> Mapping[tuple[str, str], Extension]:
    return {(each.category, each.name): each for each in extensions()}


def extension(category: str, name: str) -> Extension | None:
    """The extension of that category and name."""
    return _extensions_by_name().get((category, name))


@functools.cache
def extensions_of_type(fqn: str) -> tuple[Extension, ...]:
    """The extensions that take this message as their config."""
    return tuple(each for each in extensions() if fqn in each.types)


def nearest(name: str, candidates: Iterator[str] | Mapping[str, Any] | tuple[str, ...]) -> str | None:
    """The candidate that a misspelt name most likely means, None if none is near."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.7)
    return found[0] if found else None


def nearest_message(fqn: str) -> str | None:
    """The message that a misspelt or misplaced full name most likely means: same last word first, then by letters."""
    last = fqn.rpartition(".")[2]
    names = [name for name in message_names() if ".v3" in name]
    same = [name for name in names if name.rpartition(".")[2] == last]
    return nearest(fqn, tuple(same)) or (same[0] if len(same) == 1 else None) or nearest(fqn, tuple(names))
