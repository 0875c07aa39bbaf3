"""What HTTP/2 messages must be (RFC 9113 s8.2, s8.3), checked as Envoy checks it; fields to requests and responses.

A message that breaks a rule of names and values is `http2.invalid.header.field`, one that lacks something or
contradicts itself `http2.violation.of.messaging.rule`; the former is looked for first (measured on 1.40).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import inf
from typing import Final

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.h2.state import Fields
from trio_envoy.http.headers import Headers
from trio_envoy.http.hpack.errors import Oversized
from trio_envoy.http.message import Request

INVALID: Final = "http2.invalid.header.field"
VIOLATION: Final = "http2.violation.of.messaging.rule"

REQUEST_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority", b":protocol"})
RESPONSE_PSEUDO: Final = frozenset({b":status"})
_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAMES: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+(?:\n[!#$%&'*+\-.^_`|~0-9a-z]+)*")  # a line each
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW
_DROP: Final = HeadersWithUnderscoresAction.DROP_HEADER
_MAX_LENGTH: Final = 2**63 - 1  # bytes of a body
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*")
_AUTHORITY: Final = re.compile(rb"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]+")
_PATH: Final = re.compile(rb"[^\x00-\x20\x7f]+")
_COMMON: Final = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"http", b"https", b"/"})
_HTTP_SCHEMES: Final = frozenset({b"http", b"https"})


def split(fields: Fields, pseudo_names: Collection[bytes]) -> tuple[dict[bytes, bytes], Headers]:
    """(pseudo-headers, headers) of a head.

    Raises:
        RemoteProtocolError: a name or a value is not allowed.
    """
    pseudo: dict[bytes, bytes] = {}
    begin = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in pseudo_names or name in pseudo:
            raise RemoteProtocolError(INVALID)
        pseudo[name] = value
        begin += 1
    headers = Headers(fields[begin:])
    _check(headers)
    return pseudo, headers


def _check(headers: Headers) -> None:
    first = headers.first
    if (
        (first and not _NAMES.fullmatch(b"\n".join(first)))
        or _BAD_VALUE.search(b"".join([value for _, value in headers]))
        or not first.keys().isdisjoint(_CONNECTION)
        or (b"te" in first and any(value.lower() != b"trailers" for value in headers.get_all(b"te")))
    ):
        raise RemoteProtocolError(INVALID)


def join_cookies(headers: Headers) -> None:
    """The pieces of `cookie` (RFC 9113 s8.2.3) as one field, at the end of the others as in Envoy."""
    cookies = headers.joined(b"cookie", b"; ")
    if cookies is not None:
        headers.remove(b"cookie")
        headers.add(b"cookie", cookies)


def trailers_of(fields: Fields) -> Headers:
    """The trailers of a message, which have no pseudo-headers.

    Raises:
        RemoteProtocolError: a name or a value is not allowed.
    """
    return split(fields, ())[1]


def request(fields: Fields, options: Http2Options, stats: Http2Stats, *, ended: bool) -> tuple[Request, float]:
    """(the request that a head stands for, the length of its body or inf).

    Args:
        fields: pseudo-headers first.
        options: extended CONNECT (RFC 8441), names with an underscore.
        stats: count those.
        ended: it has no body.

    Raises:
        RemoteProtocolError: it is malformed.
        UnwantedNameError: it has a name with an underscore that is not wanted.
    """
    pseudo, headers = split(fields, REQUEST_PSEUDO)
    length = check_request(pseudo, headers, ended=ended, extended=options.allow_connect)
    if options.underscores is not _ALLOW:  # a call less
        check_underscores(headers, options, stats)
    if b"cookie" in headers.first:
        join_cookies(headers)
    host = headers.first.get(b"host")
    if host is not None:
        headers.remove(b"host")
    authority = pseudo.get(b":authority") or host
    method, protocol = pseudo[b":method"], pseudo.get(b":protocol", b"")
    if protocol:  # from here on it is an upgrade as in HTTP/1, as in Envoy
        method = b"GET"
        headers.add(b"upgrade", protocol)
        headers.add(b"connection", b"upgrade")
    return Request(
        method,
        authority or b"",
        pseudo.get(b":path", b""),
        pseudo.get(b":scheme", b""),
        headers,
        None,
        protocol,
        authority is None,
    ), length


class UnwantedNameError(RemoteProtocolError):
    """A name has an underscore, which is not wanted; the stream is reset, and no rule is broken."""


def check_underscores(headers: Headers, options: Http2Options, stats: Http2Stats) -> None:
    """Do with names that have an underscore what headers_with_underscores_action says; also in trailers.

    Raises:
        UnwantedNameError: there is one.
    """
    action = options.underscores
    if action is _ALLOW:
        return
    for name in [name for name in headers.first if b"_" in name]:
        if action is not _DROP:
            stats.requests_rejected_with_underscores_in_headers += 1
            raise UnwantedNameError("http2.unexpected_underscore")
        stats.dropped_headers_with_underscores += 1
        headers.remove(name)


def check_request(pseudo: dict[bytes, bytes], headers: Headers, *, ended: bool, extended: bool = False) -> float:
    """What a request must have, and its content-length against its end.

    Args:
        pseudo: its pseudo-headers.
        headers: the others.
        ended: it has no body.
        extended: extended CONNECT (RFC 8441) is allowed.

    Returns:
        The length of its body, inf if it says none.

    Raises:
        RemoteProtocolError: it can't be.
    """
    length = _check_values(pseudo, headers, extended=extended)
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    protocol = b":protocol" in pseudo
    if method is None or (b":authority" not in pseudo and (protocol or b"host" not in headers.first)):
        raise RemoteProtocolError(VIOLATION)
    if method == b"CONNECT" and not protocol:
        if path is not None or b":scheme" in pseudo:
            raise RemoteProtocolError(VIOLATION)
        return length
    scheme = pseudo.get(b":scheme")
    if path is None or scheme is None or (protocol and method != b"CONNECT") or (ended and 0 < length < inf):
        raise RemoteProtocolError(VIOLATION)
    if path[:1] != b"/" and scheme.lower() in _HTTP_SCHEMES and not (path == b"*" and method == b"OPTIONS"):
        raise RemoteProtocolError(VIOLATION)
    return length


def _check_values(pseudo: dict[bytes, bytes], headers: Headers, *, extended: bool) -> float:
    """The fields of a request, each by itself; gives what content-length says."""
    host = headers.first.get(b"host")
    for pattern, value in (
        (_METHOD, pseudo.get(b":method")),
        (_SCHEME, pseudo.get(b":scheme")),
        (_AUTHORITY, pseudo.get(b":authority")),
        (_PATH, pseudo.get(b":path")),
        (_AUTHORITY, host),
    ):
        if value is not None and value not in _COMMON and not pattern.fullmatch(value):
            raise RemoteProtocolError(INVALID)
    protocol = pseudo.get(b":protocol")
    if protocol is not None and (not extended or _BAD_VALUE.search(protocol)):
        raise RemoteProtocolError(INVALID)
    if host is not None and len(headers.get_all(b"host")) > 1:
        raise RemoteProtocolError(INVALID)
    return length_of(headers)


def check_response(pseudo: dict[bytes, bytes], headers: Headers, method: bytes, *, ended: bool) -> tuple[int, float]:
    """(the status of a response, the length of its body or inf).

    Args:
        pseudo: its pseudo-headers.
        headers: the others.
        method: of the request; CONNECT has no length, HEAD no body.
        ended: it has no body.

    Raises:
        RemoteProtocolError: it can't be.
    """
    text = pseudo.get(b":status")
    if text is None:
        raise RemoteProtocolError(VIOLATION)
    if len(text) != 3 or not text.isdigit() or text == b"101":
        raise RemoteProtocolError(INVALID)
    status = int(text)
    if 100 <= status < 200:
        if b"content-length" in headers.first:
            raise RemoteProtocolError(INVALID)
        if ended:
            raise RemoteProtocolError(VIOLATION)
        return status, 0
    length = length_of(headers)
    if status == 204:
        if 0 < length < inf:
            raise RemoteProtocolError(INVALID)
        return status, 0
    if method == b"HEAD" or status == 304:
        return status, 0
    if method == b"CONNECT" and 200 <= status < 300:
        return status, inf
    if ended and 0 < length < inf:
        raise RemoteProtocolError(VIOLATION)
    return status, length


def length_of(headers: Headers) -> float:
    """What content-length says; inf if there is none.

    Raises:
        RemoteProtocolError: there are two, or it is no number.
    """
    digits = headers.first.get(b"content-length")
    if digits is None:
        return inf
    if not digits.isdigit() or len(headers.get_all(b"content-length")) > 1:
        raise RemoteProtocolError(INVALID)
    digits = digits.lstrip(b"0")
    if len(digits) > len(str(_MAX_LENGTH)) or (length := int(digits or b"0")) > _MAX_LENGTH:
        raise RemoteProtocolError(INVALID)
    return length


def says_length(trailers: Headers, received: int) -> bool:
    """Whether content-length, if it is in there, is as many bytes as have come.

    Raises:
        RemoteProtocolError: it is no length.
    """
    return length_of(trailers) in {inf, received}


def byte_size(fields: Fields) -> int:
    """Bytes of names and values."""
    size = 0
    for name, value in fields:
        size += len(name) + len(value)
    return size


def oversize(error: Oversized, max_fields: int, stats: Http2Stats) -> str:
    """The details of a head or trailers over the limits, which are counted."""
    if error.fields > max_fields:
        stats.header_overflow += 1
        return "http2.too_many_headers"
    stats.header_list_size_too_large += 1
    return "http2.header_list_size_too_large"
