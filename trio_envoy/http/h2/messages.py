"""What HTTP/2 messages must be (RFC 9113 s8.2, s8.3), checked as Envoy checks it; fields to requests and responses.

A message that breaks a rule of names and values is `http2.invalid.header.field`, one that lacks something or
contradicts itself `http2.violation.of.messaging.rule` (measured on 1.40).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import inf
from typing import Final

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.h2.session import Fields
from trio_envoy.http.headers import Headers

INVALID: Final = "http2.invalid.header.field"
VIOLATION: Final = "http2.violation.of.messaging.rule"

REQUEST_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority", b":protocol"})
RESPONSE_PSEUDO: Final = frozenset({b":status"})
_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH_DIGITS: Final = 18  # what fits into 64 bits, whatever the digits
_PATH: Final = re.compile(rb"(?:/|\*\Z)[^\x00-\x20\x7f]*")


def split(fields: Fields, pseudo_names: Collection[bytes]) -> tuple[dict[bytes, bytes], Headers]:
    """(pseudo-headers, headers) of a head.

    Raises:
        RemoteProtocolError: a name or a value is not allowed.
    """
    pseudo: dict[bytes, bytes] = {}
    items: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name[:1] == b":":
            if items or name not in pseudo_names or name in pseudo:
                raise RemoteProtocolError(INVALID)
            pseudo[bytes(name)] = bytes(value)
        else:
            _check(name, value)
            items.append((bytes(name), bytes(value)))
    return pseudo, Headers(items)


def join_cookies(headers: Headers) -> None:
    """The pieces of `cookie` (RFC 9113 s8.2.3) as one field, at the end of the others as in Envoy."""
    cookies = headers.joined(b"cookie", b"; ")
    if cookies is not None:
        headers.remove(b"cookie")
        headers.add(b"cookie", cookies)


def _check(name: bytes, value: bytes) -> None:
    if name in _CONNECTION or not _NAME.fullmatch(name) or _BAD_VALUE.search(value):
        raise RemoteProtocolError(INVALID)
    if name == b"te" and value != b"trailers":
        raise RemoteProtocolError(INVALID)


def trailers_of(fields: Fields) -> Headers:
    """The trailers of a message, which have no pseudo-headers.

    Raises:
        RemoteProtocolError: a name or a value is not allowed.
    """
    return split(fields, ())[1]


def check_request(pseudo: dict[bytes, bytes], headers: Headers, *, ended: bool, extended: bool = False) -> None:
    """What a request must have, and its content-length against its end.

    Args:
        pseudo: its pseudo-headers.
        headers: the others.
        ended: it has no body.
        extended: extended CONNECT (RFC 8441) is allowed.

    Raises:
        RemoteProtocolError: it can't be.
    """
    method = pseudo.get(b":method")
    protocol = b":protocol" in pseudo
    if (protocol and not extended) or len(headers.get_all(b"host")) > 1:
        raise RemoteProtocolError(INVALID)
    if not method:
        raise RemoteProtocolError(VIOLATION)
    if b":authority" not in pseudo and (protocol or b"host" not in headers):
        raise RemoteProtocolError(VIOLATION)
    if protocol and method != b"CONNECT":
        raise RemoteProtocolError(VIOLATION)
    if method == b"CONNECT" and not protocol:
        if b":path" in pseudo or b":scheme" in pseudo:
            raise RemoteProtocolError(VIOLATION)
        return
    path = pseudo.get(b":path")
    if path is None or b":scheme" not in pseudo:
        raise RemoteProtocolError(VIOLATION)
    if not _PATH.fullmatch(path):
        raise RemoteProtocolError(INVALID)
    if ended and 0 < length_of(headers) < inf:
        raise RemoteProtocolError(VIOLATION)


def check_response(pseudo: dict[bytes, bytes]) -> int:
    """The status of a response.

    Raises:
        RemoteProtocolError: there is none.
    """
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise RemoteProtocolError(VIOLATION)
    return int(status)


def length_of(headers: Headers) -> float:
    """What content-length says; inf if there is none.

    Raises:
        RemoteProtocolError: there are two, or it is no number.
    """
    values = headers.get_all(b"content-length")
    if not values:
        return inf
    digits = values[0].lstrip(b"0")
    if len(values) > 1 or not values[0].isdigit() or len(digits) > _LENGTH_DIGITS:
        raise RemoteProtocolError(INVALID)
    return int(digits or b"0")


def byte_size(fields: Fields) -> int:
    """Bytes of names and values."""
    return sum(len(name) + len(value) for name, value in fields)


def oversize(fields: Fields, max_fields: int, max_bytes: int, stats: Http2Stats) -> str:
    """The details of a head or trailers over the limits, which are counted; else ""."""
    if len(fields) > max_fields:
        stats.header_overflow += 1
        return "http2.too_many_headers"
    if byte_size(fields) > max_bytes:
        stats.header_list_size_too_large += 1
        return "http2.header_list_size_too_large"
    return ""
