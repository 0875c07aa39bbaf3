"""Large bodies over HTTP/2 with raw frames: a client with one stream, which gives windows back as it reads."""

from typing import Any

import trio

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_LARGEST = 16_384
_BLOCK = bytes(range(256)) * (_LARGEST // 256)
_WINDOW_SIZE = 1 << 20
_STALL = 60.0  # s without a byte


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def request(path: bytes, length: int | None) -> bytes:
    """HEADERS of a GET, or of a POST if it has a length; no Huffman, nothing indexed."""
    end = length is None
    block = (b"\x82" if end else b"\x83") + b"\x86"
    fields = [(b":path", path), (b":authority", b"soak.test")]
    if not end:
        fields.append((b"content-length", b"%d" % length))
    for name, value in fields:
        block += b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value
    return frame(_HEADERS, 5 if end else 4, 1, block)


class Exchange:
    """One request on a connection of its own.

    Attributes:
        received: bytes of DATA so far.
        tail: the last of them.
        ended: the response is whole.
    """

    def __init__(self, stream: Any) -> None:
        self.received = 0
        self.tail = b""
        self.ended = False
        self._stream = stream
        self._buffer = b""
        self._room = [65_535, 65_535]  # bytes that we may send: on the connection, on the stream
        self._initial = 65_535

    async def begin(self, path: bytes, length: int | None = None) -> None:
        """Send the preface, a window of a MiB and the request."""
        settings = frame(_SETTINGS, 0, 0, b"\x00\x04" + _WINDOW_SIZE.to_bytes(4, "big"))
        window = frame(_WINDOW, 0, 0, (_WINDOW_SIZE - 65_535).to_bytes(4, "big"))
        await self._stream.send_all(_PREFACE + settings + window + request(path, length))

    async def send(self, size: int) -> None:
        """DATA as the windows allow, and the end of the stream."""
        while size > 0:
            while (room := min(*self._room, size)) <= 0:
                await self.read()
            pieces = []
            while room > 0:
                piece = _BLOCK[: min(room, _LARGEST)]
                room -= len(piece)
                size -= len(piece)
                self._room = [left - len(piece) for left in self._room]
                pieces.append(frame(_DATA, 1 if size == 0 else 0, 1, piece))
            with trio.fail_after(_STALL):
                await self._stream.send_all(b"".join(pieces))

    async def finish(self) -> int:
        """Read to the end of the response; how many bytes its body had."""
        while not self.ended:
            await self.read()
        return self.received

    async def read(self) -> None:
        """Take what has come.

        Raises:
            EOFError: the connection or the stream was ended.
        """
        with trio.fail_after(_STALL):
            data = await self._stream.receive_some(1 << 18)
        if not data:
            raise EOFError(self.received)
        self._buffer += data
        at, taken, answers = 0, 0, b""
        while len(self._buffer) - at >= 9:
            size = int.from_bytes(self._buffer[at : at + 3], "big")
            if len(self._buffer) - at - 9 < size:
                break
            kind, flags = self._buffer[at + 3], self._buffer[at + 4]
            payload = self._buffer[at + 9 : at + 9 + size]
            if kind == _DATA:
                taken += size
                self.tail = payload or self.tail
                self.ended = bool(flags & 1)
            else:
                on_connection = self._buffer[at + 5 : at + 9] == b"\0\0\0\0"
                answers += self._control(kind, flags, payload, on_connection=on_connection)
            at += 9 + size
        self._buffer = self._buffer[at:]
        self.received += taken
        if taken:
            back = taken.to_bytes(4, "big")
            answers += frame(_WINDOW, 0, 0, back) + (b"" if self.ended else frame(_WINDOW, 0, 1, back))
        if answers:
            await self._stream.send_all(answers)

    def _control(self, kind: int, flags: int, payload: bytes, *, on_connection: bool) -> bytes:
        """Take a frame that is not DATA; gives the answer to it."""
        if kind in (_RST, _GOAWAY):
            raise EOFError(f"frame {kind}: {payload!r}")
        if kind == _WINDOW:
            self._room[0 if on_connection else 1] += int.from_bytes(payload, "big")
        elif kind == _SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                if payload[at : at + 2] == b"\x00\x04":
                    value = int.from_bytes(payload[at + 2 : at + 6], "big")
                    self._room[1] += value - self._initial
                    self._initial = value
            return frame(_SETTINGS, 1, 0, b"")
        elif kind == _PING and not flags & 1:
            return frame(_PING, 1, 0, payload)
        elif kind == _HEADERS and flags & 1:
            self.ended = True
        return b""


async def down(port: int, path: str, size: int) -> int:
    """Download so many bytes; how many came."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        exchange = Exchange(stream)
        await exchange.begin(f"{path}/{size}".encode())
        return await exchange.finish()


async def up(port: int, path: str, size: int) -> int:
    """Upload so many bytes; how many the upstream says that it got."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        exchange = Exchange(stream)
        await exchange.begin(path.encode(), size)
        await exchange.send(size)
        await exchange.finish()
        return int(exchange.tail)
