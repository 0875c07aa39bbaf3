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
from trio_envoy.http.h2.driver import Driver, StreamBody
from trio_envoy.http.h2.floods import DETAILS, Resets
from trio_envoy.http.h2.server_stream import Http2ServerStream
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.http.options import ServerContext
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import DPE, DR, StreamInfo
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Cause, Guard

_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW
_DROP: Final = HeadersWithUnderscoresAction.DROP_HEADER
_TOO_MANY_STREAMS: Final = "The user callback function failed"  # what Envoy logs of it
_BEHIND: Final = 100  # streams; see Driver.behind


class Http2ServerConnection(Driver[Http2ServerStream]):
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
        session = h2.Session(context.options.http2, client=False)
        super().__init__(channel, session, context.http2_stats, context.view)
        self.context = context
        self.handler = handler
        self._guard = guard
        self._beginning = beginning
        self._tasks: trio.Nursery | None = None
        self._last_id = 0
        self._draining = False
        self._final = False
        self._served = 0
        self._ends_at = inf
        self._silent = False  # the connection ends without a word, because of a malformed message
        self._resets = Resets()

    def flush(self) -> None:
        """Send what there is; nothing before the client's preface, as Envoy."""
        if self.session.begun and not self._silent:
            super().flush()

    @property
    def behind(self) -> bool:
        return len(self.streams) > self.session.open_streams + _BEHIND

    async def serve(self) -> None:
        """Serve streams until the client, a deadline or a drain ends it.

        Cancelled: the streams' handlers have been told through their own Cancelled; the channel is closed.
        """
        stats, options, guard = self.context.stats, self.context.options, self._guard
        stats.downstream_cx_http2_total += 1
        stats.downstream_cx_http2_active += 1
        self.stats.nghttp2_downstream_connections += 1
        if options.max_connection_duration != inf:
            self._ends_at = trio.current_time() + options.max_connection_duration
        try:
            async with trio.open_nursery() as writing:
                writing.start_soon(self.write)
                if options.http2.keep_alive is not None:
                    writing.start_soon(self.keep_alive, options.http2.keep_alive)
                async with trio.open_nursery() as tasks:
                    self._tasks = tasks
                    ours = await self._read_until_over()
                    for stream in tuple(self.streams.values()):
                        stream.end_details = stream.end_details or self.details
                        stream.gone = True
                        stream.cut(Cause.PEER_GONE)
                self.flush()
                delay = options.delayed_close_timeout
                if ours and not await self.linger(delay) and delay:
                    stats.downstream_cx_delayed_close_timeout += 1
                writing.cancel_scope.cancel()
        finally:
            guard.disarm_all()
            self.close()
            stats.downstream_cx_http2_active -= 1

    async def _read_until_over(self) -> bool:
        """Read until the peer has closed, or a deadline of the connection has come and all streams are done.

        Returns:
            It is we who close.
        """
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
                    return True
                if self.details:
                    stats.downstream_cx_destroy_local += 1
                else:
                    stats.downstream_cx_destroy_remote += 1
                self._count_active(local=bool(self.details))
                return False
            cause = guard.fired
            if cause is Cause.CONNECTION_IDLE:
                stats.downstream_cx_idle_timeout += 1
                self.drain()
            elif cause is Cause.CONNECTION_DURATION:
                stats.downstream_cx_max_duration_reached += 1
                self.drain()
            else:  # Cause.DRAIN
                self._go_away_for_good()
            if self._final and not self.streams:
                stats.downstream_cx_destroy_local += 1
                return True

    def _broken(self, error: h2.SessionError) -> None:
        """The client broke the protocol: count it, and let the log and the streams know."""
        self.channel.info.flags |= DPE
        if error.flood:
            setattr(self.stats, error.flood, getattr(self.stats, error.flood) + 1)
        else:
            self.context.stats.downstream_cx_protocol_error += 1
        self.flush()
        for stream in self.streams.values():
            if stream.ended_by is None:
                stream.give_up(DETAILS.get(error.flood) or f"codec_error:{str(error).replace(' ', '_')}")

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
                stream.guard.activity = trio.current_time()
                if not stream.fits(len(event.data), ended=event.ended):
                    self.session.credit(event.stream_id, event.size)
                    self._wrong_length(stream)
                    return
                stream.incoming.put(event.data, event.size)
                if event.ended:
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
            self._premature(stream)
        else:
            stream.sender.wake.set()

    def _open(self, head: h2.Head) -> None:
        """A request has begun."""
        assert self._tasks is not None, "serve() made it before anything was read"
        if self._final:
            self._reset(head.stream_id, h2.REFUSED_STREAM)
            return
        if self.session.open_streams > self.context.options.http2.max_streams:
            self._one_too_many(head.stream_id)
            return
        self._last_id = head.stream_id
        if self._too_large(head.stream_id, head.fields):
            return
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

    def _premature(self, stream: Http2ServerStream) -> None:
        """A client that gives up most of what it asks for, and at once, is sent away (CVE-2023-44487)."""
        if not stream.responded and self._resets.too_many(trio.current_time() - stream.info.start):
            self.context.stats.downstream_rq_too_many_premature_resets += 1
            self.channel.close()  # at once, without the grace of linger()
            raise h2.SessionError("too many premature resets")

    def _one_too_many(self, stream_id: int) -> None:
        """More streams than we allow: a mistake before the client has taken our settings, and an error after that."""
        if self.session.acknowledged:
            self._silent = True
            raise h2.SessionError(_TOO_MANY_STREAMS)
        self.stats.stream_refused_errors += 1
        self._reset(stream_id, h2.REFUSED_STREAM)

    def _reset(self, stream_id: int, code: int) -> None:
        self.session.reset(stream_id, code)
        self.stats.tx_reset += 1

    def _wrong_length(self, stream: Http2ServerStream) -> None:
        """A body that is not as long as its content-length says ends its stream alone."""
        self._reset(stream.sender.stream_id, h2.PROTOCOL_ERROR)
        stream.give_up()

    def _end_with_trailers(self, stream: Http2ServerStream, event: h2.Trailers) -> None:
        if self._too_large(event.stream_id, event.fields, stream):
            return
        try:
            trailers = messages.trailers_of(event.fields)
            if not stream.fits(0, ended=True):
                raise RemoteProtocolError(messages.VIOLATION)
        except RemoteProtocolError as error:
            self._refuse(event.stream_id, error, stream)
            return
        stream.end_of_request(trailers)

    def _too_large(self, stream_id: int, fields: h2.Fields, stream: Http2ServerStream | None = None) -> bool:
        """Reset a stream whose head or trailers are over the limits; whether they are."""
        options = self.context.options.http2
        details = messages.oversize(fields, options.max_fields, options.max_head_bytes, self.stats)
        if details:
            self._end_broken(stream, details, DR)
            self._reset(stream_id, h2.INTERNAL_ERROR)
        return bool(details)

    def _refuse(self, stream_id: int, error: RemoteProtocolError, stream: Http2ServerStream | None = None) -> None:
        """A malformed head or trailers: the stream is reset, or by default the connection ends."""
        self.stats.rx_messaging_error += 1
        self._end_broken(stream, error.details, DPE)
        if not self.context.options.http2.stream_error:
            self._silent = True
            raise h2.SessionError(error.details)
        self._reset(stream_id, h2.PROTOCOL_ERROR)

    def _end_broken(self, stream: Http2ServerStream | None, details: str, flag: int) -> None:
        """Tell who answers requests; None: it never became one."""
        if stream is not None:
            stream.give_up(details, flag)
            return
        info = StreamInfo(trio.current_time(), clock.now(), self.channel.info)
        info.protocol = "HTTP/2"
        info.flags |= flag
        self.handler.protocol_error(info, details, 0)

    def _request(self, head: h2.Head) -> Request:
        """The request that a head stands for.

        Raises:
            RemoteProtocolError: it is malformed, or has a name with an underscore that is not wanted.
        """
        options = self.context.options.http2
        pseudo, headers = messages.split(head.fields, messages.REQUEST_PSEUDO)
        messages.check_request(pseudo, headers, ended=head.ended, extended=options.allow_connect)
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
            self._resets.closed()
            del self.streams[stream.sender.stream_id]
            self.stats.streams_active -= 1
            self.flush_soon()
            if not self.streams:
                self._rest()
