"""An upstream HTTP/2 connection: one reader task, as many streams as the peer allows, each a ClientStream.

Reset reasons are Envoy's: a reset stream is "remote reset" or "remote refused stream reset" (UR), a lost connection is
"connection termination" (UC), a broken protocol is "protocol error" (UPE).
"""

from __future__ import annotations

from enum import Enum, auto
from math import inf
from typing import Final, Protocol

import trio

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import Body
from trio_envoy.http.codec import Inform
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2 import session as h2
from trio_envoy.http.h2.driver import Driver, Sender, StreamBody
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import UC, UPE, UR, StreamInfo
from trio_envoy.util.wake import Wake

_TERMINATION: Final = "connection termination"
_PROTOCOL_ERROR: Final = "protocol error"
_REMOTE_RESET: Final = "remote reset"
_NO_BODY: Final = frozenset({204, 304})


class Ending(Enum):
    """How a stream has ended, for the statistics."""

    WHOLE = auto()  # or with its connection, or not taken by the peer
    RESET_BY_PEER = auto()
    RESET_BY_US = auto()


class Owner(Protocol):
    """A pool."""

    def stream_ended(self, connection: Http2ClientConnection, ending: Ending) -> None:
        """A stream was released; there is room for another one if `available` says so. Never blocks."""

    def room_changed(self, connection: Http2ClientConnection) -> None:
        """The peer allows more streams or fewer, or sent GOAWAY. Never blocks."""


