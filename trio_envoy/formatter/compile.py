"""Text templates compiled: literals and operators become one %-template and a tuple of getters.

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
from trio_envoy.formatter.operator import Getter, Kind
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
    text = bytearray()
    getters: list[Getter] = []
    for piece in pieces:
        if isinstance(piece, str):
            text += _encode(piece).replace(b"%", b"%%")
            continue
        kind, get = compile_command(piece)
        text += b"%d" if kind is Kind.COUNT else b"%b"
        getters.append(get if kind is Kind.COUNT else as_bytes(kind, get, piece.length))
    if not getters:
        literal = b"".join(_encode(piece) for piece in pieces if isinstance(piece, str))
        return Format(lambda _: literal, literal)
    template, compiled = bytes(text), tuple(getters)

    def render(context: LogContext) -> bytes:
        return template % tuple([missing if (value := get(context)) is None else value for get in compiled])

    return Format(render)


def as_bytes(kind: Kind, get: Getter, length: int | None) -> Getter:
    """A getter that gives text (or None) whatever the operator's kind, no longer than length."""
    if kind is Kind.TEXT and length is None:
        return get

    def rendered(context: LogContext) -> bytes | None:
        value = get(context)
        return None if value is None else _to_bytes(value)[:length]

    return rendered


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if type(value) is int:
        return b"%d" % value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
