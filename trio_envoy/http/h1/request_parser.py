"""Bytes to requests, sans-IO; the rules are in h1/parser.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httptools

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http import hygiene
from trio_envoy.http.fields import REQUEST_ONCE, joined
from trio_envoy.http.h1 import lenient, target
from trio_envoy.http.h1.framing import Chunked, Framing, Length, Tunnel
from trio_envoy.http.h1.head import Field, HttpParserError
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.parser import (
    FIELD_BYTES,
    NOT_IMPLEMENTED,
    PLAIN_DIGITS,
    Parser,
    field_bytes,
    make_headers,
    values_of,
)
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request

_UPGRADE_REQUIRED: Final = (426, "Upgrade Required")
_SPECIAL: Final = hygiene.REQUEST_SPECIAL - {b"host"}
_TAKEN_OUT: Final = hygiene.REQUEST_SPECIAL - {b"te"}  # that one may stay, in its place
_ONCE: Final = REQUEST_ONCE | {b"host"}
_METHODS: Final = lenient.METHODS
_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW
_DROP: Final = HeadersWithUnderscoresAction.DROP_HEADER


class RequestMessage(Request):
    """A request as it came, and what only the codec wants to know of it; its body is still None.

    Attributes:
        framing: of the body; None if there is none.
        http10: the version is not 1.1, and is treated as 1.0.
        keep_alive: the client wants to go on with the connection.
        head_bytes: on the wire.
        header_bytes: as Envoy counts %DOWNSTREAM_HEADER_BYTES_RECEIVED%.
    """

    __slots__ = ("framing", "head_bytes", "header_bytes", "http10", "keep_alive")

    def __init__(
        self,
        method: bytes,
        authority: bytes,
        path: bytes,
        scheme: bytes,
        headers: Headers,
        head_bytes: int,
        header_bytes: int,
    ) -> None:
        self.method = method
        self.authority = authority
        self.path = path
        self.scheme = scheme
        self.headers = headers
        self.body = None
        self.protocol = b""
        self.host_missing = False
        self.framing: Framing | None = None
        self.http10 = False
        self.keep_alive = True
        self.head_bytes = head_bytes
        self.header_bytes = header_bytes


class RequestParser(Parser[RequestMessage]):
    """The requests of one connection.

    Args:
        options: of the listener's HCM.
        stats: `http1.`.
        scheme: of requests that don't say it: what the transport is.
    """

    __slots__ = ("_authority_seen", "_line_checked", "_scheme", "_underscores")

    def __init__(self, options: Http1Options, stats: Http1Stats, scheme: bytes) -> None:
        super().__init__(options, stats, httptools.HttpRequestParser)
        self._scheme = scheme
        self._underscores = options.underscores is not _ALLOW
        self._line_checked = False
        self._authority_seen = b""  # the last one that was valid: clients repeat themselves

    def _check_partial(self, partial: bytearray) -> None:
        if self._line_checked:
            return
        line, newline, _ = bytes(partial).partition(b"\n")
        lenient.check_first_byte(line)
        if newline:
            lenient.request_line(line.rstrip(b"\r \t"), custom_methods=self._options.custom_methods)
            self._line_checked = True

    def _read(self, head: bytes) -> int:
        self._line_checked = False
        try:
            fields = self.read(head)
        except HttpParserError:
            return self._accept_lenient(head)
        method: bytes = self.llhttp.get_method()
        url = self.urls.pop()
        line_bytes = len(method) + len(url) + 12
        if not head.startswith(b" HTTP/1.1\r\n", line_bytes - 11) or method not in _METHODS:
            self.restart()
            return self._accept_lenient(head)
        size = len(head)
        if fields is None:
            every = self.collect(head)
            self._accept(method, url, every, size, size - line_bytes - 2 - len(every))
            return size
        count = len(fields)
        # Of "name: value\r\n" Envoy counts one byte less; no look at each field is needed.
        header_bytes = size - line_bytes - 2 - count or FIELD_BYTES
        if count > self._max_fields or not _SPECIAL.isdisjoint(fields):
            self._accept(method, url, list(fields.items()), size, header_bytes)
        else:
            host = fields.pop(b"host", None)
            self._add(method, url, host, make_headers(list(fields.items()), fields), (), size, header_bytes)
        return size

    def _accept_lenient(self, head: bytes) -> int:
        self.refused_header_bytes = 0
        lenient.check_first_byte(head)
        line, rest, size = self._split_leniently(head)
        method, url, version = lenient.request_line(line, custom_methods=self._options.custom_methods)
        if url[:1] == b"/" and not target.path_is_plain(url):
            raise RemoteProtocolError("http1.codec_error")
        fields = self._fields_leniently(rest) if version else []  # HTTP/0.9 has none: what stands there is ignored
        message = self._accept(method, url, fields, size, field_bytes(fields))
        if not line.endswith(b"HTTP/1.1"):  # Envoy looks here, not at the version: `GET /,HTTP/1.1` passes for 1.1
            self._http_10(message, fields)
            self._open = message.keep_alive
        return size

    def _accept(self, method: bytes, url: bytes, fields: list[Field], size: int, header_bytes: int) -> RequestMessage:
        """Take out what is special in the fields of a head that is well formed."""
        self.refused_header_bytes = header_bytes
        if len(fields) > self._max_fields:
            raise self._too_many()
        if len(dict(fields)) != len(fields):
            fields = joined(fields, _ONCE)
        host = next((value for name, value in fields if name == b"host"), None)
        special = [field for field in fields if field[0] in _SPECIAL]
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        upgrade = hygiene.wanted_upgrade(options, values_of(special, b"upgrade"))
        taken_out = hygiene.UPGRADE_SPECIAL if upgrade else _TAKEN_OUT
        headers = Headers([field for field in fields if field[0] not in taken_out])
        return self._add(method, url, host, headers, special, size, header_bytes)

    def _add(
        self,
        method: bytes,
        url: bytes,
        host: bytes | None,
        headers: Headers,
        special: Sequence[Field],
        size: int,
        header_bytes: int,
    ) -> RequestMessage:
        """Make the message, and find out how its body is framed."""
        self.refused_header_bytes = header_bytes
        if self._underscores:
            self._check_underscores(headers)
        message = RequestMessage(method, host or b"", url, self._scheme, headers, size, header_bytes)
        if special:
            self._apply_special(message, special)
        if url[:1] != b"/" or method == b"CONNECT":
            self._unusual_target(message)
        authority = message.authority
        if host is None and not authority:
            message.host_missing = True
        if authority != self._authority_seen:
            if not hygiene.authority_is_valid(authority):
                raise RemoteProtocolError("http.invalid_authority")
            self._authority_seen = authority
        length_field = headers.first.get(b"content-length")
        if length_field is not None and message.framing is None:
            plain = len(length_field) <= PLAIN_DIGITS and length_field.isdigit()
            length = int(length_field) if plain else self._content_length(length_field)
            if length:
                message.framing = Length(length)
        if special or message.framing is not None:
            self.restart()
            self._framing = message.framing
        if not message.keep_alive:
            self._open = False
        self.messages.append(message)
        return message

    def _apply_special(self, message: RequestMessage, special: Sequence[Field]) -> None:
        """Fields about the connection and the framing."""
        headers = message.headers
        if b"upgrade" in headers.first:  # else it was taken out
            self._apply_upgrade(message, special)
            return
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        if options:
            if hygiene.remove_nominated(headers, options):
                message.authority, message.host_missing = b"", True
            if b"close" in options:
                message.keep_alive = False
        if b"close" in hygiene.options_of(b",".join(values_of(special, b"proxy-connection"))):
            message.keep_alive = False
        if b"te" in headers.first:
            te = hygiene.te_that_goes_on(values_of(special, b"te"))
            if te is None:
                headers.remove(b"te")
            else:
                headers.set(b"te", te)
        message.framing = self._transfer_encoding(values_of(special, b"transfer-encoding"), headers)

    def _apply_upgrade(self, message: RequestMessage, special: Sequence[Field]) -> None:
        """What follows an upgrade is no HTTP, whatever the fields of the framing say; they must be in order, though."""
        headers = message.headers
        headers.set(b"connection", b",".join(values_of(special, b"connection")))
        upgrade = b",".join(values_of(special, b"upgrade"))
        headers.set(b"upgrade", upgrade)
        message.protocol = upgrade or hygiene.NAMELESS
        self._transfer_encoding(values_of(special, b"transfer-encoding"), headers)
        length = headers.first.get(b"content-length")
        if length is not None:
            self._content_length(length)
        message.framing = Tunnel()
        message.keep_alive = False

    def _http_10(self, message: RequestMessage, fields: list[Field]) -> None:
        """A version other than 1.1 is treated as 1.0, where that is taken at all."""
        if not self._options.accept_http_10:
            self.messages.pop()
            self._framing = None
            raise RemoteProtocolError("low_version", *_UPGRADE_REQUIRED)
        message.http10 = True
        if not message.authority and self._options.default_host:
            message.authority, message.host_missing = self._options.default_host, False
        options = hygiene.options_of(b",".join(values_of(fields, b"connection")))
        message.keep_alive = b"keep-alive" in options

    def _unusual_target(self, message: RequestMessage) -> None:
        """CONNECT, absolute form, an asterisk, or something that is no target."""
        url = message.path
        if message.method == b"CONNECT":
            message.authority = target.connect_authority(url)
            message.path = b""
            if isinstance(message.framing, Chunked):
                raise RemoteProtocolError("http1.invalid_transfer_encoding", *NOT_IMPLEMENTED)
            if hygiene.content_length(message.headers.first.get(b"content-length", b"0")):
                raise RemoteProtocolError("http1.body_disallowed")
            message.headers.remove(b"content-length")
            message.framing = Tunnel()
            message.keep_alive = False
        elif target.path_is_plain(url):
            target.check_asterisk(message.method, url)
        else:
            scheme, authority, path = target.absolute(url)
            if self._options.allow_absolute_url:
                message.scheme, message.authority, message.path = scheme, authority, path

    def _check_underscores(self, headers: Headers) -> None:
        named = [name for name, _ in headers.items if b"_" in name]
        if not named:
            return
        if self._options.underscores is not _DROP:
            self._stats.requests_rejected_with_underscores_in_headers += 1
            raise RemoteProtocolError("http1.unexpected_underscore")
        self._stats.dropped_headers_with_underscores += len(named)
        for name in named:
            headers.remove(name)
