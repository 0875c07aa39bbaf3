r"""JSON templates compiled: an object whose keys are sorted, numbers as numbers, null for what isn't there.

Rules, as measured on 1.40.0 (formatter/substitution_formatter.cc):
1. A value that is one operator keeps its type; with text around it, or two operators, it is a string.
2. Text that is no UTF-8 has every byte above 0x7f written as \u00XX.
3. With omit_empty_values what isn't there loses its key or place, and so do nulls and objects left empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command, parse
from trio_envoy.formatter.compile import DASH, Render, as_bytes
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.operator import Kind
from trio_envoy.formatter.operators import compile_command

_Write = Callable[[LogContext], str | None]
"""The JSON text of a value; None: it isn't there."""


def compile_json(
    template: Mapping[str, Any], *, omit_empty: bool = False, at: object | None = None, field: str = ""
) -> Render:
    """Compile a template; each call gives one line with its newline.

    Args:
        template: a Struct: strings with %OPERATORS%, numbers, booleans, null, lists, objects.
        omit_empty: SubstitutionFormatString.omit_empty_values.
        at: config object for errors.
        field: its field.

    Raises:
        ConfigError: an operator that isn't known, or badly written.
    """
    try:
        return _omitting(template) if omit_empty else _complete(template)
    except ConfigError as error:
        raise ConfigError(error.text, at=at, field=field) from None


def _complete(template: Mapping[str, Any]) -> Render:
    """All keys are always there, so that the line is one %-template."""
    writers: list[_Write] = []
    text = f"{_flatten(template, writers)}\n"
    compiled = tuple(writers)

    def render(context: LogContext) -> bytes:
        return (text % tuple(["null" if (value := write(context)) is None else value for write in compiled])).encode()

    return render


def _flatten(template: Any, writers: list[_Write]) -> str:
    """A %-template of this value; the writers of its holes are appended."""
    if isinstance(template, Mapping):
        members = (f"{_escape(encode_basestring(key))}:{_flatten(template[key], writers)}" for key in sorted(template))
        return f"{{{','.join(members)}}}"
    if isinstance(template, (list, tuple)):
        return f"[{','.join([_flatten(item, writers) for item in template])}]"
    if not isinstance(template, str):
        return _literal(template)
    pieces = parse(template)
    if len(pieces) == 1 and isinstance(command := pieces[0], Command):
        writers.append(_typed(command))
        return "%s"
    parts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(_escape(encode_basestring(piece)[1:-1]))
        else:
            writers.append(_inner(piece, DASH))
            parts.append("%s")
    return f'"{"".join(parts)}"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _omitting(template: Mapping[str, Any]) -> Render:
    write = _object(template)
    return lambda context: f"{write(context) or '{}'}\n".encode()


def _value(template: Any) -> _Write:
    if isinstance(template, Mapping):
        return _object(template)
    if isinstance(template, (list, tuple)):
        items = tuple(map(_value, template))
        return lambda context: f"[{','.join([text for item in items if (text := item(context)) is not None])}]"
    if isinstance(template, str):
        return _string(template)
    literal = None if template is None else _literal(template)
    return lambda _: literal


def _object(template: Mapping[str, Any]) -> _Write:
    members = tuple((f"{encode_basestring(key)}:", _value(template[key])) for key in sorted(template))

    def write(context: LogContext) -> str | None:
        written = [key + text for key, value in members if (text := value(context)) is not None]
        return f"{{{','.join(written)}}}" if written else None

    return write


def _string(template: str) -> _Write:
    pieces = parse(template)
    if len(pieces) == 1 and isinstance(command := pieces[0], Command):
        return _typed(command)
    writers = [
        _inner(piece, b"") if isinstance(piece, Command) else _constant(encode_basestring(piece)[1:-1])
        for piece in pieces
    ]
    return lambda context: f'"{"".join([write(context) or "" for write in writers])}"'


def _constant(text: str) -> _Write:
    return lambda _: text


def _literal(value: Any) -> str:
    """Anything but a string; a number of a Struct is a double, Envoy writes no fraction when it has none."""
    if type(value) not in {int, float}:
        return json.dumps(value)
    double = float(value)
    if double == 0:
        return "-0" if str(double).startswith("-") else "0"
    return str(int(double)) if double.is_integer() and abs(double) < 1e21 else json.dumps(double)


def _inner(command: Command, missing: bytes) -> _Write:
    """An operator with text around it: the inside of a JSON string."""
    kind, get = compile_command(command)
    text = as_bytes(kind, get, command.length)

    def write(context: LogContext) -> str:
        value = text(context)
        return json_string(missing if value is None else value)[1:-1]

    return write


def _typed(command: Command) -> _Write:
    """An operator on its own."""
    kind, get = compile_command(command)
    if command.length is None:
        if kind is Kind.COUNT:
            return lambda context: str(get(context))
        if kind is not Kind.TEXT:
            return lambda context: None if (value := get(context)) is None else _compact(value)
    text = as_bytes(kind, get, command.length)
    return lambda context: None if (value := text(context)) is None else json_string(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_string(value: bytes) -> str:
    """A JSON string of text that should be UTF-8, by rule 2 when it isn't."""
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return json.dumps(value.decode("latin-1"))
