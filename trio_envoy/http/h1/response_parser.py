"""Bytes to responses, sans-IO; the rules are in h1/parser.py."""

from __future__ import annotations

import re
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
from trio_envoy.http.h1.parser import FIELD_BYTES, PLAIN_DIGITS, Parser, field_bytes, new_headers, values_of
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response

_SPECIAL: Final = hygiene.RESPONSE_SPECIAL
_ONCE: Final = RESPONSE_ONCE - {hygiene.TRANSFER_ENCODING}
_START: Final = ord("H")

# First lines that can be left to httptools, which looks less closely; those that came are remembered.
_PLAIN_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r")
_STATUSES: Final[dict[bytes, int]] = {}
_MAX_STATUSES: Final = 256
_MAX_LINE: Final = 128  # bytes of those that are remembered: upstreams choose them


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

    __slots__ = ("_line_checked", "_method", "_upgrade")

    def __init__(self, options: Http1Options, stats: Http1Stats) -> None:
        super().__init__(options, stats, httptools.HttpResponseParser)
        self._method = b""
        self._upgrade = b""
        self._open = False
        self._line_checked = False

    def expect(self, method: bytes, upgrade: bytes = b"") -> None:
        """A request with this method is on its way, and what it wants to upgrade to: its response may come now."""
        self._method = method
        self._upgrade = upgrade
        self._open = True
        self.refused_header_bytes = 0

    def _skip_blank(self, data: bytes, position: int) -> int:
        raise RemoteProtocolError("http1.codec_error")  # not before a response

    def _check_first(self, partial: bytearray) -> None:
        if partial[0] != _START:
            raise RemoteProtocolError("http1.codec_error")

    def _check_partial(self, partial: bytearray) -> int:
        if not self._line_checked:
            self._check_first(partial)
            line, newline, _ = bytes(partial).partition(b"\n")
            if newline:
                lenient.status_line(b" ".join(lenient.words_of(line)))
                self._line_checked = True
        return 0

    def _read(self, head: bytes) -> int:
        self._line_checked = False
        end = head.find(b"\n")
        status = _STATUSES.get(head[:end]) or _learn(head[:end])  # "HTTP/1.1 200 OK\r"
        if not status:
            return self._accept_lenient(head)
        try:
            fields = self.read(head)
        except HttpParserError:
            return self._accept_lenient(head)
        size = len(head)
        # Of "name: value\r\n" Envoy counts one byte less.
        header_bytes = size - end - 3
        if fields is None:
            every = self.collect(head)
            self._accept(b"HTTP/1.1", status, every, header_bytes - len(every) or FIELD_BYTES)
            return size
        count = len(fields)
        header_bytes = header_bytes - count or FIELD_BYTES
        if fields.get(b"connection") == b"keep-alive":  # what many servers always say, and what is so anyway
            del fields[b"connection"]
        if count > self._max_fields or not _SPECIAL.isdisjoint(fields):
            self._accept(b"HTTP/1.1", status, list(fields.items()), header_bytes)
        else:
            self.refused_header_bytes = header_bytes
            headers = new_headers()
            headers.first, headers.every = fields, None
            message = ResponseMessage(status, headers, header_bytes)
            self._add(message, fields.get(b"content-length"))
        return size

    def _accept_lenient(self, head: bytes) -> int:
        line, rest, size = self._split_leniently(head)
        version, status = lenient.status_line(line)
        fields = self._fields_leniently(rest)
        self._accept(version, status, fields, field_bytes(fields))
        return size

    def _accept(self, version: bytes, status: int, fields: list[Field], header_bytes: int) -> None:
        """Take out what is special in the fields of a head that is well formed."""
        self.refused_header_bytes = header_bytes
        length = self._length_of(fields)
        if len(dict(fields)) != len(fields):
            fields = joined(fields, _ONCE)
        if len(fields) > self._max_fields:
            raise self._too_many()
        special = [field for field in fields if field[0] in _SPECIAL]
        taken_out = _SPECIAL
        if status == 101 and self._upgrade and hygiene.says_upgrade(Headers(special)):
            taken_out = hygiene.UPGRADE_SPECIAL
        headers = Headers([field for field in fields if field[0] not in taken_out])
        message = ResponseMessage(status, headers, header_bytes)
        message.keep_alive = version == b"HTTP/1.1"
        if special:
            self._apply_special(message, special)
        self._add(message, length)

    def _add(self, message: ResponseMessage, length: bytes | None) -> None:
        """Find out how the body is framed.

        Args:
            message: to be taken by next().
            length: its content-length as it came.
        """
        status = message.status
        if status < 200 or status == 204:
            self._check_bodiless(message)
            length = None
            if status < 200 and status != 101:
                self.messages.append(message)
                return
        self._open = False
        size = None
        chunked = message.framing is not None
        if length is not None and not chunked:
            plain = len(length) <= PLAIN_DIGITS and length.isdigit()
            size = int(length) if plain else self._content_length(length)
        if status == 101:
            message.keep_alive = False
            if b"upgrade" in message.headers.first:
                message.framing = Tunnel()
        elif self._method == b"CONNECT" and 200 <= status < 300:
            message.keep_alive = False
            message.framing = Tunnel()
        elif self._method == b"HEAD" or status in {204, 304}:
            message.framing = None
        elif size:
            message.framing = Length(size)
        elif size is None and not chunked:
            message.framing = UntilClose()
            message.keep_alive = False
        self._framing = message.framing
        if size != 0 or not message.keep_alive:  # what follows for httptools is no head
            self.restart()
        self.messages.append(message)

    def _apply_special(self, message: ResponseMessage, special: Sequence[Field]) -> None:
        """Fields about the connection and the framing."""
        options = hygiene.options_of(b",".join(values_of(special, b"connection")))
        if message.keep_alive:
            message.keep_alive = b"close" not in options
        else:  # HTTP/1.0
            message.keep_alive = b"keep-alive" in options
        if b"close" in hygiene.options_of(b",".join(values_of(special, b"proxy-connection"))):
            message.keep_alive = False
        message.framing = self._transfer_encoding(values_of(special, b"transfer-encoding"), message.headers)

    def _check_bodiless(self, message: ResponseMessage) -> None:
        """A 1xx and a 204 have no body, and say so."""
        length = message.headers.first.get(b"content-length")
        if message.framing is not None or length not in {None, b"0"}:
            raise RemoteProtocolError("http1.codec_error")
        if length is not None:
            message.headers.remove(b"content-length")


def _learn(line: bytes) -> int:
    """The status that a first line says, if httptools may read a head with it; else 0."""
    matched = _PLAIN_LINE.fullmatch(line)
    if matched is None:
        return 0
    status = int(matched[1])
    if len(_STATUSES) < _MAX_STATUSES and len(line) <= _MAX_LINE:
        _STATUSES[line] = status
    return status
