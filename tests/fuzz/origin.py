"""The origin of one slot and one subject: it records requests, and answers as the input's script says."""

import re
import socket
import struct

import attrs
import trio

from tests.fuzz.inputs import Input, Script
from tests.fuzz.wire import Ambiguous, BodyReader, request_head, send_pieces

PROBE = b"/after-the-input"
PROBE_ANSWER = b"the probe was answered"
_ANSWER = b"HTTP/1.1 200 OK\r\nx-origin: 1\r\ncontent-length: 5\r\n\r\n"
_LINGER_RESET = struct.pack("ii", 1, 0)

_VARIES = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # x-request-id
    rb"|(?<=,)\d+\.\d+\.\d+\.\d+$"
)


@attrs.define
class Seen:
    """One request as the origin saw it."""

    connection: int
    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    whole: bool = False


@attrs.define(eq=False)
class Origin:
    """One listening socket.

    Attributes:
        port: it listens on.
        seen: requests since begin(), in order; a text where a strict reader would not have taken them.
    """

    nursery: trio.Nursery
    port: int = 0
    seen: list[Seen | str] = attrs.field(factory=list)
    _script: Script | None = None
    _connections: dict[int, int] = attrs.field(factory=dict)
    _accepted: int = 0

    async def open(self) -> None:
        """Listen on a free port."""
        listening = trio.socket.socket()
        await listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        self.port = listening.getsockname()[1]
        self.nursery.start_soon(self._accept, listening)

    def begin(self, case: Input) -> None:
        """Whatever comes from now on belongs to this input."""
        self.seen = []
        self._script = case.script
        self._connections = {}

    async def _accept(self, listening: trio.socket.SocketType) -> None:
        while True:
            accepted, _ = await listening.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted += 1
            self.nursery.start_soon(self._serve, accepted, self._accepted)

    async def _serve(self, peer: trio.socket.SocketType, number: int) -> None:
        try:
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = await peer.recv(65536)
                    if not data:
                        if buffer:
                            self.seen.append("unfinished head: " + repr(buffer))
                        return
                    buffer += data
                rest = await self._exchange(peer, number, buffer)
                if rest is None:
                    return
                buffer = rest
        except Ambiguous as error:
            self.seen.append(f"ambiguous: {error}")
        except OSError:
            pass
        finally:
            peer.close()

    async def _exchange(self, peer: trio.socket.SocketType, number: int, buffer: bytes) -> bytes | None:
        """One request and its answer; what follows it, None: the connection is over."""
        text, _, buffer = buffer.partition(b"\r\n\r\n")
        head = request_head(text)
        connection = self._connections.setdefault(number, len(self._connections) + 1)
        fields = [(name, _VARIES.sub(b"*", value)) for name, value in head.fields]
        seen = Seen(connection, head.line, fields)
        self.seen.append(seen)
        body = BodyReader(head)
        script = self._script
        if script is not None and script.early and PROBE not in head.line:
            self._script = None
            return await self._play(peer, script, buffer)
        buffer = body.feed(buffer)
        while not body.ended:
            seen.body = body.data
            data = await peer.recv(65536)
            if not data:
                return None
            buffer = body.feed(buffer + data)
        seen.body, seen.trailers, seen.whole = body.data, body.trailers, True
        if script is not None and script is self._script and PROBE not in head.line:
            self._script = None
            return await self._play(peer, script, buffer)
        return buffer if await send_pieces(peer, [_answer(head.line)], 0) else None

    async def _play(self, peer: trio.socket.SocketType, script: Script, buffer: bytes) -> bytes | None:
        if not await send_pieces(peer, script.pieces, script.pause):
            return None
        if script.then == "keep":
            return buffer
        if script.pieces:
            await trio.sleep(script.pause)  # the end comes behind the bytes, not with them
        if script.then == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        return None


def _answer(line: bytes) -> bytes:
    method, target, _ = line.split(b" ")
    body = PROBE_ANSWER if PROBE in target else b"hello"
    head = _ANSWER.replace(b": 5", b": %d" % len(body))
    return head if method == b"HEAD" else head + body
