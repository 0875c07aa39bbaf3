"""One HTTP/1 exchange as the handler sees it: the request with its body, and how the response is written."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from trio.lowlevel import checkpoint

from trio_envoy.http.body import Body, BytesBody
from trio_envoy.http.h1 import writer
from trio_envoy.http.h1.framing import Framing, Length, Tunnel
from trio_envoy.http.h1.request_parser import RequestMessage
from trio_envoy.http.h1.tunnel import RequestTunnel
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.channel import send_all, send_rest
from trio_envoy.net.poller import TURNS
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.util.deadlines import Cause, Guard

if TYPE_CHECKING:
    from trio_envoy.http.h1.server import Http1ServerConnection

_REQUEST: Final = int(Cause.REQUEST)  # a look-up in an enum costs as much as a call


class Http1RequestBody:
    """The body of a request; reading it reads from the client (http.body.Body)."""

    __slots__ = ("_connection", "_framing", "_over", "_stream", "_turns")

    def __init__(self, connection: Http1ServerConnection, stream: Http1ServerStream, framing: Framing) -> None:
        self._connection = connection
        self._stream = stream
        self._framing = framing
        self._over = False
        self._turns = 0

    @property
    def trailers(self) -> Headers | None:
        return self._framing.trailers

    def read_nowait(self) -> bytes | None:
        data = self._framing.take()
        if data is not None:
            self._taken(data)
        else:
            self._connection.check_body()
        return data

    async def read(self) -> bytes:
        framing = self._framing
        self._turns += 1
        if self._turns % TURNS == 0:
            await checkpoint()
        while (data := framing.take()) is None:
            await self._connection.read_body()
            self._stream.info.wire_bytes_received = self._stream.head_bytes + framing.wire_bytes
        self._taken(data)
        return data

    def _taken(self, data: bytes) -> None:
        stream = self._stream
        if data:
            stream.info.bytes_received += len(data)
            stream.guard.activity = self._connection.now()
        elif not self._over:
            self._over = True
            stream.info.request_end = self._connection.now()
            stream.guard.disarm(Cause.REQUEST)


class WholeBody(BytesBody):
    """The body of a request when all of it came with the head; the request is complete when it is taken."""

    __slots__ = ("_framing", "_stream")

    def __init__(self, stream: Http1ServerStream, framing: Length) -> None:
        self._stream = stream
        self._framing: Length | None = framing
        self.trailers = None

    def read_nowait(self) -> bytes:
        framing, self._framing = self._framing, None
        if framing is None:
            return b""
        data = framing.take() or b""
        self._stream.all_taken(len(data))
        return data

    async def read(self) -> bytes:
        return self.read_nowait()


class Http1ServerStream:
    """One exchange (http.codec.ServerStream).

    Attributes:
        finished: the response was written to its end.
        closes: the connection ends with this exchange.
        head_bytes: of the request, on the wire.
    """

    end_details = ""  # it is always the peer that goes

    __slots__ = (
        "_connection",
        "_head",
        "_informed",
        "_message",
        "_switched",
        "closes",
        "finished",
        "guard",
        "head_bytes",
        "info",
        "request",
        "responded",
    )

    def __init__(
        self, connection: Http1ServerConnection, message: RequestMessage, info: StreamInfo, guard: Guard
    ) -> None:
        self._connection = connection
        self._message = message
        self.request: Request = message
        self.info = info
        self.guard = guard
        self.responded = False
        self.finished = False
        self.closes = not message.keep_alive
        self.head_bytes = message.head_bytes
        self._head = message.method == b"HEAD"  # a filter may change the method
        self._informed = False
        self._switched = False  # what is said now is no HTTP any more
        framing = message.framing
        if framing is not None:
            info.wire_bytes_received += framing.wire_bytes
            if framing.ended and type(framing) is Length:
                message.body = WholeBody(self, framing)
            else:
                make = RequestTunnel if isinstance(framing, Tunnel) else Http1RequestBody
                message.body = make(connection, self, framing)

    def all_taken(self, size: int) -> None:
        """A body that was here as a whole is read."""
        info, guard = self.info, self.guard
        self._message.framing = None
        now = self._connection.now  # called as a method it would be looked up in the class first
        info.bytes_received = size
        info.request_end = guard.activity = now()
        guard.at[_REQUEST] = inf

    @property
    def request_complete(self) -> bool:
        framing = self._message.framing
        return framing is None or framing.drained

    @property
    def request_here(self) -> bool:
        framing = self._message.framing
        return framing is None or framing.ended

    @property
    def http10(self) -> bool:
        """The client is answered as one of HTTP/1.0."""
        return self._message.http10

    async def inform(self, status: int, headers: Headers) -> None:
        """Write an informational response: the first one, and only with proxy_100_continue (as Envoy, measured)."""
        connection = self._connection
        if not connection.informs or self._informed or self.responded:
            return
        self._informed = True
        http10, proper = self._message.http10, connection.proper_case
        data, _ = writer.response_head(status, headers, has_body=False, http10=http10, proper=proper)
        await send_all(connection.channel, data)
        self.info.status = status  # unless a response follows
        self.info.wire_bytes_sent += len(data)
        self.info.header_bytes_sent += len(data) - data.find(b"\n") - 3

    async def respond(self, response: Response) -> None:
        """Write the response; see ServerStream.respond.

        Cancelled: how much was written is unknown; interrupted() follows, or the connection is closed.
        """
        connection, message, info = self._connection, self._message, self.info
        headers, body = response.headers, response.body
        framing = message.framing
        if self.closes or connection.closing or message.http10 or not (framing is None or framing.drained):
            if body is not None and self._switches(response.status):
                await self._switch(response.status, headers, body)
                return
            self._say_whether_last(headers)
        data, encoding = writer.response_head(
            response.status, headers, body is not None, self._head, message.http10, connection.proper_case
        )
        info.header_bytes_sent += len(data) - data.find(b"\n") - 3
        now = connection.now  # called as a method it would be looked up in the class first
        self.guard.activity = info.response_start = now()
        self.responded = True
        over = True
        if body is not None and encoding is not writer.NONE:
            data, over = self._join(data, body, encoding is writer.CHUNKED)
        channel = connection.channel
        size = len(data)
        sent = channel.send(data)
        if sent != size:
            await send_rest(channel, data, sent)
        elif over:
            info.end = info.response_start  # all in one write
        info.wire_bytes_sent += size
        if not over:
            assert body is not None, "only a body can be unfinished"
            await self._relay(body, chunked=encoding is writer.CHUNKED)
        self.finished = True

    def _switches(self, status: int) -> bool:
        """Whether a response with this status is the end of HTTP on this connection."""
        request = self._message
        return status == 101 if request.protocol else status == 200 and request.method == b"CONNECT"

    async def _switch(self, status: int, headers: Headers, body: Body) -> None:
        """Answer an upgrade or a CONNECT, and relay what the upstream says from now on; the other way is the router's.

        Cancelled: see respond().
        """
        connection, info = self._connection, self.info
        data = writer.tunnel_head(status, headers, http10=self._message.http10, proper=connection.proper_case)
        info.header_bytes_sent += len(data) - data.find(b"\n") - 3
        self.guard.activity = info.response_start = connection.now()
        self.responded = self.closes = self._switched = True
        first = body.read_nowait()
        if first:
            info.bytes_sent = len(first)
            data += first
        await send_all(connection.channel, data)
        info.wire_bytes_sent += len(data)
        await self._pass_on(body)
        connection.channel.shutdown_write()
        self.finished = True

    async def _pass_on(self, body: Body) -> None:
        """All of a body, as it is, to its end.

        Others get their turn: reads of a tunnel see to that, and of an HTTP/2 stream no more is here than its window.
        """
        info, guard, channel, now = self.info, self.guard, self._connection.channel, self._connection.now
        while data := await body.read():
            size = len(data)
            sent = channel.send(data)
            if sent != size:
                await send_rest(channel, data, sent)
            info.bytes_sent += size
            info.wire_bytes_sent += size
            guard.activity = now()

    def _say_whether_last(self, headers: Headers) -> None:
        """Settle whether this is the last exchange, and put `connection` into the headers (logs count it there)."""
        if self._connection.closing or not self.request_complete:
            self.closes = True
        if self._message.http10 and b"content-length" not in headers.first:
            self.closes = True  # only the end of the connection can end the body
        if self.closes or self._message.http10:
            headers.set(b"connection", b"close" if self.closes else b"keep-alive")

    def _join(self, head: bytes, body: Body, chunked: bool) -> tuple[bytes, bool]:
        """The head with what is here of the body, and whether that is all of it."""
        chunk = body.read_nowait()
        if chunk is None:
            return head, False
        if chunk:
            self.info.bytes_sent = len(chunk)
            head += writer.chunk(chunk) if chunked else chunk
            chunk = b"" if isinstance(body, Framing) else body.read_nowait()  # a framing gives all of it at once
            if chunk is None:
                return head, False
            if chunk:  # there is more than one
                self.info.bytes_sent += len(chunk)
                return head + (writer.chunk(chunk) if chunked else chunk), False
        if chunked:
            head += writer.last_chunk(body.trailers if self._connection.trailers else None)
        return head, True

    async def _relay(self, body: Body, *, chunked: bool) -> None:
        """The rest of a body, as it comes."""
        connection, info, guard = self._connection, self.info, self.guard
        channel = connection.channel
        turns = 0
        while data := await body.read():
            info.bytes_sent += len(data)
            if chunked:
                data = writer.chunk(data)
            await send_all(channel, data)
            info.wire_bytes_sent += len(data)
            guard.activity = connection.now()
            turns += 1
            if turns % TURNS == 0:
                await checkpoint()
        if chunked:
            last = writer.last_chunk(body.trailers if connection.trailers else None)
            await send_all(channel, last)
            info.wire_bytes_sent += len(last)

    def reset(self) -> None:
        """Close the connection; behind an upgrade in order, so that the client gets what was said."""
        channel = self._connection.channel
        if self._switched and not channel.closed:
            channel.shutdown_write()
            self.finished = True
        else:
            channel.close()

    def close_after(self) -> None:
        """Say `connection: close`."""
        self.closes = True
