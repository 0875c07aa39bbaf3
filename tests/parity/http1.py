"""HTTP/1 messages as they stand on the wire: nothing is corrected, order and case are kept.

Both ends of the suite read with this: the client the answers, the scripted upstreams the requests.
"""

from collections.abc import Sequence
from typing import Protocol

import attrs
import trio

from tests.parity.case import Headers


class Source(Protocol):
    """What bytes come from: a trio stream."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, b"" at the end."""
        ...


@attrs.define
class Message:
    """A head with its body. `whole` is False if the peer stopped in the middle."""

    start: str
    headers: Headers
    body: bytes = b""
    trailers: Headers = attrs.field(factory=list)
    whole: bool = True

    def first(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@attrs.define(eq=False)
class Reader:
    """Cuts the bytes of one connection into messages.

    Attributes:
        ended: "" while the peer may still send, else "closed" or "reset".
    """

    source: Source
    buffer: bytearray = attrs.field(factory=bytearray)
    ended: str = ""

    async def more(self) -> bool:
        """Wait for bytes; False when there will be none."""
        if self.ended:
            return False
        try:
            data = await self.source.receive_some(65536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended = "reset"
            return False
        if not data:
            self.ended = "closed"
            return False
        self.buffer += data
        return True

    async def head(self) -> Message | None:
        """The next head; None if the peer ends first. Bytes without a head become an unfinished message."""
        while (end := self._head_end()) is None:
            if not await self.more():
                if not self.buffer:
                    return None
                text = self.buffer.decode("latin-1")
                self.buffer.clear()
                return Message(text, [], whole=False)
        lines = bytes(self.buffer[:end]).decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
        del self.buffer[:end]
        return Message(lines[0], [_field(line) for line in lines[1:]])

    async def body(self, message: Message, *, answers: str = "") -> None:
        """Read the body of a message.

        Args:
            message: the head; its body, trailers and whole are filled in.
            answers: for a response, the method of the request.
        """
        status = [*message.start.split(" "), ""][1]
        coding = message.first("transfer-encoding")
        length = message.first("content-length")
        if answers and (answers == "HEAD" or status in ("204", "304") or (len(status) == 3 and status[0] == "1")):
            return
        if coding and "chunked" in coding.lower():
            await self._chunks(message)
        elif length is not None and length.isdigit():
            message.body = await self._take(int(length), message)
        elif answers:
            while await self.more():
                pass
            message.body, message.whole = bytes(self.buffer), self.ended == "closed"
            self.buffer.clear()

    async def _chunks(self, message: Message) -> None:
        while message.whole:
            line = await self._line(message)
            size = line.split(b";")[0].strip()
            if not message.whole or not _is_hex(size):
                message.whole = False
                return
            if int(size, 16) == 0:
                break
            message.body += await self._take(int(size, 16), message)
            await self._line(message)
        while message.whole and (line := await self._line(message)):
            message.trailers.append(_field(line.decode("latin-1")))

    async def _take(self, count: int, message: Message) -> bytes:
        while len(self.buffer) < count:
            if not await self.more():
                message.whole = False
                break
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def _line(self, message: Message) -> bytes:
        while (end := self.buffer.find(b"\n")) < 0:
            if not await self.more():
                message.whole = False
                return b""
        line = bytes(self.buffer[:end]).rstrip(b"\r")
        del self.buffer[: end + 1]
        return line

    def _head_end(self) -> int | None:
        ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := self.buffer.find(mark)) >= 0]
        return min(ends, default=None)


def encode(
    start: str,
    headers: Headers,
    body: bytes = b"",
    chunks: Sequence[str] | None = None,
    trailers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A message's bytes; content-length or transfer-encoding is added unless the headers have either."""
    lines = list(headers)
    framed = any(name.lower() in ("content-length", "transfer-encoding") for name, _ in lines)
    if chunks is not None:
        if not framed:
            lines.append(("transfer-encoding", "chunked"))
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk.encode("latin-1")) for chunk in chunks)
        body += b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers) + b"\r\n"
    elif body and not framed:
        lines.append(("content-length", str(len(body))))
    text = "".join([start, "\r\n", *(f"{name}: {value}\r\n" for name, value in lines), "\r\n"])
    return text.encode("latin-1") + body


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _is_hex(text: bytes) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
