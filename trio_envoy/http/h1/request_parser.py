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
    READ_BYTES,
    Parser,
    field_bytes,
    new_headers,
    values_of,
)
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request

_UPGRADE_REQUIRED: Final = (426, "Upgrade Required")
_SPECIAL: Final = hygiene.REQUEST_SPECIAL - {b"host"}
_TAKEN_OUT: Final = hygiene.REQUEST_SPECIAL - {b"te", b"http2-settings"}  # these may stay, in their places
_ONCE: Final = (REQUEST_ONCE | {b"host"}) - {hygiene.TRANSFER_ENCODING}
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
        secure: the connection is a TLS one.
    """

    __slots__ = ("_authority_seen", "_line_checked", "_plain", "_scheme", "_underscores")

    def __init__(self, options: Http1Options, stats: Http1Stats, scheme: bytes, *, secure: bool = False) -> None:
        super().__init__(options, stats, httptools.HttpRequestParser)
        self._scheme = scheme
        self._underscores = options.underscores is not _ALLOW
        self._plain = options.check_scheme and not secure
        self._line_checked = False
        self._authority_seen = b""  # the last one that was valid: clients repeat themselves

    def _check_first(self, partial: bytearray) -> None:
        lenient.check_first_byte(partial)

    def _check_partial(self, partial: bytearray) -> int:
        if self._line_checked:
            return 0
        lenient.check_first_byte(partial)
        end = partial.find(b"\n")
        if end < 0:
            return 0
        if self._whole_line(partial):
            return end + 1
        words = lenient.words_of(partial[:end])
        lenient.request_line(words, custom_methods=self._options.custom_methods)
        self._line_checked = True
        return 0

    def _whole_line(self, partial: bytearray) -> int:
        end = partial.find(b"\n")
        return end + 1 if end >= 0 and len(lenient.words_of(partial[:end])) < 3 else 0  # HTTP/0.9

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
        if count > self._max_fields or self._underscores or not _SPECIAL.isdisjoint(fields):
            self._accept(method, url, list(fields.items()), size, header_bytes)
        else:
            self.refused_header_bytes = header_bytes
            host = fields.pop(b"host", None)
            headers = new_headers()
            headers.first, headers.every = fields, None
            message = RequestMessage(method, host or b"", url, self._scheme, headers, size, header_bytes)
            self._add(message, host, fields.get(b"content-length"))
        return size

    def _accept_lenient(self, head: bytes) -> int:
        self.refused_header_bytes = 0
        self.refused_http10 = False
        lenient.check_first_byte(head)
        first, _, rest = head.partition(b"\n")
        words = lenient.words_of(first)
        if len(words) < 3:
            rest = b""  # HTTP/0.9: what follows is another request
        size = len(first) + 1 + lenient.end_of(rest)
        if size > READ_BYTES:  # the first line is looked at before the rest is here
            lenient.request_line(words, custom_methods=self._options.custom_methods)
        lenient.check_controls(head[:size])
        method, url, _ = lenient.request_line(words, custom_methods=self._options.custom_methods)
        fields = self._fields_leniently(head[len(first) + 1 : size])
        # Envoy looks here, not at the version: `GET /,HTTP/1.1` passes for 1.1.
        http10 = not first.rstrip(b" \t\r" if rest else b"\r").endswith(b"HTTP/1.1")
        self._accept(method, url, fields, size, field_bytes(fields), http10=http10)
        return size

    def _accept(
        self, method: bytes, url: bytes, fields: list[Field], size: int, header_bytes: int, *, http10: bool = False
    ) -> None:
        """Take out what is special in the fields of a head that is well formed."""
        self.refused_header_bytes = header_bytes
        length = self._length_of(fields)
        if self._underscores:
            fields = self._without_underscores(fields)
        if len(dict(fields)) != len(fields):
            fields = joined(fields, _ONCE)
        if len(fields) > self._max_fields:
            raise self._too_many()
        self.refused_http10 = http10 and self._options.accept_http_10
        if method == b"CONNECT" and length not in {None, b"0"}:
            raise RemoteProtocolError("http1.body_disallowed")
        host = next((value for name, value in fields if name == b"host"), None)
        special = [field for field in fields if field[0] in _SPECIAL]
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        upgrades = values_of(special, b"upgrade")
        upgrade = hygiene.wanted_upgrade(options, upgrades)
        taken_out = hygiene.UPGRADE_SPECIAL if upgrade else _TAKEN_OUT
        if upgrades and not upgrade and b"upgrade" in options:
            taken_out |= {b"http2-settings"}  # belongs to h2c, which is ignored
        headers = Headers([field for field in fields if field[0] not in taken_out])
        message = RequestMessage(method, host or b"", url, self._scheme, headers, size, header_bytes)
        if special:
            self._apply_special(message, special)
            if method == b"CONNECT" and isinstance(message.framing, Chunked):
                raise RemoteProtocolError("http1.invalid_transfer_encoding", *NOT_IMPLEMENTED)
            self.restart()  # an upgrade, or `connection: close`, would stop httptools
        if http10:
            message.http10 = True
            message.keep_alive = b"keep-alive" in options and not message.protocol
        self._add(message, host, length)

    def _add(self, message: RequestMessage, host: bytes | None, length: bytes | None) -> None:
        """Settle the target, and find out how the body is framed.

        Args:
            message: to be taken by next().
            host: of its fields.
            length: its content-length as it came, whatever has become of the field.
        """
        if length is not None and message.framing is None:
            plain = len(length) <= PLAIN_DIGITS and length.isdigit()
            size = int(length) if plain else self._content_length(length)
            if size:
                message.framing = Length(size)
        if message.path[:1] != b"/" or message.method == b"CONNECT":
            self._unusual_target(message)
        if message.http10:
            self._http_10(message, host)
        authority = message.authority
        if host is None and not authority:
            message.host_missing = True
        if authority != self._authority_seen:
            if not hygiene.authority_is_valid(authority):
                raise RemoteProtocolError("http.invalid_authority")
            self._authority_seen = authority
        if message.framing is not None or not message.keep_alive:
            self.restart()
            self._framing = message.framing
            self._open = message.keep_alive
        self.messages.append(message)

    def _apply_special(self, message: RequestMessage, special: Sequence[Field]) -> None:
        """Fields about the connection and the framing."""
        headers = message.headers
        if b"upgrade" in headers.first:  # else it was taken out
            self._apply_upgrade(message, special)
            return
        message.framing = self._transfer_encoding(values_of(special, b"transfer-encoding"), headers)
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        if options and message.method != b"CONNECT":  # whose fields stay as they are
            if hygiene.remove_nominated(headers, options):
                message.authority, message.host_missing = b"", True
            if b"close" in options:
                message.keep_alive = False
        if b"close" in hygiene.options_of(b",".join(values_of(special, b"proxy-connection"))):
            message.keep_alive = False
        if b"te" in headers.first:
            said = values_of(special, b"te")
            te = hygiene.te_that_goes_on(map(bytes.lower, said) if b"te" in options else said)
            if te is None:
                headers.remove(b"te")
            else:
                headers.set(b"te", te)

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

    def _http_10(self, message: RequestMessage, host: bytes | None) -> None:
        """A version other than 1.1 is treated as 1.0, where that is taken at all."""
        if not self._options.accept_http_10:
            raise RemoteProtocolError("low_version", *_UPGRADE_REQUIRED)
        if host is None and not message.authority and self._options.default_host:
            message.authority, message.host_missing = self._options.default_host, False

    def _unusual_target(self, message: RequestMessage) -> None:
        """CONNECT, absolute form, an asterisk, or something that is no target."""
        url = message.path
        if not target.is_target(url, message.method):
            raise RemoteProtocolError("http1.codec_error")
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
        elif self._options.allow_absolute_url and not (url[:1] == b"*" and message.method == b"OPTIONS"):
            message.scheme, message.authority, message.path = target.absolute(url)
            message.host_missing = False
            if self._plain and message.scheme == b"https":
                raise RemoteProtocolError("http1.https_url_on_plaintext_connection", 403, "Forbidden")

    def _without_underscores(self, fields: list[Field]) -> list[Field]:
        """What headers_with_underscores_action leaves of the fields."""
        places = [place for place, (name, _) in enumerate(fields) if b"_" in name]
        if not places:
            return fields
        if self._options.underscores is not _DROP:
            if places[0] > self._max_fields:
                raise self._too_many()  # Envoy looks at one field after the other
            self._stats.requests_rejected_with_underscores_in_headers += 1
            raise RemoteProtocolError("http1.unexpected_underscore")
        self._stats.dropped_headers_with_underscores += len(places)
        return [field for field in fields if b"_" not in field[0]]