class Http2ClientConnection(Driver["Http2ClientStream"]):
    """One upstream connection.

    Args:
        channel: connected, TLS done; the connection owns it.
        options: of the cluster.
        stats: `cluster.<name>.http2.`.
        view: the worker's receive buffer.
        owner: told when streams end.

    Attributes:
        streams: by id.
        served: streams begun so far.
        going_away: the peer takes no more streams, or the connection is broken.
        protocol_error: the upstream broke the protocol.
    """

    def __init__(
        self, channel: Channel, options: Http2Options, stats: Http2Stats, view: memoryview, owner: Owner | None = None
    ) -> None:
        super().__init__(channel, h2.Session(options, client=True), stats, view)
        stats.nghttp2_upstream_connections += 1
        self.options = options
        self.owner = owner
        self.active = 0
        self.served = 0
        self.going_away = False
        self.protocol_error = False
        self._rested = trio.current_time()  # when the last stream ended

    @property
    def closed(self) -> bool:
        """The connection is gone."""
        return self.channel.closed

    @property
    def available(self) -> int:
        """How many more streams may be opened now."""
        if self.going_away or self.closed:
            return 0
        return max(min(self.session.max_streams, self.options.max_streams) - self.active, 0)

    def open(self) -> Http2ClientStream:
        """A stream; there must be one available. It counts until it is released."""
        keep_alive = self.options.keep_alive
        if (
            not self.active
            and keep_alive is not None
            and trio.current_time() - self._rested >= keep_alive.idle_interval
        ):
            self.ping_now()
        self.active += 1
        self.served += 1
        return Http2ClientStream(self, reused=self.served > 1)

    async def run(self) -> None:
        """The reader and the writer: until the connection ends. Its streams then fail.

        Cancelled: the channel is closed; streams fail.
        """
        reason, flag, ending = _TERMINATION, UC, Ending.WHOLE
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self.write)
                if self.options.keep_alive is not None:
                    tasks.start_soon(self.keep_alive, self.options.keep_alive)
                self.flush()
                try:
                    await self.read_loop()
                except h2.SessionError as error:
                    self.protocol_error = True
                    flood = error.flood or "rx_messaging_error"
                    setattr(self.stats, flood, getattr(self.stats, flood) + 1)
                    reason, flag, ending = _PROTOCOL_ERROR, UPE, Ending.RESET_BY_US
                tasks.cancel_scope.cancel()
        finally:
            self.close()
            for stream in tuple(self.streams.values()):
                stream.fail(reason, flag, ending)

    def close(self) -> None:
        """Close the connection now; streams fail."""
        self.going_away = True
        super().close()

    def feed(self, data: bytes) -> None:
        for event in self.session.receive(data):
            self._on_event(event)

    def _on_event(self, event: h2.Event) -> None:
        if isinstance(event, h2.GoAway):
            self._peer_goes(event)
            return
        if isinstance(event, h2.Pong):
            self.ponged()
            return
        if isinstance(event, h2.Window) and not event.stream_id:
            self.wake_senders()
            if self.owner is not None:
                self.owner.room_changed(self)
            return
        stream = self.streams.get(event.stream_id)
        if stream is None:
            if isinstance(event, h2.Data):
                self.session.credit(event.stream_id, event.size)
        elif isinstance(event, h2.Data):
            stream.on_data(event)
        elif isinstance(event, h2.Head | h2.Trailers):
            self._on_fields(stream, event)
        elif isinstance(event, h2.Reset):
            self.stats.rx_reset += 1
            stream.on_reset(event.code)
        else:
            stream.sender.wake.set()

    def _on_fields(self, stream: Http2ClientStream, event: h2.Head | h2.Trailers) -> None:
        options, stats = self.options, self.stats
        if messages.oversize(event.fields, options.max_fields, options.max_head_bytes, stats):
            stream.give_up(h2.INTERNAL_ERROR, _REMOTE_RESET, UR, Ending.RESET_BY_PEER)  # so Envoy puts it
            return
        try:
            stream.on_fields(event)
        except RemoteProtocolError as error:
            if not options.stream_error:
                raise h2.SessionError(error.details) from error
            stats.rx_messaging_error += 1
            stream.break_off()

    def _peer_goes(self, event: h2.GoAway) -> None:
        """GOAWAY: streams above the last one were not processed and may be tried again."""
        self.going_away = True
        for stream_id, stream in tuple(self.streams.items()):
            if stream_id > event.last_stream_id:
                stream.on_reset(h2.REFUSED_STREAM)
        if self.owner is not None:
            self.owner.room_changed(self)

    def ended(self, stream: Http2ClientStream, ending: Ending) -> None:
        """A stream was released."""
        self.active -= 1
        self._rested = trio.current_time()
        if self.streams.pop(stream.sender.stream_id, None) is not None:
            self.stats.streams_active -= 1
        if self.owner is not None:
            self.owner.stream_ended(self, ending)


