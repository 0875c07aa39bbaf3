"""One exchange on an upstream HTTP/2 connection: how its request is sent, what came of its response.

Reset reasons are Envoy's: a reset stream is "remote reset" or "remote refused stream reset" (UR), a lost connection is
"connection termination" (UC), a broken protocol is "protocol error" (UPE).
"""

from __future__ import annotations

from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import Body
from trio_envoy.http.codec import Inform
from trio_envoy.http.h2 import frames as h2
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.body import StreamBody
from trio_envoy.http.h2.sender import Sender
from trio_envoy.http.h2.state import Fields, SessionError, StreamState
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.stream_info import UC, UPE, UR, StreamInfo
from trio_envoy.util.wake import Wake

if TYPE_CHECKING:
    from trio_envoy.http.h2.client import Http2ClientConnection

TERMINATION: Final = "connection termination"
PROTOCOL_FAULT: Final = "protocol error"
REMOTE_RESET: Final = "remote reset"
_NO_BODY: Final = frozenset({204, 304})
_OF_UPGRADES: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Ending(Enum):
    """How a stream has ended, for the statistics."""

    WHOLE = auto()  # or with its connection, or not taken by the peer
    RESET_BY_PEER = auto()
    RESET_BY_US = auto()


_RESETS: Final = {  # by code: see fail()
    h2.PROTOCOL_ERROR: (PROTOCOL_FAULT, UPE, Ending.RESET_BY_US),
    h2.REFUSED_STREAM: ("remote refused stream reset", UR, Ending.WHOLE),
    h2.CONNECT_ERROR: ("remote error with CONNECT request", UR, Ending.WHOLE),
}


def tunnel_fields(request: Request) -> list[tuple[bytes, bytes]]:
    """The head of a CONNECT, or of an upgrade as an extended one (RFC 8441).

    The peer is not asked whether it takes these, as in Envoy.
    """
    fields = [(b":method", b"CONNECT"), (b":authority", request.authority)]
    protocol = request.protocol
    if not protocol:
        return [*fields, *request.headers]
    fields += [(b":scheme", request.scheme or b"http"), (b":path", request.path), (b":protocol", protocol)]
    return fields + [
        field for field in request.headers if field[0] not in _OF_UPGRADES and field != (b"content-length", b"0")
    ]


