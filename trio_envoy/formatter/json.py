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
from trio_envoy.formatter.operator import Getter, Kind
from trio_envoy.formatter.operators import compile_command

_Write = Callable[[LogContext], str | None]
"""The JSON text of a value; None: it isn't there and nothing stands for it."""


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
        write = _object(template, omit_empty)
    except ConfigError as error:
        raise ConfigError(error.text, at=at, field=field) from None

    def render(context: LogContext) -> bytes:
        return f"{write(context) or '{}'}\n".encode()

    return render


def _value(template: Any, omit: bool) -> _Write:
    if isinstance(template, str):
        return _string(template, omit)
    if isinstance(template, Mapping):
        return _object(template, omit)
    if isinstance(template, (list, tuple)):
        return _array(template, omit)
    if template is None and omit:
        return lambda _: None
    literal = _number(template) if type(template) in {int, float} else json.dumps(template)
    return lambda _: literal


def _number(value: float) -> str:
    """A number of a Struct is a double; Envoy writes no fraction when it has none."""
    double = float(value)
    if double == 0:
        return "-0" if str(double).startswith("-") else "0"
    if double.is_integer() and abs(double) < 1e21:
        return str(int(double))
    return json.dumps(double)


def _object(template: Mapping[str, Any], omit: bool) -> _Write:
    members = tuple((f"{encode_basestring(key)}:", _value(template[key], omit)) for key in sorted(template))

    def write(context: LogContext) -> str | None:
        written = [key + text for key, value in members if (text := value(context)) is not None]
        return None if omit and not written else f"{{{','.join(written)}}}"

    return write


def _array(template: list[Any] | tuple[Any, ...], omit: bool) -> _Write:
    items = tuple(_value(item, omit) for item in template)

    def write(context: LogContext) -> str | None:
        return f"[{','.join([text for item in items if (text := item(context)) is not None])}]"

    return write


def _string(template: str, omit: bool) -> _Write:
    pieces = parse(template)
    if len(pieces) == 1 and isinstance(command := pieces[0], Command):
        return _single(command, omit)
    parts = [encode_basestring(piece)[1:-1] if isinstance(piece, str) else _inner(piece, omit) for piece in pieces]
    if all(isinstance(part, str) for part in parts):
        literal = f'"{"".join(map(str, parts))}"'
        return lambda _: literal
    return lambda context: f'"{"".join([part if isinstance(part, str) else part(context) for part in parts])}"'


def _inner(command: Command, omit: bool) -> Callable[[LogContext], str]:
    """An operator with text around it."""
    kind, get = compile_command(command)
    text = as_bytes(kind, get, command.length)
    missing = "" if omit else DASH.decode()

    def write(context: LogContext) -> str:
        value = text(context)
        return missing if value is None else json_string(value)[1:-1]

    return write


def _single(command: Command, omit: bool) -> _Write:
    kind, get = compile_command(command)
    missing = None if omit else "null"
    if kind is Kind.COUNT and command.length is None:
        return lambda context: str(get(context))
    if kind is Kind.TEXT or command.length is not None:
        return _text(as_bytes(kind, get, command.length), missing)

    def write(context: LogContext) -> str | None:
        value = get(context)
        return missing if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    return write


def _text(get: Getter, missing: str | None) -> _Write:
    def write(context: LogContext) -> str | None:
        value = get(context)
        return missing if value is None else json_string(value)

    return write


def json_string(value: bytes) -> str:
    """A JSON string of text that should be UTF-8, by rule 2 when it isn't."""
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return json.dumps(value.decode("latin-1"))
