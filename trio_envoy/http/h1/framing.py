"""Where the body of an HTTP/1 message ends: by length, by chunks, or by the end of the connection. Sans-IO.

Sources: RFC 9112 §6 and §7. A framing takes bytes as they come and gives payload; several pieces of one feed come out
as one chunk, as Envoy dispatches them.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1.lenient import HEAD_END, trailer_fields
from trio_envoy.http.headers import Headers

_CHUNK_SIZE: Final = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r")
_MAX_SIZE_LINE: Final = 64 * 1024  # bytes of a chunk's size with its extensions; Envoy skips them unlimited
_NOT_IN_TRAILERS: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})


class Framing:
    """The body of one message on its way in; once it has ended, it is a Body by itself.

    Attributes:
        ended: the last byte is here.
        trailers: fields after the body, None if there were none.
        wire_bytes: what was fed so far.
    """

    __slots__ = ("_chunks", "ended", "trailers", "wire_bytes")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.ended = False
        self.trailers: Headers | None = None
        self.wire_bytes = 0

    def feed(self, data: bytes, position: int) -> int:
        """Take data from position on; where the next message starts (len(data) if all belongs to this one).

        Raises:
            RemoteProtocolError: the framing is broken.
        """
        raise NotImplementedError

    def end_of_stream(self) -> None:
        """The peer sends no more.

        Raises:
            RemoteProtocolError: that is too early.
        """
        if not self.ended:
            raise RemoteProtocolError("http1.codec_error")

    @property
    def drained(self) -> bool:
        """The last byte is here and was taken."""
        return self.ended and not self._chunks

    def take(self) -> bytes | None:
        """All payload that is here; b"" at the end; None if more must be fed."""
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            return data
        return b"" if self.ended else None

    read_nowait = take

    async def read(self) -> bytes:
        """Body.read of a body that has ended."""
        assert self.ended, "who waits for the rest of a body asks its connection"
        return self.take() or b""


class Length(Framing):
    """content-length bytes."""

    __slots__ = ("_remaining",)

    def __init__(self, length: int) -> None:
        self._chunks = []
        self._remaining = length
        self.ended = not length
        self.trailers = None
        self.wire_bytes = 0

    def feed(self, data: bytes, position: int) -> int:
        end = position + self._remaining
        here = len(data)
        if end <= here:  # all of the rest
            self.ended = True
            here = end
        size = here - position
        if size:
            self._chunks.append(data[position:here])  # no copy when that is all of it
        self._remaining -= size
        self.wire_bytes += size
        return here


class UntilClose(Framing):
    """Everything up to the end of the connection (responses only)."""

    __slots__ = ()

    def feed(self, data: bytes, position: int) -> int:
        size = len(data) - position
        if size:
            self._chunks.append(data[position:] if position else data)
            self.wire_bytes += size
        return len(data)

    def end_of_stream(self) -> None:
        self.ended = True


class Tunnel(Framing):
    """Bytes that are no HTTP, behind an upgrade or a CONNECT: they end only with the connection, which is a loss."""

    __slots__ = ()

    feed = UntilClose.feed


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class Chunked(Framing):
    """transfer-encoding: chunked.

    Args:
        max_trailer_bytes: of the whole trailer section.
        underscores: what becomes of trailers whose names have one.
        keep_trailers: otherwise they are checked and dropped (Http1ProtocolOptions.enable_trailers).
    """

    __slots__ = ("_at", "_dispatched", "_keep", "_line", "_max_trailer_bytes", "_remaining", "_touched", "_underscores")

    def __init__(
        self,
        max_trailer_bytes: int,
        *,
        keep_trailers: bool,
        underscores: HeadersWithUnderscoresAction = HeadersWithUnderscoresAction.ALLOW,
    ) -> None:
        super().__init__()
        self._at = _At.SIZE
        self._remaining = 0
        self._dispatched = 0  # chunks that go on, whatever follows them
        self._line = b""  # of a size or of the trailers, what came in earlier feeds
        self._keep = keep_trailers
        self._max_trailer_bytes = max_trailer_bytes
        self._underscores = underscores
        self._touched = False  # somebody reads

    def feed(self, data: bytes, position: int) -> int:
        start = position
        size = len(data)
        self._dispatched = len(self._chunks)
        try:
            while position < size and not self.ended:
                if self._at is _At.DATA:
                    position = self._data(data, position)
                elif self._at is _At.SIZE:
                    position = self._size(data, position)
                elif self._at is _At.DATA_END:
                    position = self._data_end(data, position)
                else:
                    position = self._trailers(data, position)
        except RemoteProtocolError:
            del self._chunks[self._dispatched :]  # nothing goes on of what came with the fault
            raise
        finally:
            self.wire_bytes += (position if self.ended else size) - start
        return position

    @property
    def drained(self) -> bool:
        """Also of an empty body the end must have been taken."""
        return self._touched and self.ended and not self._chunks

    def take(self) -> bytes | None:
        """As that of Framing."""
        self._touched = True
        return Framing.take(self)

    read_nowait = take

    def _data(self, data: bytes, position: int) -> int:
        end = min(position + self._remaining, len(data))
        self._chunks.append(data[position:end])
        self._remaining -= end - position
        if not self._remaining:
            self._at = _At.DATA_END
        return end

    def _size(self, data: bytes, position: int) -> int:
        newline = data.find(b"\n", position)
        if newline < 0:
            self._line += data[position:]
            if len(self._line) > _MAX_SIZE_LINE or not _may_become_size(self._line):
                raise RemoteProtocolError("http1.codec_error")
            return len(data)
        matched = _CHUNK_SIZE.fullmatch(self._line + data[position:newline])
        if matched is None:
            raise RemoteProtocolError("http1.codec_error")
        self._line = b""
        self._remaining = int(matched[1], 16)
        self._at = _At.DATA if self._remaining else _At.TRAILERS
        if not self._remaining:
            self._dispatched = len(self._chunks)  # only the trailers can be wrong now
        return newline + 1

    def _data_end(self, data: bytes, position: int) -> int:
        line = self._line + data[position : position + 2 - len(self._line)]
        if not b"\r\n".startswith(line):
            raise RemoteProtocolError("http1.codec_error")
        position += len(line) - len(self._line)
        if len(line) == 2:
            self._line = b""
            self._at = _At.SIZE
        else:
            self._line = line
        return position

    def _trailers(self, data: bytes, position: int) -> int:
        before = len(self._line)
        # A newline in front, so that the end looks the same with and without fields.
        block = b"\n" + self._line + data[position:]
        end = HEAD_END.search(block, max(0, before - 1))
        size = len(block) - 1 if end is None else end.end() - 1
        if size > self._max_trailer_bytes:
            raise RemoteProtocolError("http1.headers_too_large", 431, "Request Header Fields Too Large")
        if end is None:
            self._line = block[1:]
            return len(data)
        self._finish(block[1 : end.end()])
        return position + size - before

    def _finish(self, block: bytes) -> None:
        fields = trailer_fields(block)
        kept = [field for field in fields if field[0] not in _NOT_IN_TRAILERS] if self._keep else []
        if kept and self._underscores is not HeadersWithUnderscoresAction.ALLOW:
            plain = [field for field in kept if b"_" not in field[0]]
            if len(plain) < len(kept) and self._underscores is HeadersWithUnderscoresAction.REJECT_REQUEST:
                raise RemoteProtocolError("http1.unexpected_underscore")
            kept = plain
        if kept:
            self.trailers = Headers(kept)
        self._line = b""
        self.ended = True


def _may_become_size(line: bytes) -> bool:
    return re.fullmatch(rb"0*[0-9A-Fa-f]{1,16}(?:[ \t]*(?:;[^\r\n]*)?)?\r?", line) is not None