class Http2ClientStream:
    """One exchange (http.codec.ClientStream)."""

    __slots__ = (
        "_awaits_upload",
        "_body",
        "_complete",
        "_connection",
        "_continue",
        "_ending",
        "_failure",
        "_head_only",
        "_length",
        "_released",
        "_request_error",
        "_response",
        "_upload_scope",
        "_wake",
        "connection",
        "connection_id",
        "info",
        "reused",
        "sender",
    )

    protocol = "HTTP/2"

    def __init__(self, connection: Http2ClientConnection, *, reused: bool) -> None:
        self._connection = connection
        self.connection = connection.channel.info
        self.connection_id = connection.channel.info.id
        self.reused = reused
        self.info: StreamInfo | None = None
        self.sender = Sender(connection, 0)
        self._wake = Wake()
        self._response: Response | None = None
        self._continue = False  # a 100 came that nobody has been told of
        self._body = StreamBody(connection, 0)
        self._failure: UpstreamFailure | None = None
        self._complete = False  # the response may be passed on: one that has no body only with its end
        self._awaits_upload = False
        self._ending = Ending.WHOLE
        self._length = inf  # of the response's body, as it says itself
        self._request_error: RemoteProtocolError | None = None
        self._head_only = False
        self._released = False
        self._upload_scope: trio.CancelScope | None = None

    async def exchange(self, request: Request, tasks: trio.Nursery | None, inform: Inform | None) -> Response:
        """Send the request, return the response's head; see ClientStream.exchange.

        Raises:
            UpstreamFailure: see the module.
            RemoteProtocolError: the request's body broke its framing.
        """
        self._begin(request)
        body = request.body
        ready = None if body is None else self._send_what_is_here(body)
        self._connection.flush_soon()
        if ready is not None and body is not None:
            scope = self._upload_scope = trio.CancelScope()
            if tasks is None:
                self._awaits_upload = True  # until the response has ended, or the stream
                await self._upload(body, ready, scope)
                self._awaits_upload = False
            else:
                tasks.start_soon(self._upload, body, ready, scope)
        while True:
            if self._continue and inform is not None:
                self._continue = False
                await inform(100, Headers())
            if self._response is not None and self._complete:
                return self._response
            if self._request_error is not None:
                raise self._request_error
            if self._failure is not None:
                raise self._failure
            await self._wake.wait()

    def _begin(self, request: Request) -> None:
        """Open the stream with the request's head."""
        connection = self._connection
        fields = [
            (b":method", request.method),
            (b":authority", request.authority),
            (b":scheme", request.scheme or b"http"),
            (b":path", request.path),
            *request.headers,
        ]
        if connection.closed or connection.going_away:
            raise UpstreamFailure(_TERMINATION, UC, sent=False)
        try:
            stream_id = connection.session.next_stream_id()
        except h2.SessionError as error:
            raise UpstreamFailure(_TERMINATION, UC, sent=False) from error
        self.sender = Sender(connection, stream_id)
        self._body = StreamBody(connection, stream_id)
        self._head_only = request.method == b"HEAD"
        connection.streams[stream_id] = self
        connection.stats.streams_active += 1
        try:
            self.sender.head(fields, ended=request.body is None)
        except BrokenPipeError as error:
            raise UpstreamFailure(_TERMINATION, UC, sent=False) from error
        if self.info is not None:
            now = trio.current_time()
            self.info.upstream_first_byte_sent = now
            self.info.upstream_header_bytes_sent = sum(len(name) + len(value) for name, value in fields)
            self.info.upstream_wire_bytes_sent += self.info.upstream_header_bytes_sent
            if request.body is None:
                self.info.upstream_last_byte_sent = now

    def _send_what_is_here(self, body: Body) -> tuple[bytes, ...] | None:
        """Send a body that is here in one piece and fits; None, or else the pieces that an upload begins with."""
        first = body.read_nowait()
        if first is None:
            return ()
        following = body.read_nowait() if first else b""
        if following is None:
            return (first,)
        if following:
            return (first, following)
        try:
            if not first:
                self.sender.end(body.trailers)
            elif body.trailers or (sent := self.sender.data_nowait(first, ended=True)) == 0:
                return (first,)
            elif sent < len(first):
                return (first[sent:],)
        except BrokenPipeError:
            return None  # the reader knows why
        self._sent_all(len(first))
        return None

    async def _upload(self, body: Body, ready: tuple[bytes, ...], scope: trio.CancelScope) -> None:
        """Send the body, in a child task unless all of it is here.

        Never raises; exchange() or the response's body tells what went wrong.
        """
        with scope:
            try:
                await self.sender.body(body, ready)
            except RemoteProtocolError as error:
                self._request_error = error
                self._body.fail(error)
                self._wake.set()
            except OSError:
                pass  # the stream is over, or the client has gone
            else:
                self._sent_all(self.sender.sent)

    def _sent_all(self, size: int) -> None:
        if self.info is not None:
            self.info.upstream_last_byte_sent = trio.current_time()
            self.info.upstream_wire_bytes_sent += size

    def on_fields(self, event: h2.Head | h2.Trailers) -> None:
        """A response, an informational one, or trailers.

        Raises:
            RemoteProtocolError: it is none that can be.
        """
        if isinstance(event, h2.Trailers):
            trailers = messages.trailers_of(event.fields)
            if self._body.received != self._length < inf:
                raise RemoteProtocolError(messages.VIOLATION)
            self._end(trailers)
            return
        pseudo, headers = messages.split(event.fields, messages.RESPONSE_PSEUDO)
        status = messages.check_response(pseudo)
        size = messages.byte_size(event.fields)
        info = self.info
        if info is not None:
            info.upstream_header_bytes_received += size
            info.upstream_wire_bytes_received += size
        if status < 200:
            self._continue = self._continue or status == 100  # others are not passed on, as in Envoy
        else:
            if info is not None:
                info.upstream_first_byte_received = trio.current_time()
            bodiless = self._head_only or status in _NO_BODY
            self._length = 0 if bodiless else messages.length_of(headers)
            if event.ended and 0 < self._length < inf:
                raise RemoteProtocolError(messages.VIOLATION)
            self._response = Response(status, headers, None if bodiless or event.ended else self._body)
            self._complete = not bodiless
            if event.ended:
                self._end(None)
        self._wake.set()

    def on_data(self, event: h2.Data) -> None:
        """A piece of the body. One that is not as long as its content-length says ends its stream alone."""
        if self.info is not None:
            self.info.upstream_wire_bytes_received += event.size
        received, length = self._body.received + len(event.data), self._length
        if received > length or (event.ended and received < length < inf):
            self._connection.session.credit(event.stream_id, event.size)
            self.break_off()
            return
        self._body.put(event.data, event.size)
        if event.ended:
            self._end(None)

    def _end(self, trailers: Headers | None) -> None:
        if self.info is not None:
            self.info.upstream_last_byte_received = trio.current_time()
        self._body.end(trailers)
        if not self._complete:
            self._complete = True
            self._wake.set()
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        """Whatever was to come has come: exchange() need not send the rest of the request."""
        if self._awaits_upload and self._upload_scope is not None:
            self._upload_scope.cancel()

    def on_reset(self, code: int) -> None:
        """The peer has given the stream up, or did not take it."""
        if code == h2.REFUSED_STREAM:
            self.fail("remote refused stream reset", UR, Ending.WHOLE)
        else:
            self.fail(_REMOTE_RESET, UR, Ending.RESET_BY_PEER)

    def break_off(self) -> None:
        """The peer has broken a rule: this stream ends, the connection lives."""
        self.give_up(h2.PROTOCOL_ERROR, _PROTOCOL_ERROR, UPE, Ending.RESET_BY_US)

    def give_up(self, code: int, reason: str, flag: int, ending: Ending) -> None:
        """RST_STREAM; whoever waits is told why."""
        connection = self._connection
        connection.session.reset(self.sender.stream_id, code, late=True)
        connection.stats.tx_reset += 1
        self.fail(reason, flag, ending)

    def fail(self, reason: str, flag: int, ending: Ending) -> None:
        """The stream is broken: whoever waits is told."""
        failure = self._failure = UpstreamFailure(reason, flag, started=self._complete)
        self._ending = ending
        self._body.fail(failure)
        self.sender.wake.set()
        self._wake.set()
        self._stop_waiting()

    def release(self, *, unread: bool = False) -> None:
        """The exchange is over; a stream that is not ended on both sides is reset. Once; never blocks."""
        if self._released:
            return
        self._released = True
        scope, self._upload_scope = self._upload_scope, None
        if scope is not None:
            scope.cancel()
        connection, stream_id = self._connection, self.sender.stream_id
        over = self._body.ended and self.sender.ended and not unread
        if stream_id and not over and self._failure is None:
            self._ending = Ending.RESET_BY_US
            if connection.session.reset(stream_id, h2.INTERNAL_ERROR):  # not CANCEL, as in Envoy
                connection.stats.tx_reset += 1
        self._body.drop()
        connection.flush_soon()
        self.info = None
        connection.ended(self, self._ending)
