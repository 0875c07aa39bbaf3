r"""JSON templates compiled: an object whose keys are sorted, numbers as numbers, null for what isn't there.

Rules, as measured on 1.40.0 (formatter/substitution_formatter.cc):
1. A value that is one operator keeps its type; with text around it, or two operators, it is a string.
2. Text that is no UTF-8 has every byte but plain ASCII written as \u00XX, quotes and backslashes too.
3. With omit_empty_values what isn't there loses its key or place, and so do nulls and objects left empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command, parse
from trio_envoy.formatter.compile import DASH, Render, text_of
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Function
from trio_envoy.formatter.operator import Kind
from trio_envoy.formatter.operators import compile_command

_BYTES = [chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\u{byte:04x}" for byte in range(256)]
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
    function = Function()
    text = f"{_flatten(template, function)}\n"
    render = function.build(text)
    return lambda context: render(context).encode()


def _flatten(template: Any, function: Function) -> str:
    """A %-template of this value, whose holes the function fills."""
    if isinstance(template, Mapping):
        members = (f"{_escape(encode_basestring(key))}:{_flatten(template[key], function)}" for key in sorted(template))
        return f"{{{','.join(members)}}}"
    if isinstance(template, (list, tuple)):
        return f"[{','.join([_flatten(item, function) for item in template])}]"
    if not isinstance(template, str):
        return _literal(template)
    pieces = parse(template)
    if len(pieces) == 1 and isinstance(command := pieces[0], Command):
        function.fill(_typed(command, function, "'null'"))
        return "%s"
    parts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(_escape(encode_basestring(piece)[1:-1]))
        else:
            function.fill(_inner(piece, function, DASH))
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
    function = Function()
    if len(pieces) == 1 and isinstance(command := pieces[0], Command):
        return function.returning(_typed(command, function, "None"))
    text = []
    for piece in pieces:
        if isinstance(piece, str):
            text.append(_escape(encode_basestring(piece)[1:-1]))
        else:
            function.fill(_inner(piece, function, b""))
            text.append("%s")
    return function.build(f'"{"".join(text)}"')


def _literal(value: Any) -> str:
    """Anything but a string; a number of a Struct is a double, Envoy writes no fraction when it has none."""
    if type(value) not in {int, float}:
        return json.dumps(value)
    double = float(value)
    if double == 0:
        return "-0" if str(double).startswith("-") else "0"
    return str(int(double)) if double.is_integer() and abs(double) < 1e21 else json.dumps(double)


def _inner(command: Command, function: Function, missing: bytes) -> str:
    """An operator with text around it: an expression for the inside of a JSON string."""
    kind, source = compile_command(command)
    text = text_of(function, kind, function.value_of(source), command.length, function.bind(missing))
    return f"{function.bind(json_string)}({text})[1:-1]"


def _typed(command: Command, function: Function, missing: str) -> str:
    """An operator on its own: an expression for its JSON text."""
    kind, source = compile_command(command)
    value = function.value_of(source)
    if kind is Kind.COUNT:
        return f"str({value})"
    if kind is not Kind.TEXT and command.length is None:
        return f"{missing} if (value := {value}) is None else {function.bind(_compact)}(value)"
    text = text_of(function, kind, value, command.length, "None")
    return f"{missing} if (text := {text}) is None else {function.bind(json_string)}(text)"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_string(value: bytes) -> str:
    """A JSON string of text that should be UTF-8, by rule 2 when it isn't."""
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return f'"{"".join([_BYTES[byte] for byte in value])}"'
