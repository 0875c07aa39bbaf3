"""Bytes to responses, sans-IO; the rules are in h1/parser.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httptools

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http import hygiene
from trio_envoy.http.fields import RESPONSE_ONCE, joined
from trio_envoy.http.h1 import lenient
from trio_envoy.http.h1.framing import Framing, Length, Tunnel, UntilClose
from trio_envoy.http.h1.head import Field, HttpParserError
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.parser import FIELD_BYTES, PLAIN_DIGITS, Parser, field_bytes, make_headers, values_of
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response

_SPECIAL: Final = hygiene.RESPONSE_SPECIAL
_START: Final = b"HTTP/1."


class ResponseMessage(Response):
    """The head of a response, a 1xx too; its body is still None.

    Attributes:
        framing: of the body; None if there is none.
        keep_alive: the connection may be used again when the message is over.
        header_bytes: as Envoy counts %UPSTREAM_HEADER_BYTES_RECEIVED%.
    """

    __slots__ = ("framing", "header_bytes", "keep_alive")

    def __init__(self, status: int, headers: Headers, header_bytes: int) -> None:
        self.status = status
        self.headers = headers
        self.body = None
        self.framing: Framing | None = None
        self.keep_alive = True
        self.header_bytes = header_bytes


class ResponseParser(Parser[ResponseMessage]):
    """The response to one request after the other: call expect() for each.

    With `surplus` (bytes that no request asked for) the connection can't be used again.
    """

    __slots__ = ("_method", "_upgrade")

    def __init__(self, options: Http1Options, stats: Http1Stats) -> None:
        super().__init__(options, stats, httptools.HttpResponseParser)
        self._method = b""
        self._upgrade = b""
        self._open = False

    def expect(self, method: bytes, upgrade: bytes = b"") -> None:
        """A request with this method is on its way, and what it wants to upgrade to: its response may come now."""
        self._method = method
        self._upgrade = upgrade
        self._open = True
        self.refused_header_bytes = 0

    def _skip_blank(self, data: bytes, position: int) -> int:
        raise RemoteProtocolError("http1.codec_error")  # not before a response

    def _check_partial(self, partial: bytearray) -> None:
        if not _START.startswith(partial[: len(_START)]):
            raise RemoteProtocolError("http1.codec_error")

    def _read(self, head: bytes) -> int:
        try:
            fields = self.read(head)
        except HttpParserError:
            line, rest, size = self._split_leniently(head)
            version, status = lenient.status_line(line)
            lines = self._fields_leniently(rest)
            self._accept(version, status, lines, field_bytes(lines))
            return size
        # "HTTP/1.1 200 OK\r\n": the line ends at the first LF. Of "name: value\r\n" Envoy counts one byte less.
        size = len(head)
        status = self.llhttp.get_status_code()
        count = 0 if fields is None else len(fields)
        header_bytes = size - head.find(b"\n") - 3 - count or FIELD_BYTES
        if fields is None or count > self._max_fields or not head.startswith(b"HTTP/1.1"):
            every = self.collect(head) if fields is None else list(fields.items())
            self._accept(head[:8], status, every, header_bytes - len(every) + count)
            return size
        if fields.get(b"connection") == b"keep-alive":  # what many servers always say, and what is so anyway
            del fields[b"connection"]
        if _SPECIAL.isdisjoint(fields):
            self.refused_header_bytes = header_bytes
            self._add(ResponseMessage(status, make_headers(list(fields.items()), fields), header_bytes))
        else:
            self._accept(b"HTTP/1.1", status, list(fields.items()), header_bytes)
        return size

    def _accept(self, version: bytes, status: int, fields: list[Field], header_bytes: int) -> None:
        """Take out what is special in the fields of a head that is well formed."""
        self.refused_header_bytes = header_bytes
        if len(fields) > self._max_fields:
            raise self._too_many()
        if len(dict(fields)) != len(fields):
            fields = joined(fields, RESPONSE_ONCE)
        special = [field for field in fields if field[0] in _SPECIAL]
        taken_out = _SPECIAL
        if status == 101 and self._upgrade and hygiene.says_upgrade(Headers(special)):
            taken_out = hygiene.UPGRADE_SPECIAL
        headers = Headers([field for field in fields if field[0] not in taken_out])
        message = ResponseMessage(status, headers, header_bytes)
        message.keep_alive = version != b"HTTP/1.0"
        if special:
            self._apply_special(message, special)
        self._add(message)

    def _add(self, message: ResponseMessage) -> None:
        """Find out how the body is framed."""
        status = message.status
        if status < 200 and status != 101:
            self.messages.append(message)  # a 1xx has none
            return
        self._open = False
        length = message.headers.first.get(b"content-length")
        size = None
        if length is not None:
            plain = len(length) <= PLAIN_DIGITS and length.isdigit()
            size = int(length) if plain else self._content_length(length)
        chunked = message.framing is not None
        if status == 101:
            message.keep_alive = False
            if b"upgrade" not in message.headers.first:
                message.framing = None
            elif chunked or size:
                raise RemoteProtocolError("http1.codec_error")
            else:
                message.framing = Tunnel()
        elif self._method == b"CONNECT" and 200 <= status < 300:
            message.keep_alive = False
            message.framing = Tunnel()
        elif status == 204 and (chunked or size):
            raise RemoteProtocolError("http1.codec_error")
        elif self._method == b"HEAD" or status in {204, 304}:
            message.framing = None
        elif size:
            message.framing = Length(size)
        elif size is None and not chunked:
            message.framing = UntilClose()
            message.keep_alive = False
        self._framing = message.framing
        if size or chunked or not message.keep_alive:
            self.restart()
        self.messages.append(message)

    def _apply_special(self, message: ResponseMessage, special: Sequence[Field]) -> None:
        """Fields about the connection and the framing."""
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        if b"close" in options:
            message.keep_alive = False
        elif b"keep-alive" in options:
            message.keep_alive = True
        message.framing = self._transfer_encoding(values_of(special, b"transfer-encoding"), message.headers)
