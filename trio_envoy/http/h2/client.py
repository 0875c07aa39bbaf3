"""An upstream HTTP/2 connection: one reader task, as many streams as the peer allows, each a ClientStream."""

from __future__ import annotations

from typing import Protocol

import trio

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2 import frames as h2
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.client_stream import PROTOCOL_FAULT, REMOTE_RESET, TERMINATION, Ending, Http2ClientStream
from trio_envoy.http.h2.driver import Driver
from trio_envoy.http.h2.heads import Responses
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.h2.state import SessionError, StreamState
from trio_envoy.http.hpack.errors import Oversized
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import UC, UPE, UR
from trio_envoy.util.wake import Wake


class Owner(Protocol):
    """A pool."""

    def stream_ended(self, connection: Http2ClientConnection, ending: Ending) -> None:
        """A stream was released; there is room for another one if `available` says so. Never blocks."""

    def room_changed(self, connection: Http2ClientConnection) -> None:
        """The peer allows more streams or fewer, or sent GOAWAY. Never blocks."""


class Http2ClientConnection(Driver[Http2ClientStream]):
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
        heads: of responses.
        spare_wakes: of streams that need them no more; to make one costs as much as a park.
        going_away: the peer takes no more streams, or the connection is broken.
        protocol_error: the upstream broke the protocol.
    """

    def __init__(
        self, channel: Channel, options: Http2Options, stats: Http2Stats, view: memoryview, owner: Owner | None = None
    ) -> None:
        super().__init__(channel, options, stats, view, client=True)
        stats.nghttp2_upstream_connections += 1
        self.options = options
        self.heads = Responses()
        self.spare_wakes: list[Wake] = []
        self.owner = owner
        self.active = 0
        self.served = 0
        self.going_away = False
        self.protocol_error = False
        self._allowed = min(self.session.peer.max_streams, options.max_streams)  # streams at once
        self._rested = self.now()  # when the last stream ended

    @property
    def closed(self) -> bool:
        """The connection is gone."""
        return self.channel.closed

    @property
    def available(self) -> int:
        """How many more streams may be opened now."""
        if self.going_away or self.channel.closed:
            return 0
        return max(self._allowed - self.active, 0)

    def open(self) -> Http2ClientStream:
        """A stream; there must be one available. It counts until it is released."""
        keep_alive = self.options.keep_alive
        if keep_alive is not None and not self.active and self.now() - self._rested >= keep_alive.idle_interval:
            self.ping_now()
        self.active += 1
        self.served += 1
        return Http2ClientStream(self, reused=self.served > 1)

    async def run(self) -> None:
        """The reader and the writer: until the connection ends. Its streams then fail.

        Cancelled: the channel is closed; streams fail.
        """
        reason, flag, ending = TERMINATION, UC, Ending.WHOLE
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self.write)
                if self.options.keep_alive is not None:
                    tasks.start_soon(self.keep_alive, self.options.keep_alive)
                self.flush()
                try:
                    await self.read_loop()
                except SessionError as error:
                    self.protocol_error = True
                    if error.stat:
                        setattr(self.stats, error.stat, getattr(self.stats, error.stat) + 1)
                    if not error.silent:
                        self.flush()
                    reason, flag, ending = PROTOCOL_FAULT, UPE, Ending.RESET_BY_US
                tasks.cancel_scope.cancel()
        finally:
            self.close()
            for stream in tuple(self.streams.values()):
                stream.fail(reason, flag, ending)

    def close(self) -> None:
        """Close the connection now; streams fail."""
        self.going_away = True
        super().close()

    # http.h2.state.Events

    def on_fields(self, state: StreamState, fields: list[tuple[bytes, bytes]], size: int, ended: bool) -> None:
        """A response, an informational one, or trailers."""
        stream: Http2ClientStream = state.user
        try:
            stream.on_fields(fields, size, ended=ended)
        except RemoteProtocolError as error:
            self.stats.rx_messaging_error += 1
            if not self.options.stream_error:
                raise SessionError(error.details) from error
            stream.break_off()

    def on_too_large(self, state: StreamState, error: Oversized) -> None:
        """A head or trailers over the limits."""
        messages.oversize(error, self.options.max_fields, self.stats)
        stream: Http2ClientStream = state.user
        stream.give_up(h2.INTERNAL_ERROR, REMOTE_RESET, UR, Ending.RESET_BY_PEER)  # so Envoy puts it

    def on_crowded(self, state: StreamState) -> None:
        """The connection holds too many header fields already."""
        self.stats.header_budget_exceeded += 1
        stream: Http2ClientStream = state.user
        stream.give_up(h2.ENHANCE_YOUR_CALM, REMOTE_RESET, UR, Ending.RESET_BY_US)

    def on_data(self, state: StreamState, data: bytes, size: int, ended: bool) -> None:
        """A piece of a response's body."""
        stream: Http2ClientStream = state.user
        stream.on_data(data, size, ended=ended)

    def on_reset(self, state: StreamState, code: int) -> None:
        """The peer has given a stream up."""
        self.stats.rx_reset += 1
        stream: Http2ClientStream = state.user
        stream.on_reset(code)

    def on_broken(self, state: StreamState) -> None:
        """The peer overran the window of a stream, or made its own too large."""
        self.stats.tx_reset += 1
        stream: Http2ClientStream = state.user
        stream.fail(REMOTE_RESET, UR, Ending.RESET_BY_US)

    def on_window(self, state: StreamState | None) -> None:
        """There is more room to send, or to open streams."""
        super().on_window(state)
        if state is None:
            self._allowed = min(self.session.peer.max_streams, self.options.max_streams)
            if self.owner is not None:
                self.owner.room_changed(self)

    def on_goaway(self, last_stream_id: int, code: int) -> None:
        """Streams above the last one were not processed and may be tried again."""
        self.going_away = True
        for stream_id, stream in tuple(self.streams.items()):
            if stream_id > last_stream_id:
                self.session.forget(stream.state)
                stream.on_reset(h2.REFUSED_STREAM)
        if self.owner is not None:
            self.owner.room_changed(self)

    def ended(self, stream: Http2ClientStream, ending: Ending) -> None:
        """A stream was released."""
        self.active -= 1
        if self.options.keep_alive is not None:
            self._rested = self.now()
        state = stream.state
        state.user = None  # else the two hold each other until a collection
        self.session.release(state)
        if self.streams.pop(state.id, None) is not None:
            self.stats.streams_active -= 1
        if self.owner is not None:
            self.owner.stream_ended(self, ending)
