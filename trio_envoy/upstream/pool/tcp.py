"""TCP pool: a connection for each stream, whose bytes are those of the bodies; for a CONNECT that ends here.

Source: Envoy, tcp/conn_pool.cc and router's TcpUpstream: the response is a 200 as soon as there is a connection, and
ends with it; a reset is "connection termination".
"""

from __future__ import annotations

import trio
from trio.lowlevel import checkpoint

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import Body
from trio_envoy.http.codec import ClientStream, Inform
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.http.raw_body import RawBody
from trio_envoy.net.channel import Channel, send_all
from trio_envoy.net.poller import TURNS
from trio_envoy.net.stream_info import UC, StreamInfo
from trio_envoy.upstream.pool.base import Pool


class TcpPool(Pool):
    """Connections to one host, none of which is used twice."""

    def take(self) -> ClientStream | None:
        return None

    async def _obtain(self) -> ClientStream:
        free = await self._room_or_stream()
        assert free is None, "no connection is used twice"
        born = self._begun()
        channel = await self._dial((), born)
        try:
            self._admit()
        except UpstreamFailure:
            channel.close()
            self._ended(born, remote=False, active=False)
            raise
        stream = TcpStream(self, channel, born)
        self._context.services.stats.count_late(stream.count_bytes)
        return stream

    def over(self, stream: TcpStream, born: float, *, remote: bool, active: bool) -> None:
        """A stream was released, and its connection closed; see _ended()."""
        self._end()
        self._context.services.stats.count_no_longer(stream.count_bytes)
        self.stats.upstream_rq_per_cx.record(1)
        self._ended(born, remote=remote, active=active)

    def expire(self, now: float) -> float:
        return now  # never asked: nothing is idle

    def drain(self) -> None:
        """Streams run to their end."""


class TcpStream(RawBody):
    """One connection as an exchange (http.codec.ClientStream), and as the body of its response."""

    protocol = ""
    reused = False

    def __init__(self, pool: TcpPool, channel: Channel, born: float) -> None:
        super().__init__(channel)
        self.connection = channel.info
        self.connection_id = channel.info.id
        self.info: StreamInfo | None = None
        self._pool = pool
        self._born = born
        self._uploaded = False
        self._ended_by_peer = False
        self._broken = False
        self._request_error: RemoteProtocolError | None = None
        self._upload_scope = trio.CancelScope()
        self._received = self._sent = 0  # bytes that are counted
        self._released = False

    def count_bytes(self) -> None:
        """Add to the counters of the cluster what was moved since the last time."""
        info, stats = self.channel.info, self._pool.stats
        received, sent = info.bytes_received, info.bytes_sent
        stats.upstream_cx_rx_bytes_total += received - self._received
        stats.upstream_cx_tx_bytes_total += sent - self._sent
        self._received, self._sent = received, sent

    async def exchange(self, request: Request, tasks: trio.Nursery | None, inform: Inform | None) -> Response:
        """Begin to send the request's body; the answer is there already. See ClientStream.exchange."""
        body, info = request.body, self.info
        if info is not None:
            info.upstream_first_byte_sent = info.upstream_first_byte_received = trio.current_time()
        if body is None:
            self._finish_upload()
        elif tasks is None:
            await self._upload(body)
        else:
            tasks.start_soon(self._upload, body)
        return Response(200, Headers(), self)

    async def _upload(self, body: Body) -> None:
        """Send the body, then the end of our side. Never raises; the reader finds out from the connection."""
        channel = self.channel
        turns = 0
        with self._upload_scope:
            try:
                while data := await body.read():
                    await send_all(channel, data)
                    if self.info is not None:
                        self.info.upstream_wire_bytes_sent += len(data)
                    turns += 1
                    if turns % TURNS == 0:
                        await checkpoint()
            except RemoteProtocolError as error:
                self._request_error = error
                channel.close()  # wakes the reader
            except OSError:
                pass  # what the upstream still says is passed on
            else:
                self._finish_upload()

    def _finish_upload(self) -> None:
        self._uploaded = True
        self.channel.shutdown_write()
        if self.info is not None:
            self.info.upstream_last_byte_sent = trio.current_time()

    def read_nowait(self) -> bytes | None:
        return b"" if self._ended_by_peer else None

    def _came(self, size: int) -> None:
        if self.info is not None:
            self.info.upstream_wire_bytes_received += size

    async def _ended(self, *, broken: bool) -> bytes:
        if self._ended_by_peer:
            return b""
        if broken and self._request_error is not None:
            raise self._request_error
        self._ended_by_peer = True
        self._broken = broken
        if broken:
            raise UpstreamFailure("connection termination", UC, started=True)
        if self.info is not None:
            self.info.upstream_last_byte_received = trio.current_time()
        return b""

    def release(self, *, unread: bool = False) -> None:
        """Close the connection. Once; never blocks."""
        if self._released:
            return
        self._released = True
        self._upload_scope.cancel()
        self.channel.close()
        self.info = None
        over = self._uploaded and self._ended_by_peer
        self._pool.over(self, self._born, remote=over or self._broken, active=not over)