class Http2ClientStream:
    """One exchange (http.codec.ClientStream)."""

    __slots__ = (
        "_awaits_upload",
        "_body",
        "_complete",
        "_connection",
        "_ending",
        "_failure",
        "_informed",
        "_length",
        "_method",
        "_protocol",
        "_released",
        "_request_error",
        "_response",
        "_started",
        "_upload_scope",
        "_wake",
        "connection",
        "connection_id",
        "info",
        "reused",
        "sender",
        "state",
    )

    protocol = "HTTP/2"

    def __init__(self, connection: Http2ClientConnection, *, reused: bool) -> None:
        self._connection = connection
        self.connection = connection.channel.info
        self.connection_id = connection.channel.info.id
        self.reused = reused
        self.info: StreamInfo | None = None
        self.state = StreamState()
        self.sender = Sender(connection, self.state)
        spare = connection.spare_wakes
        self._wake = spare.pop() if spare else Wake()
        self._response: Response | None = None
        self._informed: tuple[int, Headers] | None = None  # the first 1xx, until somebody was told
        self._protocol = b""  # of an upgrade
        self._body = StreamBody(connection, self.state)
        self._failure: UpstreamFailure | None = None
        self._complete = False  # the response may be passed on: one that has no body only with its end
        self._awaits_upload = False
        self._ending = Ending.WHOLE
        self._length = inf  # of the response's body, as it says itself
        self._request_error: RemoteProtocolError | None = None
        self._method = b""
        self._started = False  # a head has come, perhaps an informational one
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
            if self._informed is not None and inform is not None:
                told, self._informed = self._informed, None
                await inform(*told)
            if self._response is not None and self._complete:
                self._wake.clear()
                self._connection.spare_wakes.append(self._wake)  # when it is set again, another wakes for nothing
                return self._response
            if self._request_error is not None:
                raise self._request_error
            if self._failure is not None:
                raise self._failure
            await self._wake.wait()

    def _begin(self, request: Request) -> None:
        """Open the stream with the request's head."""
        connection = self._connection
        if request.protocol or request.method == b"CONNECT":
            fields = tunnel_fields(request)
        else:
            headers = request.headers
            fields = [
                (b":method", request.method),
                (b":authority", request.authority),
                (b":scheme", request.scheme or b"http"),
                (b":path", request.path),
                *(headers.every or headers.first.items()),  # no call of ours, unlike *headers
            ]
        self._protocol = request.protocol
        if connection.channel.closed or connection.going_away:
            raise UpstreamFailure(TERMINATION, UC, sent=False)
        state = self.state
        try:
            connection.session.open(state)
        except SessionError as error:
            raise UpstreamFailure(TERMINATION, UC, sent=False) from error
        state.user = self
        self._method = b"CONNECT" if request.protocol else request.method
        connection.streams[state.id] = self
        connection.stats.streams_active += 1
        ended = request.body is None
        self.sender.head(fields, ended=ended)
        info = self.info
        if info is not None:
            size = info.upstream_header_bytes_sent = messages.byte_size(fields)
            info.upstream_wire_bytes_sent += size
            info.upstream_first_byte_sent = connection.now()
            if ended:
                info.upstream_last_byte_sent = info.upstream_first_byte_sent

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
            self.info.upstream_last_byte_sent = self._connection.now()
            self.info.upstream_wire_bytes_sent += size

    def on_fields(self, fields: Fields, size: int, *, ended: bool) -> None:
        """A response, an informational one, or trailers.

        Raises:
            RemoteProtocolError: it is none that can be.
        """
        if self._response is not None:
            self._on_trailers(fields, ended=ended)
            return
        pseudo, headers = self._connection.heads.split(fields, size)
        status, length = messages.check_response(pseudo, headers, self._method, ended=ended)
        info = self.info
        if info is not None:
            info.upstream_header_bytes_received += size
            info.upstream_wire_bytes_received += size
        if 100 <= status < 200:
            self._started = True
            if self._informed is None:  # one at a time, so that many take no room
                self._informed = status, headers
        else:
            if info is not None:
                info.upstream_first_byte_received = self._connection.now()
            bodiless = self._method == b"HEAD" or status in _NO_BODY
            self._length = length
            if self._protocol and status == 200:  # as HTTP/1 says it, as in Envoy
                status = 101
                headers.add(b"upgrade", self._protocol)
                headers.add(b"connection", b"upgrade")
            self._response = Response(status, headers, None if bodiless or ended else self._body)
            self._complete = not bodiless
            self._started = self._started or self._complete
            if ended:
                self._end(None)
        self._wake.set()

    def _on_trailers(self, fields: Fields, *, ended: bool) -> None:
        trailers = messages.trailers_of(fields)
        received = self._body.received
        if not ended or received != self._length < inf or not messages.says_length(trailers, received):
            raise RemoteProtocolError(messages.VIOLATION)
        self._end(trailers)

    def on_data(self, data: bytes, size: int, *, ended: bool) -> None:
        """A piece of the body."""
        if self.info is not None:
            self.info.upstream_wire_bytes_received += size
        received, length = self._body.received + len(data), self._length
        if self._response is None or received > length or (ended and received < length < inf):
            self._connection.session.credit(self.state, size)
            self.break_off()
            return
        self._body.put(data, size)
        if ended:
            self._end(None)

    def _end(self, trailers: Headers | None) -> None:
        if self.info is not None:
            self.info.upstream_last_byte_received = self._connection.now()
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
        if self._body.ended:  # it does not want the rest of the request
            self.sender.wake()
            self._stop_waiting()
        else:
            self.fail(*_RESETS.get(code, (REMOTE_RESET, UR, Ending.RESET_BY_PEER)))

    def break_off(self) -> None:
        """The peer has broken a rule: this stream ends, the connection lives."""
        self.give_up(h2.PROTOCOL_ERROR, PROTOCOL_FAULT, UPE, Ending.RESET_BY_US)

    def give_up(self, code: int, reason: str, flag: int, ending: Ending) -> None:
        """RST_STREAM; whoever waits is told why."""
        connection = self._connection
        connection.session.reset(self.state, code, late=True)
        connection.stats.tx_reset += 1
        self.fail(reason, flag, ending)

    def fail(self, reason: str, flag: int, ending: Ending) -> None:
        """The stream is broken: whoever waits is told."""
        failure = self._failure = UpstreamFailure(reason, flag, started=self._started)
        self._ending = ending
        self._body.fail(failure)
        self.sender.wake()
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
        connection, state = self._connection, self.state
        over = self._body.ended and self.sender.ended and not unread
        if state.id and not over and self._failure is None:
            self._ending = Ending.RESET_BY_US
            if connection.session.reset(state, h2.INTERNAL_ERROR):  # not CANCEL, as in Envoy
                connection.stats.tx_reset += 1
                connection.flush_soon()
        self._body.drop()
        self.info = None
        connection.ended(self, self._ending)
