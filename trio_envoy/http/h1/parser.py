"""Bytes to HTTP/1 messages, sans-IO: what requests and responses have in common.

Rules:
1. A head is parsed when it is whole: httptools (h1/head.py: strict, fast) sees it in one piece, and what it refuses is
   decided by h1/lenient.py. Of a partial head only the first byte and the first line are looked at, so that garbage is
   answered at once.
2. Bodies never touch httptools: h1/framing.py cuts them, so the start of each pipelined message is known exactly.
3. Every message is an object of its own; feeding may run ahead of whoever takes the messages.
4. An error is kept until the messages before it are taken; what follows it is ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http import hygiene
from trio_envoy.http.h1 import lenient
from trio_envoy.http.h1.framing import Chunked, Framing
from trio_envoy.http.h1.head import Field, HeadReader
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.headers import Headers

TOO_LARGE: Final = (431, "Request Header Fields Too Large")
NOT_IMPLEMENTED: Final = (501, "Not Implemented")
M = TypeVar("M")

READ_BYTES: Final = 16 * 1024  # that Envoy looks at before it reads more
_REJECT: Final = HeadersWithUnderscoresAction.REJECT_REQUEST
_CR: Final = ord("\r")
_END: Final = b"\r\n\r\n"
PLAIN_DIGITS: Final = 18  # a content-length of no more is no larger than Envoy takes
new_headers: Final = partial(object.__new__, Headers)  # the parsers set the rest: a call less for each head
FIELD_BYTES: Final = 3  # that Envoy counts for a field beside name and value (measured)


class Parser(HeadReader, Generic[M]):
    """Finds where heads begin and end; subclasses read them.

    Args:
        options: of this side.
        stats: its `http1.` block.
        make: the httptools parser class.

    Attributes:
        error: what broke the protocol: no message comes after `messages`, and next() raises it.
        messages: whose heads are here; next() takes them, too, and tells what is wrong when there are no more.
        surplus: bytes came where no message may begin; they are dropped.
        refused_bytes, refused_header_bytes: of the head that broke the protocol, or broke off.
        refused_http10: that head speaks a version that is answered as HTTP/1.0.
    """

    __slots__ = (
        "_framing",
        "_max_fields",
        "_max_head",
        "_open",
        "_options",
        "_partial",
        "_stats",
        "error",
        "messages",
        "refused_bytes",
        "refused_header_bytes",
        "refused_http10",
        "surplus",
    )

    def __init__(self, options: Http1Options, stats: Http1Stats, make: Any) -> None:
        super().__init__(make)
        self._options = options
        self._stats = stats
        self._max_head = options.max_head_bytes
        self._max_fields = options.max_fields
        self._framing: Framing | None = None  # of the message that is not whole yet
        self._partial = bytearray()  # of a head
        self.error: RemoteProtocolError | None = None
        self._open = True  # a head may come
        self.messages: deque[M] = deque()
        self.surplus = False
        self.refused_bytes = self.refused_header_bytes = 0
        self.refused_http10 = False

    def next(self) -> M | None:
        """The next message whose head is here.

        Raises:
            RemoteProtocolError: there will be none; for a request, status and text say what to answer.
        """
        if self.messages:
            return self.messages.popleft()
        if self.error is not None and self._framing is None:
            raise self.error
        return None

    @property
    def in_head(self) -> bool:
        """A head has begun and is not whole."""
        return bool(self._partial)

    @property
    def body_error(self) -> RemoteProtocolError | None:
        """What broke the framing of the body that was coming in."""
        return self.error if self._framing is not None else None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection. Never raises: errors come out where the messages do."""
        if self.error is not None:
            return
        position, size = 0, len(data)
        try:
            while position < size:
                framing = self._framing
                if framing is not None:
                    position = framing.feed(data, position)
                    if framing.ended:
                        self._framing = None
                elif not self._open:
                    self.surplus = True
                    return
                elif self._partial or data[position] <= _CR or (end := data.find(_END, position)) < 0:
                    position = self._unusual_head(data, position)
                else:
                    end += len(_END)
                    if end - position > self._max_head:  # unless it ends earlier, with bare LFs
                        position = self._unusual_head(data, position)
                    else:
                        position += self._read(data[position:end])  # no copy when that is all of it
        except RemoteProtocolError as error:
            self.error = error
            self.refused_bytes = len(self._partial) or size - position
            self._partial.clear()

    def end_of_stream(self) -> None:
        """The peer sends no more.

        Raises:
            RemoteProtocolError: in the middle of a message.
        """
        if self._framing is not None:
            framing, self._framing = self._framing, None
            framing.end_of_stream()
        elif self._partial:
            self.refused_bytes = len(self._partial)
            self._partial.clear()
            raise RemoteProtocolError("http1.codec_error")

    def close(self) -> None:
        """No more is fed. An error lets go of the frames that it went through, which refer to us: no circle is left."""
        if self.error is not None:
            self.error.__traceback__ = self.error.__context__ = None

    def _unusual_head(self, data: bytes, position: int) -> int:
        """Gather a head that comes in pieces, or ends with bare LFs, or has blank lines before it."""
        partial = self._partial
        if not partial and data[position] in b"\r\n":
            return self._skip_blank(data, position)
        before = len(partial)
        partial += data[position:]
        found = lenient.HEAD_END.search(partial, max(0, before - 2))
        size = len(partial) if found is None else found.end()
        if size > self._max_head:
            size = self._too_large(partial)
        elif found is None:
            size = self._check_partial(partial)
            if not size:
                return len(data)
        consumed = self._read(bytes(partial[:size]))
        partial.clear()
        return position + consumed - before

    def _skip_blank(self, data: bytes, position: int) -> int:
        """Step over the CR and LF that may stand before a message."""
        end = position + self._max_head
        while position < len(data) and data[position] in b"\r\n":
            position += 1
        head = data[position:end]
        if head and end < len(data) and lenient.HEAD_END.search(head) is None:
            self._check_partial(bytearray(head))  # behind blank lines Envoy sees the first line before the size
        return position

    def _check_first(self, partial: bytearray) -> None:
        """Refuse a first byte that can't begin a head."""
        raise NotImplementedError

    def _check_partial(self, partial: bytearray) -> int:
        """Refuse what can't become a head; the size of one that is whole without an empty line, else 0."""
        raise NotImplementedError

    def _read(self, head: bytes) -> int:
        """Read a whole head; how many of its bytes belong to it (it may end earlier, with bare LFs)."""
        raise NotImplementedError

    def _split_leniently(self, head: bytes) -> tuple[bytes, bytes, int]:
        """First line and rest of what httptools refuses, and the size of the head."""
        found = lenient.HEAD_END.search(head)
        assert found is not None, "a whole head was found"
        size = found.end()
        line, rest = lenient.split_head(head[:size])
        return line, rest, size

    def _fields_leniently(self, rest: bytes) -> list[Field]:
        """The fields of what httptools refuses."""
        fields = lenient.fields_of(rest)
        lengths = values_of(fields, hygiene.CONTENT_LENGTH)
        if len(lengths) > 1 and (len(set(lengths)) > 1 or lengths[0].isdigit()):
            raise RemoteProtocolError("http1.codec_error")
        wrong = next((place for place, (name, _) in enumerate(fields) if not name.isascii()), None)
        if wrong is not None:
            self._length_of(fields)
            if self._options.underscores is _REJECT and any(b"_" in name for name, _ in fields[: max(0, wrong - 1)]):
                self._stats.requests_rejected_with_underscores_in_headers += 1
                raise RemoteProtocolError("http1.unexpected_underscore")
            raise self._too_many() if wrong > self._max_fields + 1 else RemoteProtocolError("http1.codec_error")
        return fields

    def _length_of(self, fields: list[Field]) -> bytes | None:
        """The content-length as it came; a wrong one is refused, unless the body is chunked anyway."""
        length = next((value for name, value in fields if name == hygiene.CONTENT_LENGTH), None)
        if length is not None:
            codings = values_of(fields, hygiene.TRANSFER_ENCODING)
            if not codings or codings[-1].lower() != b"chunked":
                self._content_length(length)
        return length

    def _content_length(self, value: bytes) -> int:
        """The number in a Content-Length; in Envoy a head with a wrong one has not been read at all."""
        try:
            return hygiene.content_length(value)
        except RemoteProtocolError:
            self.refused_header_bytes = 0
            raise

    def _too_large(self, head: bytearray) -> int:
        """The size of a head that is larger than it may be, if its first line is all of it.

        Raises:
            RemoteProtocolError: http1.headers_too_large, or what is wrong with a beginning that is looked at before.
        """
        self._check_first(head)
        size = self._whole_line(head[: self._max_head])
        if size:
            return size
        if len(head) > READ_BYTES <= self._max_head:
            self._check_partial(head[:READ_BYTES])
        raise RemoteProtocolError("http1.headers_too_large", *TOO_LARGE)

    def _whole_line(self, partial: bytearray) -> int:
        """The size of a first line that is a whole head, else 0."""
        return 0

    def _too_many(self) -> RemoteProtocolError:
        return RemoteProtocolError("http1.too_many_headers", *TOO_LARGE)

    def _transfer_encoding(self, values: list[bytes], headers: Headers) -> Chunked | None:
        """The framing that transfer-encoding says; drops the content-length beside it if that is allowed."""
        if not values:
            return None
        options = self._options
        chunked = values[-1].lower() == b"chunked"
        if hygiene.CONTENT_LENGTH in headers.first:
            if not (chunked and options.allow_chunked_length):
                raise RemoteProtocolError("http1.content_length_and_chunked_not_allowed")
            headers.remove(hygiene.CONTENT_LENGTH)
        if not chunked or len(values) > 1:
            raise RemoteProtocolError("http1.invalid_transfer_encoding", *NOT_IMPLEMENTED)
        return Chunked(options.max_head_bytes, keep_trailers=options.trailers, underscores=options.underscores)


def values_of(fields: Sequence[Field], name: bytes) -> list[bytes]:
    """The values of one name."""
    return [value for known, value in fields if known == name]


def field_bytes(fields: list[Field]) -> int:
    """What Envoy counts as header bytes of a head that came in."""
    return sum(len(name) + len(value) + FIELD_BYTES for name, value in fields) or FIELD_BYTES
