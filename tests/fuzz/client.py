"""One connection of the client, and what came back on it."""

import contextlib
import re
import socket

import attrs
import trio

from tests.fuzz.inputs import Input
from tests.fuzz.origin import PROBE, PROBE_ANSWER
from tests.fuzz.wire import Ambiguous, BodyReader, Fields, response_head, send_pieces

_PROBE_REQUEST = b"GET " + PROBE + b" HTTP/1.1\r\nHost: probe.example\r\n\r\n"
_CLOSED = 0.03  # s until a proxy has seen that its origin has closed
_CLOSING = 4  # times the patience, for a close that was announced
_VARIES = re.compile(
    rb"(?i)^(date: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$"
    rb"|^(x-envoy-upstream-service-time: )\d+$"
    rb"|^(x-request-id: )[0-9a-f-]{36}$"
)


@attrs.frozen
class Answer:
    """One response as the client saw it."""

    line: bytes
    fields: tuple[bytes, ...]
    body: bytes
    trailers: tuple[tuple[bytes, bytes], ...]
    whole: bool


@attrs.frozen
class Heard:
    """What the client has to tell.

    Attributes:
        answers: responses; a text where a strict reader would not have taken them.
        fate: "alive": the probe was answered; "closed"; "open": neither.
    """

    answers: tuple[Answer | str, ...]
    fate: str


async def converse(source: str, port: int, case: Input, patience: float) -> Heard:
    """Send an input to a proxy on loopback and hear what comes.

    Args:
        source: our own address: it tells the lines of the access log apart.
        port: of the proxy.
        case: what to send.
        patience: seconds in which nothing may come.
    """
    peer = trio.socket.socket()
    try:
        await peer.bind((source, 0))
        await peer.connect(("127.0.0.1", port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = _Talk(peer, case, patience)
        await talk.send(*case.pieces)
        await talk.hear(whole=True)
        if talk.open and case.then == "end":
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
            await talk.hear()
        elif talk.open:
            if case.script is not None and case.script.then != "keep":
                await trio.sleep(_CLOSED)
            await talk.send(_PROBE_REQUEST)
            await talk.hear()
        fate = "closed" if not talk.open else "alive" if PROBE_ANSWER in talk.heard else "open"
        return Heard(tuple(_answers(talk.heard, case, over=not talk.open)), fate)
    finally:
        peer.close()


@attrs.define(eq=False)
class _Talk:
    peer: trio.socket.SocketType
    case: Input
    patience: float
    heard: bytes = b""
    open: bool = True

    async def send(self, *pieces: bytes) -> None:
        await send_pieces(self.peer, pieces, self.case.pause)  # that the peer has gone shows when reading

    async def hear(self, *, whole: bool = False) -> None:
        """Read until the peer closes, the probe is answered, or nothing comes any more; or there is a whole answer."""
        while self.open:
            patience = self.patience * _CLOSING if b"\nconnection: close\r" in self.heard.lower() else self.patience
            with trio.move_on_after(patience) as scope:
                try:
                    data = await self.peer.recv(65536)
                except OSError:
                    data = b""
                self.heard += data
                self.open = bool(data)
            if scope.cancelled_caught or PROBE_ANSWER in self.heard or (whole and self._settled()):
                return

    def _settled(self) -> bool:
        answers = _answers(self.heard, self.case, over=False)
        last = answers[-1] if answers else None
        if not isinstance(last, Answer):
            return False
        return last.whole and not last.line.startswith(b"HTTP/1.1 1") and b"connection: close" not in last.fields


def _answers(data: bytes, case: Input, *, over: bool) -> list[Answer | str]:
    """The responses in what a client heard; `over`: the connection is closed."""
    found: list[Answer | str] = []
    final = 0  # final responses so far
    try:
        while data:
            text, end, data = data.partition(b"\r\n\r\n")
            if not end:
                return [*found, f"unfinished head: {text!r}"]
            head = response_head(text, bodiless=_bodiless(data, case, final))
            final += not head.line.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1"))
            body = BodyReader(head)
            data = body.feed(data)
            fields = tuple(_VARIES.sub(_unvaried, b"%b: %b" % field) for field in head.fields)
            trailers: Fields = body.trailers
            whole = body.ended or (over and head.length is None and not head.chunked)
            found.append(Answer(head.line, fields, body.data, tuple(trailers), whole))
    except Ambiguous as error:
        found.append(f"ambiguous: {error}")
    return found


def _bodiless(rest: bytes, case: Input, final: int) -> bool:
    """Whether the response whose head was just read answers a HEAD; of odd bytes nobody knows, so it is guessed."""
    if case.method:
        return case.method == "HEAD" and final == 0
    return rest.startswith(b"HTTP/1.") or (not rest and any(b"HEAD" in piece for piece in case.pieces))


def _unvaried(matched: re.Match[bytes]) -> bytes:
    return (matched[1] or matched[2] or matched[3]) + b"*"
