"""HTTP/1 messages to bytes, sans-IO: one join for a head.

Sources: RFC 9112 §6; which framing field Envoy adds, and where, measured on 1.40: fields in the order of the message,
then `connection`, then `content-length: 0` or `transfer-encoding: chunked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.http.spelling import Spelling, proper_case

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CONTINUE_10: Final = b"HTTP/1.0 100 Continue\r\n\r\n"  # a client that says both gets both
LAST_CHUNK: Final = b"0\r\n\r\n"

# Envoy's CodeUtility::toString (measured); all others are "Unknown".
_REASONS: Final = {
    100: b"Continue",
    101: b"Switching Protocols",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    208: b"Already Reported",
    226: b"IM Used",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Payload Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    422: b"Unprocessable Entity",
    423: b"Locked",
    424: b"Failed Dependency",
    425: b"Too Early",
    426: b"Upgrade Required",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    506: b"Variant Also Negotiates",
    507: b"Insufficient Storage",
    508: b"Loop Detected",
    510: b"Not Extended",
    511: b"Network Authentication Required",
    599: b"Last Unassigned Server Error Code",
}
_START: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}
_FIELD: Final = b": ".join
_CHUNKED: Final = b"transfer-encoding: chunked"
_EMPTY: Final = b"content-length: 0"
_NO_LENGTH: Final = frozenset({b"GET", b"HEAD", b"DELETE", b"TRACE", b"CONNECT"})  # no content-length: 0 on these


class Encoding(Enum):
    """How the body follows the head."""

    NONE = auto()
    PLAIN = auto()  # content-length says where it ends, or the end of the connection does
    CHUNKED = auto()
    TUNNEL = auto()  # as PLAIN; the end of it is that of our side of the connection


NONE: Final = Encoding.NONE  # a look-up in an enum costs as much as a call
PLAIN: Final = Encoding.PLAIN
CHUNKED: Final = Encoding.CHUNKED
TUNNEL: Final = Encoding.TUNNEL


def status_line(status: int, spelling: Spelling | None = None, *, http10: bool = False) -> bytes:
    """The first line of a response."""
    line = _START.get(status)
    if spelling is not None and spelling.reason:
        line = b"HTTP/1.1 %d %b\r\n" % (status, spelling.reason)
    elif line is None:
        line = b"HTTP/1.1 %d Unknown\r\n" % status
    return b"HTTP/1.0" + line[8:] if http10 else line


def _spelled(fields: Iterable[tuple[bytes, bytes]], spell: Callable[[bytes], bytes]) -> list[tuple[bytes, bytes]]:
    """Fields with their names as they are written; apart, since a variable that a comprehension uses is a slow one."""
    return [(spell(name), value) for name, value in fields]


def response_head(
    status: int,
    headers: Headers,
    has_body: bool,
    head: bool = False,
    http10: bool = False,
    proper: bool = False,
) -> tuple[bytes, Encoding]:
    """A response's head, and how its body follows.

    Args:
        status: of the response.
        headers: of the response; of those of the framing only content-length and the `connection` that we say.
        has_body: there is a body (it is not sent where there may be none).
        head: the request was HEAD.
        http10: the client speaks HTTP/1.0: no chunks.
        proper: names Like-This, unless the headers have their own spelling.
    """
    fields: Iterable[tuple[bytes, bytes]] = headers.every or headers.first.items()
    line = _START.get(status)
    spell: Callable[[bytes], bytes] | None = headers.spelling
    if line is None or http10 or proper or spell is not None:
        line = status_line(status, headers.spelling, http10=http10)
        spell = spell or (proper_case if proper else None)
        if spell is not None:
            fields = _spelled(fields, spell)
    parts = list(map(_FIELD, fields))
    if status < 200 or status == 204:
        encoding = NONE  # and no content-length (RFC 9110 s8.6)
        parts = [part for part in parts if part[:15].lower() != b"content-length:"]
    elif b"content-length" in headers.first:
        encoding = PLAIN if has_body and not head and status != 304 else NONE
    elif head or (has_body and status != 304):
        encoding = NONE if head else PLAIN if http10 else CHUNKED
        if not http10 and status != 304:
            parts.append(_CHUNKED if spell is None else spell(b"transfer-encoding") + b": chunked")
    else:
        encoding = NONE
        if status != 304:
            parts.append(_EMPTY if spell is None else spell(b"content-length") + b": 0")
    parts.append(b"\r\n" if parts else b"")
    return line + (b"\r\n".join(parts) or b"\r\n"), encoding


def tunnel_head(status: int, headers: Headers, *, http10: bool, proper: bool) -> bytes:
    """The head of a response behind which there is no HTTP: fields as they are; see response_head."""
    spell = headers.spelling or (proper_case if proper else None)
    fields = headers if spell is None else _spelled(headers, spell)
    return status_line(status, headers.spelling, http10=http10) + b"\r\n".join([*map(_FIELD, fields), b"\r\n"])


def request_encoding(request: Request) -> Encoding:
    """How the body of a request is framed."""
    if request.body is None:
        return NONE
    if request.method == b"CONNECT":
        return TUNNEL
    return PLAIN if request.protocol or b"content-length" in request.headers.first else CHUNKED


def request_head(request: Request, encoding: Encoding, full_url: bool = False, proper: bool = False) -> bytes:
    """A request's head: Host first, as Envoy writes it.

    Args:
        request: what to send.
        encoding: what request_encoding said.
        full_url: the target is scheme://authority/path.
        proper: names Like-This, unless the headers have their own spelling.
    """
    method = request.method
    target = request.path
    if method == b"CONNECT":
        target = request.authority
    elif full_url:
        target = b"%b://%b%b" % (request.scheme, request.authority, target)
    headers = request.headers
    spell: Callable[[bytes], bytes] | None = headers.spelling
    if spell is None and not proper:
        parts = [method + b" " + target + b" HTTP/1.1\r\nhost: " + request.authority]
        parts += map(_FIELD, headers.every or headers.first.items())
    else:
        spell = spell or proper_case
        parts = [method + b" " + target + b" HTTP/1.1\r\n" + spell(b"host") + b": " + request.authority]
        parts += map(_FIELD, _spelled(headers, spell))
    if encoding is CHUNKED:
        parts.append(_CHUNKED if spell is None else spell(b"transfer-encoding") + b": chunked")
    elif encoding is NONE and method not in _NO_LENGTH and b"content-length" not in headers.first:
        parts.append(_EMPTY if spell is None else spell(b"content-length") + b": 0")
    parts.append(b"\r\n")
    return b"\r\n".join(parts)


def chunk(data: bytes) -> bytes:
    """One chunk; data is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers | None) -> bytes:
    """The end of a chunked body, with trailers if there are some."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n" + b"\r\n".join(map(_FIELD, trailers)) + b"\r\n\r\n"
