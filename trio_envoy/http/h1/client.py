"""An upstream HTTP/1 connection, which is also its one ClientStream: an exchange, release(), the next exchange.

Rules:
1. Reading happens in the task that asked: exchange() reads the head, who reads the response's body reads that. A child
   task exists only while a request body is sent that was not here at once.
2. The reset reasons are Envoy's: nothing came before the end or a reset of the connection: "connection termination"
   (UC); everything else that is wrong, a body that breaks off too: "protocol error" (UPE). A body without a length ends
   with the connection, however that ends.
3. Only an exchange that is over on both sides, with nothing left over, leaves the connection usable: release() closes
   it otherwise. What comes unasked is never the next client's answer.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, Protocol

import trio
from trio.lowlevel import checkpoint

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import Body, BytesBody
from trio_envoy.http.codec import Inform
from trio_envoy.http.h1 import writer
from trio_envoy.http.h1.framing import Framing, Tunnel
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.response_parser import ResponseMessage, ResponseParser
from trio_envoy.http.h1.spelled import SpelledResponseParser
from trio_envoy.http.h1.tunnel import ResponseTunnel
from trio_envoy.http.h1.writer import Encoding
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.channel import Channel, send_all, send_rest
from trio_envoy.net.poller import BUFFER_BYTES, TURNS
from trio_envoy.net.stream_info import UC, UPE, StreamInfo

_JOIN_BYTES: Final = 256 * 1024  # of a body that rides with the head; the rest is uploaded


class Owner(Protocol):
    """A pool."""

    def give_back(self, connection: Http1ClientConnection) -> None:
        """The exchange is over; the connection may be used again unless it is `closed`. Never blocks."""


class Http1ClientConnection:
    """One upstream connection (http.codec.ClientStream).

    Args:
        channel: connected, TLS done; the connection owns it.
        options: of the cluster.
        stats: `cluster.<name>.http1.`.
        owner: told when an exchange is over.

    Attributes:
        now: trio.current_time without the detour.
        protocol_error: why it was closed: the upstream broke the protocol (upstream_cx_protocol_error).
        link: what the owner knows of it.
        asked_to_close: the upstream said `connection: close`, or speaks HTTP/1.0 (upstream_cx_close_notify).
        peer_closed: the upstream closed it, not we.
        cut_short: an exchange was under way when it was closed.
    """

    __slots__ = (
        "_framing",
        "_head_read",
        "_options",
        "_parser",
        "_released",
        "_request_error",
        "_reusable",
        "_upload_scope",
        "_uploaded",
        "asked_to_close",
        "channel",
        "connection",
        "connection_id",
        "cut_short",
        "info",
        "link",
        "now",
        "owner",
        "peer_closed",
        "protocol_error",
        "reused",
    )

    protocol = "HTTP/1.1"

    def __init__(
        self,
        channel: Channel,
        options: Http1Options,
        stats: Http1Stats,
        owner: Owner | None = None,
    ) -> None:
        self.channel = channel
        self.connection = channel.info
        self.connection_id = channel.info.id
        self.info: StreamInfo | None = None
        self.owner = owner
        self.link: Any = None
        self.reused = False
        self.protocol_error = False
        self.asked_to_close = False
        self.peer_closed = False
        self.cut_short = False
        self.now = trio.lowlevel.current_clock().current_time
        self._options = options
        make = ResponseParser if options.remember is None else SpelledResponseParser
        self._parser = make(options, stats)
        self._framing: Framing | None = None
        self._released = False
        self._reusable = False  # by what the response says
        self._head_read = False
        self._uploaded = True
        self._upload_scope: trio.CancelScope | None = None
        self._request_error: RemoteProtocolError | None = None

    @property
    def closed(self) -> bool:
        """The connection is gone."""
        return self.channel.closed

    def readable(self) -> bool:
        """The upstream has closed, or says something unasked: an idle connection that is readable is dead."""
        return self.channel.readable()

    def close(self) -> None:
        """Close an idle connection."""
        self.channel.close()

    def exchange(
        self, request: Request, tasks: trio.Nursery | None, inform: Inform | None
    ) -> Coroutine[Any, Any, Response]:
        """Send the request, return the response's head; see ClientStream.exchange.

        Raises:
            UpstreamFailure: flags UC and UPE.
            RemoteProtocolError: the request's body broke its framing.
        """
        options = self._options
        self._released = self._head_read = self._reusable = False
        body = request.body
        encoding = writer.NONE if body is None else writer.request_encoding(request)
        data = writer.request_head(request, encoding, options.full_url, options.proper_case)
        info = self.info
        if info is not None:
            info.upstream_header_bytes_sent = len(data) - data.find(b"\n") - 3
            now = self.now  # called as a method it would be looked up in the class first
            info.upstream_first_byte_sent = now()
        whole = True
        if body is not None:
            if encoding is writer.PLAIN and isinstance(body, BytesBody):
                data += body.read_nowait()
            else:
                data, whole = _join(data, body, encoding, trailers=options.trailers)
        self._parser.expect(request.method, request.protocol)
        try:
            sent = self.channel.send(data)
        except OSError as error:
            raise self._terminated() from error
        if info is not None:
            info.upstream_wire_bytes_sent += sent
        if whole and sent == len(data):
            if info is not None:
                info.upstream_last_byte_sent = info.upstream_first_byte_sent
        else:
            return self._send_and_receive(data[sent:], None if whole else body, encoding, tasks, inform)
        return self._receive_head(inform)

    async def _send_and_receive(
        self, rest: bytes, body: Body | None, encoding: Encoding, tasks: trio.Nursery | None, inform: Inform | None
    ) -> Response:
        await self._send_rest(rest, body, encoding, tasks)
        return await self._receive_head(inform)

    async def _send_rest(self, rest: bytes, body: Body | None, encoding: Encoding, tasks: trio.Nursery | None) -> None:
        """What the upstream does not take at once, or is not here yet, goes out while we wait for the response."""
        self._uploaded = False
        self._request_error = None
        self._upload_scope = trio.CancelScope()
        if tasks is None:
            await self._upload(rest, body, encoding, self._upload_scope)
        else:
            tasks.start_soon(self._upload, rest, body, encoding, self._upload_scope)

    async def _upload(self, rest: bytes, body: Body | None, encoding: Encoding, scope: trio.CancelScope) -> None:
        """Send the rest of the request, in a child task unless all of it is here.

        Never raises; the reader finds out from the connection.
        """
        channel, chunked = self.channel, encoding is writer.CHUNKED
        with scope:
            try:
                await send_all(channel, rest)
                self._count_sent(len(rest))
                if body is not None:
                    await self._upload_body(body, chunked=chunked)
                if encoding is writer.TUNNEL:
                    channel.shutdown_write()
            except RemoteProtocolError as error:
                self._request_error = error
                channel.close()  # wakes the reader
            except OSError:
                pass  # an upstream that stops reading may still answer
            else:
                self._sent_last(0)

    async def _upload_body(self, body: Body, *, chunked: bool) -> None:
        channel = self.channel
        turns = 0
        while data := await body.read():
            if chunked:
                data = writer.chunk(data)
            size = len(data)
            sent = channel.send(data)
            if sent != size:
                await send_rest(channel, data, sent)
            self._count_sent(size)
            turns += 1
            if turns % TURNS == 0:
                await checkpoint()
        if chunked:
            last = writer.last_chunk(body.trailers if self._options.trailers else None)
            await send_all(channel, last)
            self._count_sent(len(last))

    def _count_sent(self, size: int) -> None:
        if self.info is not None:
            self.info.upstream_wire_bytes_sent += size

    def _sent_last(self, size: int) -> None:
        self._count_sent(size)
        self._uploaded = True
        if self.info is not None:
            self.info.upstream_last_byte_sent = self.now()

    async def _receive_head(self, inform: Inform | None) -> Response:
        channel, parser, info = self.channel, self._parser, self.info
        messages, turns = parser.messages, 0
        while True:
            if turns and turns % TURNS == 0:  # a flood of 1xx
                await checkpoint()
            turns += 1
            try:
                while (data := channel.recv(BUFFER_BYTES) if channel.can_read else None) is None:
                    await channel.wait_read()
            except OSError:
                data = b""
            if data and self._request_error is None:  # as _received(), without the call
                if info is not None:
                    info.upstream_wire_bytes_received += len(data)
                parser.feed(data)
            else:
                self._received(data)
            try:
                while (message := messages.popleft() if messages else parser.next()) is not None:
                    if info is not None:
                        info.upstream_header_bytes_received += message.header_bytes
                    if message.status >= 200 or message.status == 101:
                        return self._respond(message)
                    if inform is not None:
                        await inform(message.status, message.headers)
            except RemoteProtocolError as error:
                if info is not None:
                    info.upstream_header_bytes_received += parser.refused_header_bytes
                raise self._broken() from error

    def _respond(self, message: ResponseMessage) -> Response:
        self._head_read = True
        self._reusable = message.keep_alive
        self.asked_to_close = not message.keep_alive and message.status != 101
        framing = self._framing = message.framing
        info = self.info
        if info is not None:
            now = self.now
            info.upstream_first_byte_received = received = now()
            if framing is None or framing.ended:
                info.upstream_last_byte_received = received
        if framing is not None:  # it is the body itself when all of it came with the head
            if isinstance(framing, Tunnel):
                self.asked_to_close = False
                message.body = ResponseTunnel(self, framing)
            else:
                message.body = framing if framing.ended else Http1ResponseBody(self, framing)
        return message

    async def receive(self) -> None:
        """Read once from the upstream and feed the parser.

        Raises:
            UpstreamFailure: the connection ended too early.
            RemoteProtocolError: the request's body broke its framing.
        """
        channel = self.channel
        try:
            while (data := channel.recv(BUFFER_BYTES)) is None:
                await channel.wait_read()
        except OSError:
            data = b""
        self._received(data)

    def tunnel_ended(self) -> UpstreamFailure | RemoteProtocolError:
        """Behind an upgrade or a CONNECT the connection ended: what its reader is told."""
        if self._request_error is not None:
            return self._request_error
        self.peer_closed = True
        return self._terminated()

    def _received(self, data: bytes) -> None:
        """This came; nothing: the upstream has closed or reset the connection."""
        if self._request_error is not None:
            raise self._request_error
        if not data:
            self._ended()
            return
        if self.info is not None:
            self.info.upstream_wire_bytes_received += len(data)
        self._parser.feed(data)

    def _ended(self) -> None:
        """The upstream has closed or reset the connection."""
        self._reusable = False
        self.peer_closed = True
        try:
            self._parser.end_of_stream()
        except RemoteProtocolError as error:
            raise self._broken() from error
        if not self._head_read:
            raise self._terminated()

    def body_error(self) -> None:
        """Tell who reads the body when its framing is broken.

        Raises:
            UpstreamFailure: it is.
        """
        error = self._parser.body_error
        if error is not None:
            raise self._broken() from error

    def body_ended(self) -> None:
        """The last byte of the body is here."""
        info = self.info
        if info is not None and info.upstream_last_byte_received != info.upstream_last_byte_received:
            info.upstream_last_byte_received = self.now()

    def _broken(self) -> UpstreamFailure:
        self.protocol_error = True
        self.channel.close()
        return UpstreamFailure("protocol error", UPE, started=self._head_read)

    def _terminated(self) -> UpstreamFailure:
        self.channel.close()
        return UpstreamFailure("connection termination", UC, started=self._head_read)

    def release(self, *, unread: bool = False) -> None:
        """Give the connection back, closed unless it can be used again."""
        if self._released:
            return
        self._released = True
        scope, self._upload_scope = self._upload_scope, None
        if scope is not None:
            scope.cancel()
        framing, surplus = self._framing, self._parser.surplus
        self._framing = None
        over = self._uploaded and self._head_read and (framing is None or (framing.ended and not unread))
        if surplus or not (over and self._reusable):
            self.protocol_error |= surplus
            self.cut_short = not over
            self.channel.close()
            self._parser.close()
        self.reused = True
        if self.owner is not None:
            self.owner.give_back(self)
        self.info = None


class Http1ResponseBody:
    """The body of a response; reading it reads from the upstream (http.body.Body)."""

    __slots__ = ("_connection", "_framing", "_turns")

    def __init__(self, connection: Http1ClientConnection, framing: Framing) -> None:
        self._connection = connection
        self._framing = framing
        self._turns = 0

    @property
    def trailers(self) -> Headers | None:
        return self._framing.trailers

    def read_nowait(self) -> bytes | None:
        data = self._framing.take()
        if data == b"":
            self._connection.body_ended()
        return data

    async def read(self) -> bytes:
        framing, connection = self._framing, self._connection
        self._turns += 1
        if self._turns % TURNS == 0:
            await checkpoint()
        while (data := framing.take()) is None:
            connection.body_error()
            await connection.receive()
        if not data:
            connection.body_ended()
        return data


def _join(head: bytes, body: Body, encoding: Encoding, *, trailers: bool) -> tuple[bytes, bool]:
    """The head with what is here of the body, and whether that is all of it."""
    chunked = encoding is writer.CHUNKED
    parts = [head]
    size = 0
    while (chunk := body.read_nowait()) and size < _JOIN_BYTES:
        size += len(chunk)
        parts.append(writer.chunk(chunk) if chunked else chunk)
    if chunk:
        parts.append(writer.chunk(chunk) if chunked else chunk)
        chunk = None
    if chunk is not None and chunked:
        parts.append(writer.last_chunk(body.trailers if trailers else None))
    return head if len(parts) == 1 else b"".join(parts), chunk is not None
