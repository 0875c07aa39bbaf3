"""One exchange on a downstream HTTP/2 connection: what is here of it, what ended it, how its response is written."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from trio_envoy.http.body import Body
from trio_envoy.http.h2 import frames as h2
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.body import StreamBody
from trio_envoy.http.h2.sender import Sender
from trio_envoy.http.h2.state import StreamState
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.stream_info import DPE, UC, UF, StreamInfo
from trio_envoy.util.deadlines import Cause, Guard

if TYPE_CHECKING:
    from trio_envoy.http.h2.server import Http2ServerConnection

_CONTINUE: Final = Headers()
_AT_ONCE: Final = 16384  # bytes; a longer body may have to wait for the upstream's window, beside the response
_NO_BODY: Final = frozenset({204, 304})
_STATUS: Final = {status: (b":status", b"%d" % status) for status in range(100, 1000)}


class Http2ServerStream:
    """One exchange (http.codec.ServerStream).

    Args:
        connection: it belongs to.
        state: of the session.
        request: its head.
        info: of the exchange.
        guard: of the task that serves it.
        length: of the request's body as it says itself, or inf.

    Attributes:
        incoming: the request's body as it comes, or None.
        sender: what is sent.
        gone: the peer has reset it.
        ended_by: why it can't go on, or None.
        end_details: see ServerStream; of a rule that the client broke, or of our own close.
        finished: the response was sent to its end, or the stream was reset.
    """

    __slots__ = (
        "_connection",
        "_head_only",
        "_length",
        "_tunnel",
        "end_details",
        "ended_by",
        "finished",
        "gone",
        "guard",
        "incoming",
        "info",
        "request",
        "responded",
        "sender",
        "state",
    )

    def __init__(
        self,
        connection: Http2ServerConnection,
        state: StreamState,
        request: Request,
        info: StreamInfo,
        guard: Guard,
        length: float,
    ) -> None:
        self._connection = connection
        self.state = state
        self.request = request
        self.info = info
        self.guard = guard
        self.incoming: StreamBody | None = None
        self.sender = Sender(connection, state)
        self.responded = False
        self.finished = False
        self.gone = False
        self.ended_by: Cause | None = None
        self.end_details = ""
        self._head_only = request.method == b"HEAD"  # before a filter makes it another
        self._length = length
        self._tunnel = request.protocol != b"" or request.method == b"CONNECT"

    @property
    def request_complete(self) -> bool:
        return self.incoming is None or self.incoming.ended

    @property
    def request_here(self) -> bool:
        incoming = self.incoming
        if incoming is None:
            return True
        return incoming.ended and incoming.received <= _AT_ONCE and not self._tunnel  # that is uploaded later

    def give_up(self, details: str = "", flag: int = DPE) -> None:
        """The client broke a rule: nothing more is read or written."""
        self.info.flags |= flag
        self.end_details = details
        self.gone = True
        if self.incoming is not None:
            self.incoming.drop()
        self.cut(Cause.PEER_RESET)

    def cut(self, cause: Cause) -> None:
        """The stream can't go on; its task may not have begun to run."""
        if self.ended_by is None:
            self.ended_by = cause
            if self.incoming is not None:
                self.info.bytes_received = self.incoming.received  # also what nobody came to read
        self.guard.fire(cause)

    def fits(self, size: int, *, ended: bool) -> bool:
        """Whether the body, with so many bytes more, is as content-length says."""
        assert self.incoming is not None, "only a body that comes is measured"
        received, length = self.incoming.received + size, self._length
        return received <= length and (not ended or received == length or length == inf)

    def end_of_request(self, trailers: Headers | None) -> None:
        """The request's last byte, or its trailers, are here."""
        assert self.incoming is not None, "only a body that comes has an end"
        self.info.request_end = self._connection.now()
        self.info.wire_bytes_received += self.incoming.received
        self.guard.disarm(Cause.REQUEST)
        self.incoming.end(trailers)

    async def greet(self) -> None:
        """Answer `expect: 100-continue` at once, as Envoy does."""
        headers = self.request.headers
        expected = headers.first.get(b"expect")
        if expected is None or self._connection.context.options.proxy_100_continue:
            return
        if expected.lower() == b"100-continue":
            headers.remove(b"expect")
            await self.inform(100, _CONTINUE)
            self._connection.handler.continued()

    async def inform(self, status: int, headers: Headers) -> None:
        """Write an informational response; the stream may be gone, then nothing happens."""
        if self.responded or self.gone:
            return
        try:
            self.sender.head([_STATUS[status], *headers], ended=False)
        except BrokenPipeError:
            return
        self._connection.flush()

    async def respond(self, response: Response) -> None:
        """Write the response; see ServerStream.respond."""
        info, sender, body, status = self.info, self.sender, response.body, response.status
        if body is not None and (status in _NO_BODY or self._head_only):
            body = None
        if status == 101 and self._tunnel:  # HTTP/2 says it with its status (RFC 8441 s5)
            status = 200
            response.headers.remove(b"connection")
            response.headers.remove(b"upgrade")
        headers = response.headers
        fields = [_STATUS[status], *(headers.every or headers.first.items())]  # no call of ours, unlike *headers
        first = body.read_nowait() if body is not None else b""
        ended = first == b"" and not (body is not None and body.trailers)
        self.guard.activity = info.response_start = self._connection.now()
        info.header_bytes_sent = messages.byte_size(fields)
        self.responded = True
        self._connection.session.send_head(self.state, fields, ended=ended)
        if body is None or ended:
            self._connection.flush_soon()
        else:
            try:
                ready = self._send_first(body, first)
                if ready is not None:
                    sender.finite = b"content-length" in response.headers.first and not self._tunnel
                    await sender.body(body, ready, self.guard)
            finally:
                info.bytes_sent = sender.sent
                if self._tunnel and self.incoming is not None:
                    info.bytes_received = self.incoming.received  # also what nobody came to read
        info.wire_bytes_sent = info.header_bytes_sent + info.bytes_sent
        self.finished = True

    def _send_first(self, body: Body, first: bytes | None) -> tuple[bytes, ...] | None:
        """Send the first piece of a body with the head; None if that was all, else what is read but not sent."""
        if not first:
            return ()
        following = body.read_nowait()
        last = following == b"" and not body.trailers
        sent = self.sender.data_nowait(first, ended=last)
        if sent < len(first):
            return (first[sent:], following) if following else (first[sent:],)
        if last:
            self._connection.flush_soon()
            return None
        return (following,) if following else ()

    def reset(self) -> None:
        """RST_STREAM."""
        if self.finished:
            return
        self.finished = True
        if not self.gone and self._connection.session.reset(self.state, self._code(h2.INTERNAL_ERROR)):
            self._connection.stats.tx_reset += 1
            self._connection.flush_soon()

    def flush_timed_out(self) -> None:
        """The client did not take the rest of the response in time."""
        self._connection.stats.tx_flush_timeout += 1

    def _code(self, otherwise: int) -> int:
        """Why the stream is reset: a tunnel tells of the connection at its other end (RFC 9113 s8.5)."""
        return h2.CONNECT_ERROR if self._tunnel and self.info.flags & (UF | UC) else otherwise

    def close_after(self) -> None:
        """Only a draining listener says this of HTTP/2: the connection ends after its streams."""
        if self.info.status != 400:  # a bad request ends its stream only
            self._connection.drain()

    def close(self) -> None:
        """The exchange is over: tell the peer to stop sending what nobody reads, or that nothing comes."""
        self.reset()
        incoming = self.incoming
        if incoming is None:
            return
        incoming.drop()
        if not incoming.ended and not self.gone:
            connection = self._connection
            if connection.session.reset(self.state, self._code(h2.NO_ERROR)):
                connection.stats.tx_reset += 1
                connection.flush_soon()
        self.incoming = None
