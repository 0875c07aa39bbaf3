"""Bytes to HTTP/1 messages, sans-IO: RequestParser for servers, ResponseParser for clients.

Rules:
1. A head is parsed when it is whole: httptools (strict, fast) sees it in one piece, and what it refuses is decided by
   h1/lenient.py. Of a partial head only the first byte and the first line are looked at, so that garbage is answered.
2. Bodies never touch httptools: h1/framing.py cuts them, so the start of each pipelined message is known exactly.
3. Every message is an object of its own; feeding may run ahead of whoever takes the messages.
4. An error is kept until the messages before it are taken; what follows it is ignored.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import httptools

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http import hygiene
from trio_envoy.http.h1 import lenient, target
from trio_envoy.http.h1.framing import Chunked, Framing, Length, UntilClose
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request

_UPGRADE_REQUIRED: Final = (426, "Upgrade Required")
_NOT_IMPLEMENTED: Final = (501, "Not Implemented")
_TOO_LARGE: Final = (431, "Request Header Fields Too Large")
_DROP: Final = HeadersWithUnderscoresAction.DROP_HEADER
_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW
_CR_LF: Final = frozenset(b"\r\n")
_FIELD_COST: Final = 3  # bytes that Envoy counts for a field beside name and value (measured)


class _Parser:
    """What requests and responses have in common: where heads begin and end, and their fields."""

    __slots__ = ("_error", "_first", "_framing", "_items", "_llhttp", "_options", "_partial", "_special", "_stats")

    _special_names: frozenset[bytes]

    def __init__(self, options: Http1Options, stats: Http1Stats) -> None:
        self._options = options
        self._stats = stats
        self._framing: Framing | None = None  # of the message that is not whole yet
        self._partial = bytearray()  # of a head
        self._error: RemoteProtocolError | None = None
        self._items: list[tuple[bytes, bytes]] = []
        self._first: dict[bytes, bytes] = {}
        self._special: list[tuple[bytes, bytes]] = []

    @property
    def in_head(self) -> bool:
        """A head has begun and is not whole."""
        return bool(self._partial)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection. Never raises: errors come out where the messages do."""
        position, size = 0, len(data)
        while position < size and self._error is None:
            framing = self._framing
            try:
                if framing is None:
                    position = self._head(data, position)
                else:
                    position = framing.feed(data, position)
                    if framing.ended:
                        self._framing = None
            except RemoteProtocolError as error:
                self._error = error
                self._partial.clear()

    def _head(self, data: bytes, position: int) -> int:
        """Read a head that starts (or goes on) at position; where it ends, or len(data)."""
        partial = self._partial
        if not partial:
            if data[position] in _CR_LF:
                return self._skip_blank(data, position)
            end = data.find(b"\r\n\r\n", position)
            if end >= 0:
                end += 4
                head = data if not position and end == len(data) else data[position:end]
                return position + self._whole(head)
        partial += data[position:]
        begun = len(partial) - (len(data) - position)
        end_of_head = lenient.HEAD_END.search(partial, max(0, begun - 2))
        if end_of_head is None:
            self._check_partial(partial)
            return len(data)
        head = bytes(partial[: end_of_head.end()])
        partial.clear()
        return position + self._whole(head) - begun

    def _skip_blank(self, data: bytes, position: int) -> int:
        """Step over the CR and LF that may stand before a request."""
        while position < len(data) and data[position] in _CR_LF:
            position += 1
        return position

    def _check_partial(self, partial: bytearray) -> None:
        if len(partial) > self._options.max_head_bytes:
            raise RemoteProtocolError("http1.headers_too_large", *_TOO_LARGE)

    def _whole(self, head: bytes) -> int:
        """Read a whole head; how many of its bytes belong to it (it may end earlier, with bare LFs)."""
        if len(head) > self._options.max_head_bytes:
            raise RemoteProtocolError("http1.headers_too_large", *_TOO_LARGE)
        self._items = []
        self._first = {}
        self._special = []
        return self._read(head)

    def _read(self, head: bytes) -> int:
        raise NotImplementedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A callback of httptools: one field."""
        name = name.lower()
        value = value.rstrip()
        if name in self._special_names:
            self._special.append((name, value))
            if name != b"te":
                return
        self._items.append((name, value))
        self._first.setdefault(name, value)

    def _lenient_fields(self, head: bytes) -> tuple[bytes, int]:
        """Read the fields of what httptools refused; the first line and how many bytes the head has."""
        end = lenient.HEAD_END.search(head)
        assert end is not None, "a whole head was found"
        self._items = []
        self._first = {}
        self._special = []
        line, fields = lenient.split_head(head[: end.end()])
        for name, value in fields:
            self.on_header(name, value)
        if sum(name == hygiene.CONTENT_LENGTH for name, _ in fields) > 1:
            raise RemoteProtocolError("http1.codec_error")
        return line, end.end()

    def _headers(self) -> Headers:
        headers = Headers.__new__(Headers)
        headers.items = self._items
        headers.first = self._first
        return headers

    def _check_count(self) -> int:
        count = len(self._items) + len(self._special)
        if count > self._options.max_fields:
            raise RemoteProtocolError("http1.too_many_headers", *_TOO_LARGE)
        return count

    def _special_values(self, name: bytes) -> list[bytes]:
        return [value for special, value in self._special if special == name]

    def _transfer_encoding(self, headers: Headers) -> bool:
        """Whether the body is chunked; drops the Content-Length beside it if that is allowed."""
        values = self._special_values(hygiene.TRANSFER_ENCODING)
        if not values:
            return False
        if hygiene.CONTENT_LENGTH in headers.first:
            if not self._options.allow_chunked_length:
                raise RemoteProtocolError("http1.content_length_and_chunked_not_allowed")
            headers.remove(hygiene.CONTENT_LENGTH)
        if len(values) > 1 or values[0].lower() != b"chunked":
            raise RemoteProtocolError("http1.invalid_transfer_encoding", *_NOT_IMPLEMENTED)
        return True

    def _chunked(self) -> Chunked:
        return Chunked(self._options.max_head_bytes, keep_trailers=self._options.trailers)


class RequestMessage:
    """A request as it came, and what only the codec wants to know of it.

    Attributes:
        request: what the handler gets; its body is still None.
        framing: of the body; None if there is none.
        http10: the version is not 1.1, and is treated as 1.0.
        keep_alive: the client wants to go on with the connection.
        head_bytes: on the wire.
        header_bytes: as Envoy counts %DOWNSTREAM_HEADER_BYTES_RECEIVED%.
    """

    __slots__ = ("framing", "head_bytes", "header_bytes", "http10", "keep_alive", "request")

    def __init__(self, request: Request, head_bytes: int, header_bytes: int) -> None:
        self.request = request
        self.framing: Framing | None = None
        self.http10 = False
        self.keep_alive = True
        self.head_bytes = head_bytes
        self.header_bytes = header_bytes


class RequestParser(_Parser):
    """The requests of one connection.

    Args:
        options: of the listener's HCM.
        stats: `http1.`.
        scheme: of requests that don't say it: what the transport is.
    """

    __slots__ = ("_authority_seen", "_last", "_line_checked", "_messages", "_scheme", "_url")

    _special_names = hygiene.REQUEST_SPECIAL

    def __init__(self, options: Http1Options, stats: Http1Stats, scheme: bytes) -> None:
        super().__init__(options, stats)
        self._scheme = scheme
        self._messages: deque[RequestMessage] = deque()
        self._last = False  # no request after this one: it says `connection: close`
        self._line_checked = False
        self._url = b""
        self._authority_seen = b""  # the last one that was valid: clients repeat themselves
        self._llhttp: Any = httptools.HttpRequestParser(self)

    def next(self) -> RequestMessage | None:
        """The next request whose head is here.

        Raises:
            RemoteProtocolError: there will be none; status and text say what to answer.
        """
        if self._messages:
            return self._messages.popleft()
        if self._error is not None and self._framing is None:
            raise self._error
        return None

    @property
    def body_error(self) -> RemoteProtocolError | None:
        """What broke the framing of the body that was being read."""
        return self._error if self._framing is not None else None

    def on_url(self, url: bytes) -> None:
        """A callback of httptools: the request target."""
        self._url = url

    def _head(self, data: bytes, position: int) -> int:
        return len(data) if self._last else super()._head(data, position)

    def _check_partial(self, partial: bytearray) -> None:
        super()._check_partial(partial)
        if self._line_checked:
            return
        line, newline, _ = bytes(partial).partition(b"\n")
        lenient.check_first_byte(line)
        if newline:
            lenient.request_line(line.rstrip(b"\r \t"), custom_methods=self._options.custom_methods)
            self._line_checked = True

    def _read(self, head: bytes) -> int:
        self._line_checked = False
        llhttp = self._llhttp
        try:
            llhttp.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._llhttp = httptools.HttpRequestParser(self)
        except httptools.HttpParserError:
            self._llhttp = httptools.HttpRequestParser(self)
            return self._read_leniently(head)
        method: bytes = llhttp.get_method()
        url = self._url
        line_bytes = len(method) + len(url) + 12
        if not head.startswith(b" HTTP/1.1\r\n", line_bytes - 11) or method not in lenient.METHODS:
            self._llhttp = httptools.HttpRequestParser(self)
            return self._read_leniently(head)
        if not self._accept(method, url, len(head), line_bytes).keep_alive:
            self._last = True
        return len(head)

    def _read_leniently(self, head: bytes) -> int:
        line, size = self._lenient_fields(head)
        method, url, version = lenient.request_line(line, custom_methods=self._options.custom_methods)
        if url[:1] == b"/" and not target.path_is_plain(url):
            raise RemoteProtocolError("http1.codec_error")
        message = self._accept(method, url, size, size)
        fields = [field for field in self._special if field[0] != b"te"] + self._items
        message.header_bytes = sum(len(n) + len(v) + _FIELD_COST for n, v in fields) or _FIELD_COST
        if version != b"HTTP/1.1":
            self._http_10(message)
        self._last = not message.keep_alive
        return size

    def _accept(self, method: bytes, url: bytes, head_bytes: int, line_bytes: int) -> RequestMessage:
        """Make the message of a head whose fields have been read."""
        count = self._check_count()
        if self._options.underscores is not _ALLOW:
            self._check_underscores()
        headers = self._headers()
        request = Request(method, b"", url, self._scheme, headers)
        message = RequestMessage(request, head_bytes, max(head_bytes - line_bytes - 2 - count, _FIELD_COST))
        special = self._special
        if len(special) == 1 and special[0][0] == b"host":
            request.authority = special[0][1]
        elif special:
            self._apply_special(message)
        if method == b"CONNECT":
            self._connect(message)
        elif url[:1] != b"/":
            self._unusual_target(request)
        authority = request.authority
        if authority != self._authority_seen:
            if not hygiene.authority_is_valid(authority):
                raise RemoteProtocolError("http.invalid_authority")
            self._authority_seen = authority
        length = headers.first.get(hygiene.CONTENT_LENGTH)
        if length is not None and message.framing is None:
            size = hygiene.content_length(length)
            if size:
                message.framing = Length(size)
        self._framing = framing = message.framing
        if framing is not None:
            self._llhttp = httptools.HttpRequestParser(self)  # that one waits for the body
        self._messages.append(message)
        return message

    def _apply_special(self, message: RequestMessage) -> None:
        """Fields about the connection and the framing."""
        request = message.request
        headers = request.headers
        hosts = self._special_values(b"host")
        if hosts:
            request.authority = b",".join(hosts)
        options: list[bytes] = []
        for value in self._special_values(hygiene.CONNECTION):
            options += hygiene.options_of(value)
        if options:
            if hygiene.remove_nominated(headers, options):
                request.authority = b""
            if b"close" in options:
                message.keep_alive = False
        proxy_options = self._special_values(b"proxy-connection")
        if proxy_options and b"close" in hygiene.options_of(b",".join(proxy_options)):
            message.keep_alive = False
        if b"te" in headers.first:
            if hygiene.trailers_only(self._special_values(b"te")):
                headers.set(b"te", b"trailers")
            else:
                headers.remove(b"te")
        if b"upgrade" in options:
            upgrade = b",".join(self._special_values(b"upgrade"))
            request.protocol = hygiene.without_h2c(upgrade)
        if self._transfer_encoding(headers):
            message.framing = self._chunked()

    def _http_10(self, message: RequestMessage) -> None:
        """A version other than 1.1 is treated as 1.0, where that is taken at all."""
        if not self._options.accept_http_10:
            self._messages.pop()
            self._framing = None
            raise RemoteProtocolError("low_version", *_UPGRADE_REQUIRED)
        message.http10 = True
        if not message.request.authority:
            message.request.authority = self._options.default_host
        options = hygiene.options_of(b",".join(self._special_values(hygiene.CONNECTION)))
        message.keep_alive = b"keep-alive" in options

    def _connect(self, message: RequestMessage) -> None:
        request = message.request
        request.authority = target.connect_authority(request.path)
        request.path = b""
        if message.framing is not None:
            raise RemoteProtocolError("http1.invalid_transfer_encoding", *_NOT_IMPLEMENTED)
        if hygiene.content_length(request.headers.first.get(hygiene.CONTENT_LENGTH, b"0")):
            raise RemoteProtocolError("http1.body_disallowed")

    def _unusual_target(self, request: Request) -> None:
        """Absolute form, an asterisk, or something that is no target."""
        url = request.path
        if target.path_is_plain(url):
            if url[:1] == b"*":
                target.check_asterisk(request.method, url)
        else:
            scheme, authority, path = target.absolute(url)
            if self._options.allow_absolute_url:
                request.scheme, request.authority, request.path = scheme, authority, path

    def _check_underscores(self) -> None:
        named = [name for name, _ in self._items if b"_" in name]
        if not named:
            return
        if self._options.underscores is not _DROP:
            self._stats.requests_rejected_with_underscores_in_headers += 1
            raise RemoteProtocolError("http1.unexpected_underscore")
        self._stats.dropped_headers_with_underscores += len(named)
        self._items = [field for field in self._items if b"_" not in field[0]]
        for name in named:
            self._first.pop(name, None)


class ResponseMessage:
    """The head of a response.

    Attributes:
        status: 1xx too.
        headers: without the fields of the framing.
        framing: of the body; None if there is none.
        keep_alive: the connection may be used again when the message is over.
        head_bytes, header_bytes: on the wire, and as Envoy counts %UPSTREAM_HEADER_BYTES_RECEIVED%.
    """

    __slots__ = ("framing", "head_bytes", "header_bytes", "headers", "keep_alive", "status")

    def __init__(self, status: int, headers: Headers, head_bytes: int, header_bytes: int) -> None:
        self.status = status
        self.headers = headers
        self.framing: Framing | None = None
        self.keep_alive = True
        self.head_bytes = head_bytes
        self.header_bytes = header_bytes


class ResponseParser(_Parser):
    """The response to one request after the other: call expect() for each.

    Attributes:
        surplus: bytes came that no request asked for; the connection can't be used again.
    """

    __slots__ = ("_method", "_responses", "_waiting", "surplus")

    _special_names = hygiene.RESPONSE_SPECIAL

    def __init__(self, options: Http1Options, stats: Http1Stats) -> None:
        super().__init__(options, stats)
        self._method = b""
        self._responses: deque[ResponseMessage] = deque()
        self._waiting = False
        self.surplus = False
        self._llhttp: Any = httptools.HttpResponseParser(self)

    def expect(self, method: bytes) -> None:
        """A request with this method is on its way: its response may come now."""
        self._method = method
        self._waiting = True

    def next(self) -> ResponseMessage | None:
        """The next head; 1xx come before the real one.

        Raises:
            RemoteProtocolError: the peer broke the protocol.
        """
        if self._responses:
            return self._responses.popleft()
        if self._error is not None and self._framing is None:
            raise self._error
        return None

    @property
    def body_error(self) -> RemoteProtocolError | None:
        """What broke the framing of the body."""
        return self._error if self._framing is not None else None

    def end_of_stream(self) -> None:
        """The peer sends no more.

        Raises:
            RemoteProtocolError: in the middle of a message.
        """
        if self._framing is not None:
            framing, self._framing = self._framing, None
            framing.end_of_stream()
        elif self._partial:
            raise RemoteProtocolError("http1.codec_error")

    def _head(self, data: bytes, position: int) -> int:
        if not self._waiting:
            self.surplus = True
            return len(data)
        return super()._head(data, position)

    def _skip_blank(self, data: bytes, position: int) -> int:
        raise RemoteProtocolError("http1.codec_error")  # not before a response

    def _check_partial(self, partial: bytearray) -> None:
        super()._check_partial(partial)
        if not b"HTTP/1.".startswith(partial[:7]):
            raise RemoteProtocolError("http1.codec_error")

    def _read(self, head: bytes) -> int:
        llhttp = self._llhttp
        try:
            llhttp.feed_data(head)
        except httptools.HttpParserError:  # an HttpParserUpgrade too: it is one
            return self._read_leniently(head)
        status: int = llhttp.get_status_code()
        count = self._check_count()
        # "HTTP/1.1 200 OK\r\n": the line ends at the first LF.
        header_bytes = max(len(head) - head.find(b"\n") - 3 - count, _FIELD_COST)
        self._accept(head[:8], status, len(head), header_bytes)
        return len(head)

    def _read_leniently(self, head: bytes) -> int:
        self._llhttp = httptools.HttpResponseParser(self)
        line, size = self._lenient_fields(head)
        version, status = lenient.status_line(line)
        self._check_count()
        fields = self._special + self._items
        header_bytes = sum(len(n) + len(v) + _FIELD_COST for n, v in fields) or _FIELD_COST
        self._accept(version, status, size, header_bytes)
        return size

    def _accept(self, version: bytes, status: int, head_bytes: int, header_bytes: int) -> None:
        headers = self._headers()
        message = ResponseMessage(status, headers, head_bytes, header_bytes)
        chunked = False
        if version == b"HTTP/1.0":
            message.keep_alive = False
        if self._special:
            options = hygiene.options_of(b",".join(self._special_values(hygiene.CONNECTION)))
            if b"close" in options:
                message.keep_alive = False
            elif b"keep-alive" in options:
                message.keep_alive = True
            chunked = self._transfer_encoding(headers)
        if status < 200 and status != 101:
            self._responses.append(message)
            return
        self._waiting = False
        length = headers.first.get(hygiene.CONTENT_LENGTH)
        size = hygiene.content_length(length) if length is not None else None
        if status == 204 and (chunked or size):
            raise RemoteProtocolError("http1.codec_error")
        if status == 101:
            message.keep_alive = False
        elif self._method == b"HEAD" or status in {204, 304}:
            pass
        elif chunked:
            message.framing = self._chunked()
        elif size is None:
            message.framing = UntilClose()
            message.keep_alive = False
        elif size:
            message.framing = Length(size)
        if message.framing is not None or size or chunked or not message.keep_alive:
            self._llhttp = httptools.HttpResponseParser(self)  # that one waits for a body, or for the end
        self._framing = message.framing
        self._responses.append(message)
