"""Text templates compiled: literals and operators become one function that fills one %-template (inline.py).

Used for access-log lines, header values and bodies. Everything is bytes: header values go through as they came.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import attrs

from trio_envoy.errors import ConfigError
from trio_envoy.errors import Path as ConfigPath
from trio_envoy.formatter.command import Command, parse
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Function, Inline
from trio_envoy.formatter.operator import Kind
from trio_envoy.formatter.operators import compile_command

DEFAULT_FORMAT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
DASH: Final = b"-"  # what stands for a value that isn't there, in a log line

Render = Callable[[LogContext], bytes]


@attrs.frozen(eq=False)
class Format:
    """A compiled template.

    Attributes:
        render: the text for a context.
        literal: the text itself when there is no operator in it; else None.
    """

    render: Render
    literal: bytes | None = None


def compile_text(
    template: str | bytes, *, missing: bytes = DASH, at: object | None = None, field: str | ConfigPath = ()
) -> Format:
    """Compile a template.

    Args:
        template: text with %OPERATORS%; bytes that are not UTF-8 pass as they are.
        missing: what stands for a value that isn't there.
        at: config object for errors.
        field: its field.

    Raises:
        ConfigError: an operator that isn't known, or badly written.
    """
    if isinstance(template, bytes):
        template = template.decode("utf-8", "surrogateescape")
    try:
        pieces = parse(template)
        return _build(pieces, missing)
    except ConfigError as error:
        raise ConfigError(error.text, at=at, field=field) from None


def _build(pieces: list[str | Command], missing: bytes) -> Format:
    if all(isinstance(piece, str) for piece in pieces):
        literal = b"".join(_encode(piece) for piece in pieces if isinstance(piece, str))
        return Format(lambda _: literal, literal)
    text = bytearray()
    function = Function()
    absent = function.bind(missing)
    for piece in pieces:
        if isinstance(piece, str):
            text += _encode(piece).replace(b"%", b"%%")
            continue
        kind, source = compile_command(piece)
        if kind is Kind.TEXT and isinstance(source, Inline) and source.fills and piece.length is None:
            text += b"%b"
            function.fill(function.value_of(source, absent))
            continue
        value = function.value_of(source)
        if kind is Kind.COUNT:
            text += b"%d"
            function.fill(value)
        else:
            text += b"%b"
            function.fill(text_of(function, kind, value, piece.length, absent))
    return Format(function.build(bytes(text)))


def text_of(function: Function, kind: Kind, value: str, length: int | None, missing: str) -> str:
    """An expression for the text of a value, no longer than length.

    Args:
        function: where it will stand.
        kind: of the value.
        value: an expression.
        length: bytes.
        missing: an expression for what stands for a value that isn't there.
    """
    if kind is Kind.TEXT and length is None:
        return f"{missing} if (value := {value}) is None else value"
    cut = "" if length is None else f"[:{length}]"
    return f"{missing} if (value := {value}) is None else {function.bind(to_bytes)}(value){cut}"


def to_bytes(value: Any) -> bytes:
    """The text of any value that an operator gives."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if type(value) is int:
        return b"%d" % value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
