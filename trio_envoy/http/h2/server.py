"""A downstream HTTP/2 connection: a reader, a writer, and a task for each stream (http.h2.stream_tasks).

Draining is in two steps (RFC 9113 s6.8): a GOAWAY that still takes every stream, then one that names the last.
"""

from __future__ import annotations

from math import inf
from typing import Final

import trio

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.codec import Handler
from trio_envoy.http.h2 import frames as h2
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.body import StreamBody
from trio_envoy.http.h2.driver import Driver
from trio_envoy.http.h2.floods import Resets
from trio_envoy.http.h2.heads import Requests
from trio_envoy.http.h2.options import DEFAULT_HEADER_BUDGET, HEADER_BUDGET_KEY
from trio_envoy.http.h2.server_stream import Http2ServerStream
from trio_envoy.http.h2.state import SessionError, StreamState
from trio_envoy.http.h2.stream_tasks import StreamTasks
from trio_envoy.http.hpack.errors import Oversized
from trio_envoy.http.message import Request
from trio_envoy.http.options import ServerContext
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import DC, DPE, DR, StreamInfo
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Cause, Guard

_CROWDED: Final = "http2.header_budget_exceeded"  # details; ours, Envoy has no such limit
_WALL_SECONDS: Final = 1.0  # how long the offset of the wall clock is trusted


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
        super().__init__(channel, context.options.http2, context.http2_stats, context.view, client=False)
        self.context = context
        self.flush_timeout = context.options.flush_timeout
        self.handler = handler
        self._guard = guard
        self._beginning = beginning
        self._tasks: StreamTasks | None = None
        self._heads = Requests(context.options.http2, self.stats)
        self._draining = False
        self._final = False
        self._served = 0
        self._max_requests = context.options.max_requests
        self._ends_at = inf
        self._wall = 0.0  # wall clock minus Trio's, looked at once in _WALL_SECONDS
        self._wall_until = -inf
        self.header_budget = context.limit(HEADER_BUDGET_KEY, DEFAULT_HEADER_BUDGET)
        self._resets = Resets(context.limit)

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
                async with trio.open_nursery() as serving:
                    tasks = self._tasks = StreamTasks(self, self.handler, self.context.timers, serving)
                    ours = await self._read_until_over()
                    if not self.details or self.flag != DC:  # a client that is not there any more is not counted
                        self._count_active(local=ours or bool(self.details))
                    tasks.end()
                    for stream in tuple(self.streams.values()):
                        if not stream.gone:
                            stream.end_details = stream.end_details or self.details
                            stream.info.flags |= self.flag & DPE
                        stream.gone = True
                        stream.cut(Cause.PEER_GONE if self.flag == DC else Cause.DRAIN)
                self.flush()
                delay = options.delayed_close_timeout
                if ours and not await self.linger(delay) and delay:
                    stats.downstream_cx_delayed_close_timeout += 1
                writing.cancel_scope.cancel()
        finally:
            guard.disarm_all()
            self.close()
            self.session.end()
            self._tasks = None  # else it and the connection hold each other until a collection
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
                        self.session.receive(data)
                        self.flush()
                    await self.read_loop()
                except SessionError as error:
                    self._broken(error)
                    stats.downstream_cx_destroy_local += 1
                    return True
                except OSError:  # we have closed it
                    assert self.details, "who does so says why"
                if self.details:
                    stats.downstream_cx_destroy_local += 1
                else:
                    stats.downstream_cx_destroy_remote += 1
                self._end_head("", DC)
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

    def _broken(self, error: SessionError) -> None:
        """The client broke the protocol: count it, and let the log and the streams know."""
        self.channel.info.flags |= DPE
        if error.stat:
            setattr(self.stats, error.stat, getattr(self.stats, error.stat) + 1)
        else:
            self.context.stats.downstream_cx_protocol_error += 1
        if error.silent:
            self.session.mute = True
        else:
            self.flush()
        self._end_head(error.at_fault if error.stream_id == self.session.open_head else error.details, DPE)
        for stream in self.streams.values():
            if stream.ended_by is None:
                stream.give_up(error.at_fault if error.stream_id == stream.state.id else error.details)

    def _end_head(self, details: str, flag: int) -> None:
        """A head that has begun is not finished any more."""
        if self.session.open_head:
            self._log_head(details or "downstream_remote_disconnect", flag)

    def _count_active(self, *, local: bool) -> None:
        if self.session.streams:
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
        self._guard.arm(Cause.DRAIN, trio.current_time() + self.context.options.drain_delay())

    def _go_away_for_good(self) -> None:
        if not self._final:
            self._final = True
            self.session.go_away(self.session.last_id)
            self.stats.goaway_sent += 1
            self.flush()

    def _rest(self) -> None:
        """There are no streams: the idle time runs."""
        now, idle = self.now(), self.context.options.idle_timeout
        if self._draining:
            if self._final:
                self._guard.fire(Cause.DRAIN)
            return
        if idle != inf:
            self._guard.arm(Cause.CONNECTION_IDLE, now + idle)
        if self._ends_at != inf:
            self._guard.arm(Cause.CONNECTION_DURATION, self._ends_at)

    # http.h2.state.Events

    def on_fields(self, state: StreamState, fields: list[tuple[bytes, bytes]], size: int, ended: bool) -> None:
        """A request, or trailers."""
        stream: Http2ServerStream | None = state.user
        if stream is not None:
            self._on_trailers(stream, fields, ended=ended)
            return
        if len(self.session.streams) > self.context.options.http2.max_streams:
            self._one_too_many(state)
            return
        try:
            request, length = self._heads.request(fields, size, ended=ended)
        except messages.UnwantedNameError as error:
            self._turn_away(state, error.details)
            return
        except RemoteProtocolError as error:
            self._refuse(state, error)
            return
        self._open(state, request, size, length, ended=ended)

    def _open(self, state: StreamState, request: Request, size: int, length: float, *, ended: bool) -> None:
        """A request has begun."""
        tasks = self._tasks
        assert tasks is not None, "serve() made it before anything was read"
        now = self.now()
        info = self._new_info(now)
        info.header_bytes_received = info.wire_bytes_received = size
        task = tasks.take()
        stream = state.user = Http2ServerStream(self, state, request, info, task.guard, length)
        if ended:
            info.request_end = now
        else:
            request.body = stream.incoming = StreamBody(self, state, info)
        streams = self.streams
        if not streams:
            self._guard.disarm(Cause.CONNECTION_IDLE)
        streams[state.id] = stream
        self.stats.streams_active += 1
        self._served += 1
        if self._served >= self._max_requests:
            self.context.stats.downstream_cx_max_requests_reached += 1
            self.drain()
        tasks.start(task, stream)

    def _new_info(self, now: float) -> StreamInfo:
        if now >= self._wall_until:
            self._wall = clock.now() - now
            self._wall_until = now + _WALL_SECONDS
        info = StreamInfo(now, now + self._wall, self.channel.info)
        info.protocol = "HTTP/2"
        return info

    def finished(self, stream: Http2ServerStream) -> None:
        """Its task is done with a stream."""
        if not stream.gone:  # else it was counted
            self._resets.closed()
        stream.close()
        state = stream.state
        state.user = None  # else the two hold each other until a collection
        self.session.release(state)
        del self.streams[state.id]
        self.stats.streams_active -= 1
        if not self.streams:
            self._rest()

    def _on_trailers(self, stream: Http2ServerStream, fields: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        self.stats.trailers += 1
        try:
            if not ended:
                raise RemoteProtocolError(messages.VIOLATION)
            trailers = messages.trailers_of(fields)
            messages.check_underscores(trailers, self.context.options.http2, self.stats)
            assert stream.incoming is not None, "only a body that comes has trailers"
            if not stream.fits(0, ended=True) or not messages.says_length(trailers, stream.incoming.received):
                raise RemoteProtocolError(messages.VIOLATION)
        except messages.UnwantedNameError as error:
            self._turn_away(stream.state, error.details)
            return
        except RemoteProtocolError as error:
            self._refuse(stream.state, error)
            return
        stream.end_of_request(trailers)

    def on_too_large(self, state: StreamState, error: Oversized) -> None:
        """A head or trailers over the limits: the stream is reset."""
        details = messages.oversize(error, self.context.options.http2.max_fields, self.stats)
        if state.user is not None:
            self.stats.trailers += 1
        self._turn_away(state, details)

    def _turn_away(self, state: StreamState, details: str) -> None:
        """No rule is broken, but a head or trailers are not wanted: the stream is reset."""
        self._end_broken(state, details, DR)
        self._reset(state, h2.INTERNAL_ERROR)
        self._unanswered(state.user)

    def on_crowded(self, state: StreamState) -> None:
        """Nothing was done for a new stream, which the client may safely try again; trailers it may not."""
        self.stats.header_budget_exceeded += 1
        begun = state.user is not None
        self._end_broken(state, _CROWDED, DR)
        self._reset(state, h2.ENHANCE_YOUR_CALM if begun else h2.REFUSED_STREAM)
        if begun:  # else it is no sign of malice
            self._unanswered(state.user)

    def on_data(self, state: StreamState, data: bytes, size: int, ended: bool) -> None:
        """A piece of a request's body."""
        stream: Http2ServerStream | None = state.user
        if stream is None or stream.incoming is None:
            self.session.credit(state, size)
            return
        stream.guard.activity = self.now()
        if not stream.fits(len(data), ended=ended):
            self.session.credit(state, size)
            self._reset(state, h2.PROTOCOL_ERROR)  # its stream alone
            stream.give_up()
            self._unanswered(stream)
            return
        stream.incoming.put(data, size)
        if ended:
            stream.end_of_request(None)

    def on_reset(self, state: StreamState, code: int) -> None:
        """The client has given a stream up."""
        stream: Http2ServerStream | None = state.user
        if stream is None:
            return
        self.stats.rx_reset += 1
        stream.gone = True
        stream.cut(Cause.PEER_RESET)
        self._unanswered(stream)

    def _unanswered(self, stream: Http2ServerStream | None) -> None:
        """A stream ended before its answer, perhaps without having become one of ours.

        A client whose streams end so for the most part, and at once, is sent away (CVE-2023-44487).
        """
        self._resets.closed()
        if stream is not None and stream.responded:
            return
        if self._resets.too_many(0.0 if stream is None else self.now() - stream.info.start):
            self.context.stats.downstream_rq_too_many_premature_resets += 1
            self.context.stats.downstream_cx_protocol_error += 1
            self.details, self.flag = "too_many_premature_resets", 0
            self.channel.close()  # at once, without the grace of linger()
            raise BrokenPipeError(self.details)

    def on_broken(self, state: StreamState) -> None:
        """The client overran the window of a stream, or made its own too large."""
        self.stats.tx_reset += 1
        stream: Http2ServerStream | None = state.user
        if stream is not None:
            stream.gone = True
            stream.cut(Cause.PEER_RESET)
            self._unanswered(stream)

    def on_goaway(self, last_stream_id: int, code: int) -> None:
        """The client opens no more streams, or some; those that are here go on."""

    def _one_too_many(self, state: StreamState) -> None:
        """More streams than we allow: a mistake before the client has taken our settings, and an error after that."""
        if self.session.acknowledged:
            raise SessionError("too many streams")
        self.stats.stream_refused_errors += 1
        self._reset(state, h2.REFUSED_STREAM)

    def _reset(self, state: StreamState, code: int) -> None:
        self.session.reset(state, code, late=True)
        self.stats.tx_reset += 1
        self.session.floods.controls += 1

    def _refuse(self, state: StreamState, error: RemoteProtocolError) -> None:
        """A malformed head or trailers: the stream is reset, or by default the connection ends."""
        self.stats.rx_messaging_error += 1
        self._end_broken(state, error.details, DPE)
        if not self.context.options.http2.stream_error:
            raise SessionError(error.details)
        self._reset(state, h2.PROTOCOL_ERROR)
        self._unanswered(state.user)

    def _end_broken(self, state: StreamState, details: str, flag: int) -> None:
        """Tell who answers requests, also if it never became one."""
        stream: Http2ServerStream | None = state.user
        if stream is not None:
            stream.give_up(details, flag)
        else:
            self._log_head(details, flag)

    def _log_head(self, details: str, flag: int) -> None:
        info = self._new_info(self.now())
        info.flags |= flag
        self.handler.protocol_error(info, details, 0)
