"""A downstream HTTP/1 connection: one task, one cancel scope, requests in turn.

Rules:
1. The task that runs serve() reads heads and runs the handler. Only who reads a request body reads from the channel
   meanwhile, so nothing comes in that nobody wants.
2. The guard's scope outlives requests. When it has fired during an exchange the handler gets interrupted(); when it
   fires just after one, that is no news and a new scope is opened.
3. The peer's end during an exchange fires PEER_GONE, as Envoy treats a half-closed HTTP/1 connection as gone.
4. A response that begins before the request was read to its end says `connection: close` (as Envoy does): the rest of
   the request is read and dropped for delayed_close_timeout, so that the client can read its answer.
"""

from __future__ import annotations

from math import inf
from typing import Final, NoReturn

import trio
from trio.lowlevel import checkpoint

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.codec import Handler
from trio_envoy.http.h1 import writer
from trio_envoy.http.h1.request_parser import RequestMessage, RequestParser
from trio_envoy.http.h1.server_stream import Http1ServerStream
from trio_envoy.http.h1.spelled import SpelledRequestParser
from trio_envoy.http.headers import Headers
from trio_envoy.http.options import ServerContext
from trio_envoy.net.channel import Channel, send_all
from trio_envoy.net.poller import BUFFER_BYTES, TURNS
from trio_envoy.net.stream_info import DC, StreamInfo
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Alarm, Cause, Guard

HEAD_READ_BYTES: Final = 16 * 1024  # bounds how many pipelined requests one read brings
WALL_SECONDS: Final = 1.0  # how long the offset of the wall clock is trusted

_IDLE: Final = int(Cause.CONNECTION_IDLE)  # a look-up in an enum costs as much as a call
_HEADERS_TOO_SLOW: Final = RemoteProtocolError("request_header_timeout", 408, "request header timeout")


