"""A downstream HTTP/2 connection: a reader, a writer, and a task for each stream.

Each stream's task runs under a guard of its own, so a deadline or a reset ends that stream and no other. Draining is in
two steps (RFC 9113 s6.8): a GOAWAY that still takes every stream, then one that names the last.
"""

from __future__ import annotations

from math import inf
from typing import Final

import trio

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.codec import Handler
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2 import session as h2
from trio_envoy.http.h2.driver import Driver, Sender, StreamBody
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.http.options import ServerContext
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import DPE, StreamInfo
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Cause, Guard

_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW
_DROP: Final = HeadersWithUnderscoresAction.DROP_HEADER
_CONTINUE: Final = Headers()
_DETAILS: Final = {
    "inbound_empty_frames_flood": "http2.inbound_empty_frames_flood",
    "inbound_priority_frames_flood": "http2.inbound_priority_frames_flood",
    "inbound_window_update_frames_flood": "http2.inbound_window_update_frames_flood",
    "outbound_control_flood": "codec_error:Too_many_control_frames_in_the_outbound_queue.",
}
_NO_BODY: Final = frozenset({204, 304})


class Http2ServerConnection(Driver):
    """One downstream connection (http.codec.ServerConnection).

    Args:
        channel: its bytes; closed when serve() returns.
        handler: answers requests.
        context: of the HCM.
        guard: of the connection's task.
        beginning: bytes that were read to find out which HTTP this is.
    """

    def __init__(
        self, channel: Channel, handler: Handler, context: ServerContext, guard: Guard, beginning: bytes = b""
    ) -> None:
        super().__init__(channel, h2.Session(context.options.http2, client=False), context.view)
        self.context = context
        self.stats = context.http2_stats
        self.handler = handler
        self.streams: dict[int, Http2ServerStream] = {}
        self._guard = guard
        self._beginning = beginning
        self._tasks: trio.Nursery | None = None
        self._last_id = 0
        self._draining = False
        self._final = False
        self._served = 0
        self._ends_at = inf
        self._refused = False  # the connection ends because of a malformed message, which was counted

    def flush(self) -> None:
        """Send what there is; nothing before the client's preface, as Envoy."""
        if self.session.begun and not self._refused:
            super().flush()

    def senders(self) -> list[Sender]:
        return [stream.sender for stream in self.streams.values()]

    async def serve(self) -> None:
        """Serve streams until the client, a deadline or a drain ends it.

        Cancelled: the streams' handlers have been told through their own Cancelled; the channel is closed.
        """
        stats, options, guard = self.context.stats, self.context.options, self._guard
        stats.downstream_cx_http2_total += 1
        stats.downstream_cx_http2_active += 1
        if options.max_connection_duration != inf:
            self._ends_at = trio.current_time() + options.max_connection_duration
        try:
            async with trio.open_nursery() as writing:
                writing.start_soon(self.write)
                if options.http2.keep_alive is not None:
                    writing.start_soon(self.keep_alive, options.http2.keep_alive)
                async with trio.open_nursery() as tasks:
                    self._tasks = tasks
                    await self._read_until_over()
                    for stream in tuple(self.streams.values()):
                        stream.end_details = stream.end_details or self.details
                        stream.cut(Cause.PEER_GONE)
                self.flush()
                writing.cancel_scope.cancel()
        finally:
            guard.disarm_all()
            self.channel.close()
            stats.downstream_cx_http2_active -= 1

    async def _read_until_over(self) -> None:
        """Read until the peer has closed, or a deadline of the connection has come and all streams are done."""
        stats, guard = self.context.stats, self._guard
        self._rest()
        beginning, self._beginning = self._beginning, b""
        while True:
            with guard.open():
                try:
                    if beginning:
                        data, beginning = beginning, b""
                        self.feed(data)
                        self.flush()
                    await self.read_loop()
                except h2.SessionError as error:
                    self._broken(error)
                    stats.downstream_cx_destroy_local += 1
                    self._count_active(local=True)
                else:
                    if self.details:
                        stats.downstream_cx_destroy_local += 1
                    else:
                        stats.downstream_cx_destroy_remote += 1
                    self._count_active(local=bool(self.details))
                return
            cause = guard.fired
            if cause is Cause.CONNECTION_IDLE:
                stats.downstream_cx_idle_timeout += 1
                self.drain()
            elif cause is Cause.CONNECTION_DURATION:
                stats.downstream_cx_max_duration_reached += 1
                self.drain()
            elif cause is Cause.DRAIN:
                self._go_away_for_good()
                if not self.streams:
                    stats.downstream_cx_destroy_local += 1
                    return

    def _broken(self, error: h2.SessionError) -> None:
        """The client broke the protocol: count it, and let the streams know."""
        if error.flood:
            setattr(self.stats, error.flood, getattr(self.stats, error.flood) + 1)
        elif not self._refused:
            self.context.stats.downstream_cx_protocol_error += 1
        self.flush()
        for stream in self.streams.values():
            stream.info.flags |= DPE
            stream.end_details = _DETAILS.get(error.flood) or f"codec_error:{str(error).replace(' ', '_')}"
            stream.cut(Cause.PEER_RESET)

    def _count_active(self, *, local: bool) -> None:
        if self.streams:
            stats = self.context.stats
            stats.downstream_cx_destroy_active_rq += 1
            if local:
                stats.downstream_cx_destroy_local_active_rq += 1
            else:
                stats.downstream_cx_destroy_remote_active_rq += 1

    def drain(self) -> None:
        """Announce the end; after drain_timeout no new stream is taken, and the last one closes the connection."""
        if self._draining:
            return
        self._draining = True
        self.session.go_away(h2.MAX_STREAM_ID)
        self.flush()
        self._guard.disarm(Cause.CONNECTION_IDLE)
        self._guard.disarm(Cause.CONNECTION_DURATION)
        self._guard.arm(Cause.DRAIN, trio.current_time() + self.context.options.drain_timeout)

    def _go_away_for_good(self) -> None:
        if not self._final:
            self._final = True
            self.session.go_away(self._last_id)
            self.stats.goaway_sent += 1
            self.flush()

    def _rest(self) -> None:
        """There are no streams: the idle time runs."""
        now, idle = trio.current_time(), self.context.options.idle_timeout
        if self._draining:
            if self._final:
                self._guard.fire(Cause.DRAIN)
            return
        if idle != inf:
            self._guard.arm(Cause.CONNECTION_IDLE, now + idle)
        if self._ends_at != inf:
            self._guard.arm(Cause.CONNECTION_DURATION, self._ends_at)

    def feed(self, data: bytes) -> None:
        for event in self.session.receive(data):
            self._on_event(event)

    def _on_event(self, event: h2.Event) -> None:
        if isinstance(event, h2.Head):
            self._open(event)
            return
        if isinstance(event, h2.Window) and not event.stream_id:
            self.wake_senders()
            return
        if isinstance(event, h2.Pong):
            self.ponged()
            return
        if isinstance(event, h2.GoAway):
            return  # the client opens no more streams; those that are here go on
        stream = self.streams.get(event.stream_id)
        if isinstance(event, h2.Data):
            if stream is None or stream.incoming is None:
                self.session.credit(event.stream_id, event.size)
            else:
                stream.incoming.put(event.data, event.size)
                stream.guard.activity = trio.current_time()
                if not stream.fits(ended=event.ended):
                    self._wrong_length(stream)
                elif event.ended:
                    stream.end_of_request(None)
        elif stream is None:
            return
        elif isinstance(event, h2.Trailers):
            self.stats.trailers += 1
            self._end_with_trailers(stream, event)
        elif isinstance(event, h2.Reset):
            self.stats.rx_reset += 1
            stream.gone = True
            stream.cut(Cause.PEER_RESET)
        else:
            stream.sender.wake.set()

    def _open(self, head: h2.Head) -> None:
        """A request has begun."""
        assert self._tasks is not None, "serve() made it before anything was read"
        if self._final:
            self.session.reset(head.stream_id, h2.REFUSED_STREAM)
            return
        self._last_id = head.stream_id
        try:
            request = self._request(head)
        except RemoteProtocolError as error:
            self._refuse(head.stream_id, error)
            return
        now = trio.current_time()
        info = StreamInfo(now, clock.now(), self.channel.info)
        info.protocol = "HTTP/2"
        info.header_bytes_received = sum(len(name) + len(value) for name, value in head.fields)
        info.wire_bytes_received = info.header_bytes_received
        stream = Http2ServerStream(self, head.stream_id, request, info)
        if head.ended:
            info.request_end = now
        else:
            request.body = stream.incoming = StreamBody(self, head.stream_id, info)
        if not self.streams:
            self._guard.disarm(Cause.CONNECTION_IDLE)
        self.streams[head.stream_id] = stream
        self.stats.streams_active += 1
        self._served += 1
        if self._served >= self.context.options.max_requests and not self._draining:
            self.context.stats.downstream_cx_max_requests_reached += 1
            self.drain()
        self._tasks.start_soon(self._serve_stream, stream)

    def _wrong_length(self, stream: Http2ServerStream) -> None:
        """A body that is not as long as its content-length says ends its stream alone."""
        stream.info.flags |= DPE
        stream.gone = True
        if stream.incoming is not None:
            stream.incoming.drop()
        self.session.reset(stream.sender.stream_id, h2.PROTOCOL_ERROR)
        self.stats.tx_reset += 1
        stream.cut(Cause.PEER_RESET)

    def _end_with_trailers(self, stream: Http2ServerStream, event: h2.Trailers) -> None:
        try:
            trailers = messages.trailers_of(event.fields)
        except RemoteProtocolError as error:
            self._refuse(event.stream_id, error)
            return
        if stream.fits(ended=True):
            stream.end_of_request(trailers)
        else:
            self._wrong_length(stream)

    def _refuse(self, stream_id: int, error: RemoteProtocolError) -> None:
        """A malformed request: its stream is reset, or by default the connection ends."""
        self.stats.rx_messaging_error += 1
        info = StreamInfo(trio.current_time(), clock.now(), self.channel.info)
        info.protocol = "HTTP/2"
        self.handler.protocol_error(info, error.details, 0)
        if not self.context.options.http2.stream_error:
            self._refused = True
            raise h2.SessionError(error.details)
        self.session.reset(stream_id, h2.PROTOCOL_ERROR)
        self.stats.tx_reset += 1

    def _request(self, head: h2.Head) -> Request:
        """The request that a head stands for.

        Raises:
            RemoteProtocolError: it is malformed, too large, or has a name with an underscore that is not wanted.
        """
        options = self.context.options.http2
        if len(head.fields) > options.max_fields:
            raise RemoteProtocolError("http2.too_many_headers", 431)
        if messages.byte_size(head) > options.max_head_bytes:
            self.stats.header_overflow += 1
            raise RemoteProtocolError("http2.headers_too_large", 431)
        pseudo, headers = messages.split(head.fields, messages.REQUEST_PSEUDO)
        messages.check_request(pseudo, headers, ended=head.ended)
        if options.underscores is not _ALLOW:
            self._drop_underscores(headers)
        messages.join_cookies(headers)
        host = headers.get(b"host")
        headers.remove(b"host")
        authority = pseudo.get(b":authority") or host
        return Request(
            method=pseudo[b":method"],
            authority=authority or b"",
            path=pseudo.get(b":path", b""),
            scheme=pseudo.get(b":scheme", b""),
            headers=headers,
            protocol=pseudo.get(b":protocol", b""),
            host_missing=authority is None,
        )

    def _drop_underscores(self, headers: Headers) -> None:
        for name in [name for name in headers.first if b"_" in name]:
            if self.context.options.http2.underscores is not _DROP:
                self.stats.requests_rejected_with_underscores_in_headers += 1
                raise RemoteProtocolError("http2.unexpected_underscore")
            self.stats.dropped_headers_with_underscores += 1
            headers.remove(name)

    async def _serve_stream(self, stream: Http2ServerStream) -> None:
        guard = stream.guard
        try:
            with guard.open():
                if stream.ended_by is not None:  # in the same bytes as its head
                    guard.fire(stream.ended_by)
                await stream.greet()
                await self.handler.handle(stream)
            if guard.fired is not None and not stream.finished:
                cause = guard.fired
                with guard.open():
                    await self.handler.interrupted(stream, cause)
        finally:
            guard.close()
            stream.close()
            del self.streams[stream.sender.stream_id]
            self.stats.streams_active -= 1
            self.flush()
            if not self.streams:
                self._rest()