class Http1ServerConnection:
    """One downstream connection (http.codec.ServerConnection).

    Args:
        channel: its bytes; closed when serve() returns.
        handler: answers requests.
        context: of the HCM.
        guard: of the connection's task; disarmed when serve() returns.
        beginning: bytes that were read to find out which HTTP this is.

    Attributes:
        closing: the next response is the last one.
        now: trio.current_time without the detour.
        informs: informational responses go to the client.
        proper_case, trailers: of Http1Options.
    """

    __slots__ = (
        "_context",
        "_drain_at",
        "_guard",
        "_handler",
        "_idle_timeout",
        "_options",
        "_parser",
        "_served",
        "_stream",
        "_wall",
        "_wall_until",
        "_watched",
        "channel",
        "closing",
        "informs",
        "now",
        "proper_case",
        "trailers",
    )

    def __init__(
        self, channel: Channel, handler: Handler, context: ServerContext, guard: Guard, beginning: bytes = b""
    ) -> None:
        self.channel = channel
        self.informs = context.options.proxy_100_continue
        self.proper_case = context.options.http1.proper_case
        self.trailers = context.options.http1.trailers
        self._handler = handler
        self._context = context
        self._options = options = context.options
        self._guard = guard
        secure = channel.info.tls is not None
        # The scheme is the handler's to settle.
        make = RequestParser if options.http1.remember is None else SpelledRequestParser
        self._parser = make(options.http1, context.http1_stats, b"", secure=secure)
        self._idle_timeout = options.idle_timeout
        self._drain_at = inf  # trio time at which a connection that is too old ends
        self._stream: Http1ServerStream | None = None
        self.closing = False  # no request after the current one
        self._served = 0
        self.now = trio.lowlevel.current_clock().current_time
        self._wall = 0.0  # wall clock minus Trio's, looked at once in WALL_SECONDS
        self._wall_until = -inf
        self._watched = False  # the channel will tell when the client has gone
        self._parser.feed(beginning)

    async def serve(self) -> None:
        """Serve requests until the client, a deadline or a drain ends it.

        Cancelled: the channel is closed; the handler has been told through its own Cancelled.
        """
        guard, options, stats = self._guard, self._options, self._context.stats
        stats.downstream_cx_http1_total += 1
        stats.downstream_cx_http1_active += 1
        now = self.now()
        age = None
        if options.max_connection_duration != inf:
            age = Alarm(self._context.timers, self._too_old)
            age.plan(now + options.max_connection_duration)
        self._rest(now)
        try:
            while True:
                with guard.open():
                    await self._run()
                    break
                assert guard.fired is not None, "only the guard cancels its scope"
                if not await self._fired(guard.fired):
                    break
        finally:
            guard.disarm_all()
            if age is not None:
                age.close()
            self.channel.close()
            stats.downstream_cx_http1_active -= 1
            self._stream = None  # it refers to us
            self._parser.close()

    def drain(self) -> None:
        """`connection: close` with the response that is under way, or the end if there is none."""
        self.closing = True
        if self._stream is None and not self._parser.in_head:
            self._guard.fire(Cause.DRAIN)

    def _rest(self, now: float) -> None:
        """Between two requests: the deadlines of an idle connection."""
        guard = self._guard
        if self._idle_timeout != inf:
            at = guard.at[_IDLE] = now + self._idle_timeout
            if at < guard.planned:
                guard.plan(at)
        if self._drain_at != inf:
            self._retire()

    async def _run(self) -> None:
        """Requests in turn, until the connection shall be closed."""
        parser, handler = self._parser, self._handler
        turns = 0
        while True:
            try:
                if parser.messages:
                    message = parser.messages.popleft()
                else:
                    turns = 0
                    read = await self._read_head()
                    if read is None:
                        return
                    message = read
            except RemoteProtocolError as error:
                await self._refuse(error)
                return
            stream = self._begin(message)
            if b"expect" in message.headers.first:
                await self._expect(stream)
            await handler.handle(stream)
            self._stream = None
            if not stream.finished or stream.closes:
                await self._end(stream)
                return
            end = stream.info.end
            self._rest(end if end == end else self.now())
            turns += 1
            if turns >= TURNS:  # pipelined requests: others want to run too
                turns = 0
                await checkpoint()

    async def _read_head(self) -> RequestMessage | None:
        """Wait for the next head; None: the client has left.

        Raises:
            RemoteProtocolError: it is not one.
        """
        channel, parser = self.channel, self._parser
        if parser.error is not None:
            parser.next()  # raises it
        timed = self._options.headers_timeout == inf
        turns = 0
        while True:
            if not timed and parser.in_head:  # from its first byte
                timed = True
                self._guard.arm(Cause.REQUEST_HEADERS, self.now() + self._options.headers_timeout)
            try:
                data = channel.recv(HEAD_READ_BYTES) if channel.can_read else None
            except OSError:
                data = b""
            if data is None:
                turns = 0
                await channel.wait_read()
                continue
            if not data:
                self._left()
                return None
            parser.feed(data)
            if parser.messages:
                return parser.messages.popleft()
            parser.next()  # raises what it has met
            turns += 1
            if turns % TURNS == 0:
                await checkpoint()

    def _left(self) -> None:
        """The client closed between two requests, or in the middle of a head."""
        self._context.stats.downstream_cx_destroy_remote += 1
        try:
            self._parser.end_of_stream()
        except RemoteProtocolError:
            info = self._new_info(self.now())
            info.flags |= DC
            self._count_active()
            info.wire_bytes_received = self._parser.refused_bytes
            self._handler.protocol_error(info, "downstream_remote_disconnect", 0)

    def _count_active(self) -> None:
        """The client has left in the middle of a request."""
        stats = self._context.stats
        stats.downstream_cx_destroy_active_rq += 1
        stats.downstream_cx_destroy_remote_active_rq += 1

    def _new_info(self, now: float) -> StreamInfo:
        if now >= self._wall_until:
            self._look_at_the_wall(now)
        info = StreamInfo(now, now + self._wall, self.channel.info)
        info.protocol = "HTTP/1.1"
        return info

    def _look_at_the_wall(self, now: float) -> None:
        self._wall = clock.now() - now
        self._wall_until = now + WALL_SECONDS

    def _begin(self, message: RequestMessage) -> Http1ServerStream:
        """A head is here: the connection is busy from now on."""
        guard, options, look = self._guard, self._options, self.now
        now = look()  # as a method it would be looked up in the class first, which costs as much as the call
        guard.at[_IDLE] = inf
        if options.headers_timeout != inf:
            guard.disarm(Cause.REQUEST_HEADERS)
        if self.closing:
            guard.disarm(Cause.DRAIN)
        self._served += 1
        if self._served >= options.max_requests and not self.closing:
            self.closing = True
            self._context.stats.downstream_cx_max_requests_reached += 1
        if now >= self._wall_until:
            self._look_at_the_wall(now)
        info = StreamInfo(now, now + self._wall, self.channel.info)
        info.protocol = "HTTP/1.0" if message.http10 else "HTTP/1.1"
        info.header_bytes_received = message.header_bytes
        info.wire_bytes_received = message.head_bytes
        if message.framing is None:
            info.request_end = now
        stream = self._stream = Http1ServerStream(self, message, info, guard)
        if not self._watched:
            self._watched = True
            self.channel.on_gone = self._peer_gone
        return stream

    async def _expect(self, stream: Http1ServerStream) -> None:
        """Answer `expect: 100-continue` at once, as Envoy does; other expectations are the upstream's."""
        headers = stream.request.headers
        if self._options.proxy_100_continue or headers.first[b"expect"].lower() != b"100-continue":
            return
        headers.remove(b"expect")
        go_on = writer.CONTINUE_10 if stream.http10 else writer.CONTINUE
        try:
            await send_all(self.channel, go_on)
        except OSError:
            return  # the handler will find out
        stream.info.status = 100  # unless a response follows
        stream.info.wire_bytes_sent += len(go_on)
        self._handler.continued()

    async def _end(self, stream: Http1ServerStream) -> None:
        """The last exchange of the connection is over."""
        stats = self._context.stats
        if stream.finished:
            if not stream.request_complete or self.channel.readable():
                await self._linger()
            stats.downstream_cx_destroy_local += 1
        elif self.channel.closed:
            stats.downstream_cx_destroy_local += 1

    async def _fired(self, cause: Cause) -> bool:
        """The guard has cancelled the task; whether the connection goes on."""
        stream, guard, stats = self._stream, self._guard, self._context.stats
        if stream is not None:
            if cause is Cause.PEER_GONE:
                stats.downstream_cx_destroy_remote += 1
                self._count_active()
            with guard.open():
                await self._handler.interrupted(stream, cause)
            self._stream = None
            if cause is Cause.PEER_GONE:
                return False
            if not stream.finished or stream.closes:
                await self._end(stream)
                return False
            self._rest(self.now())
            return True
        if cause is Cause.REQUEST_HEADERS:
            stats.downstream_rq_header_timeout += 1
            await self._refuse(_HEADERS_TOO_SLOW)
            return False
        if cause is Cause.DRAIN:
            stats.downstream_cx_destroy_local += 1
            return False
        if cause is Cause.CONNECTION_IDLE:
            stats.downstream_cx_idle_timeout += 1
            self.closing = True  # Envoy's drain sequence: a request that comes meanwhile is still answered
            self._guard.arm(Cause.DRAIN, self.now() + self._options.drain_delay())
        return True  # all others were meant for an exchange that had just ended

    def _too_old(self, now: float) -> None:
        """max_connection_duration is over. A safe one has its next request answered; others end by a timer."""
        self._context.stats.downstream_cx_max_duration_reached += 1
        self._drain_at = now + self._options.drain_delay()
        if self._stream is None:
            self._retire()
        elif not self._options.safe_duration:
            self.closing = True  # with the response that is under way, if its head is not written yet

    def _retire(self) -> None:
        """Of a connection that is too old: the next request is the last one, if there is time for one."""
        self.closing = True
        if not self._options.safe_duration:
            self._guard.arm(Cause.DRAIN, self._drain_at)

    def _peer_gone(self) -> None:
        """Called by the channel: the client closed while nobody reads."""
        self._watched = False
        stream = self._stream
        if stream is not None and not stream.finished:
            self._guard.fire(Cause.PEER_GONE)

    async def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer what never became a request, and close."""
        now = self.now()
        info = self._new_info(now)
        status, text = error.status, error.text.encode()
        if self._options.reshape is None:
            headers = Headers([(b"content-length", b"%d" % len(text)), (b"content-type", b"text/plain")])
        else:
            info.details = error.details
            status, text, headers = self._options.reshape(info, status, text)
        headers.add(b"date", clock.http_date(clock.now()))
        if self._options.server_name is not None:
            headers.add(b"server", self._options.server_name)
        headers.add(b"connection", b"close")
        http10 = self._parser.refused_http10
        head, _ = writer.response_head(status, headers, True, http10=http10, proper=self.proper_case)
        info.response_start = now
        info.wire_bytes_received = self._parser.refused_bytes
        info.header_bytes_received = self._parser.refused_header_bytes
        info.bytes_sent = len(text)
        info.header_bytes_sent = len(head) - head.find(b"\n") - 3
        info.wire_bytes_sent = len(head) + len(text)
        try:
            self.channel.send(head + text)  # what a client that reads nothing can't take is lost
        except OSError:
            self._context.stats.downstream_cx_destroy_remote += 1
        else:
            self._context.stats.downstream_cx_destroy_local += 1
        self._handler.protocol_error(info, error.details, error.status)
        await self._linger()

    async def _linger(self) -> None:
        """Let the client read the last response: drop what it still sends, until it closes or the time is over."""
        channel, view = self.channel, self._context.view
        delay = self._options.delayed_close_timeout
        if not delay or channel.closed:
            return
        with trio.move_on_after(delay) as scope:
            turns = 0
            while True:
                try:
                    received = channel.recv_into(view)
                except OSError:
                    return
                if received is None:
                    await channel.wait_read()
                elif not received:
                    return
                turns += 1
                if turns % TURNS == 0:
                    await checkpoint()
        if scope.cancelled_caught:
            self._context.stats.downstream_cx_delayed_close_timeout += 1

    def check_body(self) -> None:
        """Look whether the body that is on its way in can go on.

        Raises:
            RemoteProtocolError: its framing is broken.
        """
        error = self._parser.body_error
        if error is not None:
            raise error

    async def read_body(self) -> None:
        """Read once from the client, for the body that is on its way in.

        Raises:
            RemoteProtocolError: the framing is broken.
            OSError: the client has gone, and the reader does not run under the guard.

        Cancelled: also when the client has gone.
        """
        self.check_body()
        channel = self.channel
        try:
            while (data := channel.recv(BUFFER_BYTES)) is None:
                await channel.wait_read()
        except OSError:
            data = b""
        if not data:
            await self.lost()
        self._parser.feed(data)

    async def lost(self) -> NoReturn:
        """Who reads has met the end: the client has gone; see read_body()."""
        self._peer_gone()
        await checkpoint()
        raise ConnectionResetError("the client has gone")