class Http2ServerStream:
    """One exchange (http.codec.ServerStream).

    Attributes:
        incoming: the request's body as it comes, or None.
        sender: what is sent.
        gone: the peer has reset it.
        ended_by: why it can't go on, or None.
        end_details: see ServerStream; of a rule that the client broke, or of our own close.
        finished: the response was sent to its end, or the stream was reset.
    """

    def __init__(self, connection: Http2ServerConnection, stream_id: int, request: Request, info: StreamInfo) -> None:
        self._connection = connection
        self.request = request
        self.info = info
        self.guard = Guard(connection.context.timers)
        self.incoming: StreamBody | None = None
        self.sender = Sender(connection, stream_id)
        self.responded = False
        self.finished = False
        self.gone = False
        self.ended_by: Cause | None = None
        self.end_details = ""
        self._head = request.method == b"HEAD"
        length = request.headers.first.get(b"content-length")
        self._length = inf if length is None else int(length)

    @property
    def request_complete(self) -> bool:
        return self.incoming is None or self.incoming.ended

    @property
    def request_here(self) -> bool:
        return self.request_complete

    def cut(self, cause: Cause) -> None:
        """The stream can't go on; its task may not have begun to run."""
        if self.ended_by is None:
            self.ended_by = cause
        self.guard.fire(cause)

    def fits(self, *, ended: bool) -> bool:
        """Whether the body so far is as content-length says."""
        assert self.incoming is not None, "only a body that comes is measured"
        received, length = self.incoming.received, self._length
        return received <= length and (not ended or received == length or length == inf)

    def end_of_request(self, trailers: Headers | None) -> None:
        """The request's last byte, or its trailers, are here."""
        if self.incoming is None:
            return
        self.info.request_end = trio.current_time()
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

    async def inform(self, status: int, headers: Headers) -> None:
        """Write an informational response; the stream may be gone, then nothing happens."""
        if self.responded or self.gone:
            return
        try:
            self.sender.head([(b":status", b"%d" % status), *headers], ended=False)
        except BrokenPipeError:
            return
        self._connection.flush()

    async def respond(self, response: Response) -> None:
        """Write the response; see ServerStream.respond."""
        info, sender = self.info, self.sender
        body = None if self._head or response.status in _NO_BODY else response.body
        fields = [(b":status", b"%d" % response.status), *response.headers]
        first = body.read_nowait() if body is not None else b""
        ended = first == b"" and not (body is not None and body.trailers)
        self.guard.activity = info.response_start = trio.current_time()
        info.header_bytes_sent = sum(len(name) + len(value) for name, value in fields)
        self.responded = True
        sender.head(fields, ended=ended)
        if body is not None and not ended:
            try:
                await sender.body(body, (first,) if first else (), self.guard)
            finally:
                info.bytes_sent = sender.sent
        info.wire_bytes_sent = info.header_bytes_sent + info.bytes_sent
        self._connection.flush()
        self.finished = True

    def reset(self) -> None:
        """RST_STREAM."""
        if (
            not self.finished
            and not self.gone
            and self._connection.session.reset(self.sender.stream_id, h2.INTERNAL_ERROR)
        ):
            self._connection.stats.tx_reset += 1
            self._connection.flush()
        self.finished = True

    def close_after(self) -> None:
        """Only a draining listener says this of HTTP/2: the connection ends after its streams."""
        if self.info.status != 400:  # a bad request ends its stream only
            self._connection.drain()

    def close(self) -> None:
        """The exchange is over: tell the peer to stop sending what nobody reads."""
        incoming = self.incoming
        if incoming is None:
            return
        incoming.drop()
        if not incoming.ended and not self.gone and self.finished:
            self._connection.session.reset(self.sender.stream_id, h2.NO_ERROR)
        self.incoming = None
