"""What both ends of an HTTP/2 connection have in common: reading, writing, streams with bodies under flow control.

Rules:
1. One task reads the connection. What it reads goes to the streams' queues, which the peer's window bounds; it never
   waits for a stream, so one that nobody reads does not stop the others.
2. Whoever is alone and has something to say writes at once; with several streams the writer task writes once a turn
   for all of them. What the socket does not take waits in the outbox.
   Bodies are sent only while the outbox is short: a client that reads nothing holds a bounded amount of memory.
3. Window is given back when a body is read, never before.
4. Who ends a connection in order waits until the peer has taken what was said, as long as it goes on taking: linger().
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import trio
from trio.lowlevel import checkpoint

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import Body
from trio_envoy.http.h2.floods import DETAILS
from trio_envoy.http.h2.options import Http2Stats, KeepAlive
from trio_envoy.http.h2.outbox import Outbox
from trio_envoy.http.h2.session import Session, SessionError
from trio_envoy.http.headers import Headers
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.util.deadlines import Guard
from trio_envoy.util.wake import Wake

HIGH_WATER: Final = 64 * 1024  # bytes that wait for the socket; above it bodies wait too
_TURNS: Final = 8  # reads without waiting before others get their turn
_CATCH_UP: Final = 8  # turns at most; see Driver.behind
_SMALL: Final = 4096  # bytes; pieces of a body that nobody reads yet are put together up to this size
_PATIENCE: Final = 1.0  # s; linger() without a time of its own

BodyError = UpstreamFailure | RemoteProtocolError | OSError


class StreamBody:
    """The body that a peer sends on one stream (http.body.Body)."""

    __slots__ = ("_chunks", "_driver", "_error", "_info", "_stream_id", "_wake", "ended", "received", "trailers")

    def __init__(self, driver: Driver[Any], stream_id: int, info: StreamInfo | None = None) -> None:
        self._driver = driver
        self._stream_id = stream_id
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._error: BodyError | None = None
        self._info = info  # of a request: bytes_received counts what was read
        self._wake = Wake()
        self.ended = False  # by the peer; chunks may still be here
        self.received = 0  # bytes of payload
        self.trailers: Headers | None = None

    def put(self, data: bytes, size: int) -> None:
        """A chunk came; `size` is what it costs in the window."""
        length = len(data)
        if not length:
            self._driver.credit(self._stream_id, size)
            return
        self.received += length
        chunks = self._chunks
        if chunks and len(chunks[-1][0]) + length <= _SMALL:
            last, cost = chunks.pop()  # else a peer that sends byte by byte costs a hundred times what it sends
            chunks.append((last + data, cost + size))
        else:
            chunks.append((data, size))
        self._wake.set()

    def end(self, trailers: Headers | None = None) -> None:
        """The peer has sent all."""
        self.trailers = trailers
        self.ended = True
        self._wake.set()

    def fail(self, error: BodyError) -> None:
        """The stream broke: whoever reads gets this, after what came before."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake.set()

    def drop(self) -> None:
        """Nobody reads it any more: give the window back."""
        while self._chunks:
            _, size = self._chunks.popleft()
            self._driver.credit(self._stream_id, size)

    def read_nowait(self) -> bytes | None:
        if self._chunks:
            data, size = self._chunks.popleft()
            self._driver.credit(self._stream_id, size)
            if self._info is not None:
                self._info.bytes_received += len(data)
            return data
        return b"" if self.ended else None

    async def read(self) -> bytes:
        while (data := self.read_nowait()) is None:
            if self._error is not None:
                raise self._error
            await self._wake.wait()
        return data


class Sender:
    """What is sent on one stream.

    Attributes:
        ended: our side is done.
        sent: bytes of payload so far.
        wake: set when there may be room again.
    """

    __slots__ = ("_driver", "ended", "sent", "stream_id", "wake")

    def __init__(self, driver: Driver[Any], stream_id: int) -> None:
        self._driver = driver
        self.stream_id = stream_id
        self.ended = False
        self.sent = 0
        self.wake = Wake()

    def head(self, fields: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        """Send a head or trailers.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
        """
        try:
            self._driver.session.send_head(self.stream_id, fields, ended=ended)
        except SessionError as error:
            raise BrokenPipeError(str(error)) from error
        self.ended = ended

    def data_nowait(self, data: bytes | memoryview, *, ended: bool) -> int:
        """Send what there is room for; how many bytes that was. `ended` counts only if it was all.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
        """
        driver = self._driver
        try:
            room = driver.session.room(self.stream_id) if not driver.congested else 0
            size = min(room, len(data))
            whole = size == len(data)
            if size or (whole and ended):
                driver.session.send_data(self.stream_id, data if whole else data[:size], ended=ended and whole)
                self.ended = ended and whole
                self.sent += size
                driver.unflushed += size
        except SessionError as error:
            raise BrokenPipeError(str(error)) from error
        return size

    async def body(self, body: Body, ready: Sequence[bytes] = (), guard: Guard | None = None) -> None:
        """Send a body to its end, trailers included.

        Args:
            body: read to its end.
            ready: chunks that were read from it already, none of them the end.
            guard: its activity moves on with each chunk.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
            What reading the body raises.
        """
        waiting = deque(ready)
        chunk = waiting.popleft() if waiting else await self._next(body)
        while chunk:
            if guard is not None:
                guard.activity = trio.current_time()
            following = waiting.popleft() if waiting else body.read_nowait()
            last = following == b"" and not body.trailers
            await self._chunk(chunk, ended=last)
            if last:
                break
            chunk = await self._next(body) if following is None else following
        if not self.ended:
            self.end(body.trailers)
        self._driver.flush_soon()

    async def _next(self, body: Body) -> bytes:
        chunk = body.read_nowait()
        if chunk is None:
            self._driver.flush_soon()
            chunk = await body.read()
        return chunk

    def end(self, trailers: Headers | None) -> None:
        """Send the end: trailers, or an empty frame, which needs no window.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
        """
        if trailers:
            self.head(list(trailers), ended=True)
        else:
            self.data_nowait(b"", ended=True)

    async def _chunk(self, chunk: bytes, *, ended: bool) -> None:
        driver = self._driver
        rest = memoryview(chunk)
        turns = 0
        while rest:
            sent = self.data_nowait(rest, ended=ended)
            rest = rest[sent:]
            if sent or not rest:
                continue
            if not driver.unflushed:
                await self.wake.wait()
                continue
            driver.flush()  # then there may be room again
            turns += 1
            if turns % _TURNS == 0:
                await checkpoint()


class Stream(Protocol):
    """What a driver must know of a stream.

    Attributes:
        sender: what is sent on it.
    """

    sender: Sender


S = TypeVar("S", bound=Stream)


class Driver(ABC, Generic[S]):
    """One HTTP/2 connection over a channel.

    Attributes:
        channel: its bytes.
        session: its state.
        stats: of its side.
        unflushed: bytes of bodies in the session since the last flush.
        details: why we closed it at once, as in %RESPONSE_CODE_DETAILS%; "" if we did not.
        streams: by id.
    """

    details = ""

    def __init__(self, channel: Channel, session: Session, stats: Http2Stats, view: memoryview) -> None:
        self.channel = channel
        self.session = session
        self.streams: dict[int, S] = {}
        self.stats = stats
        self._view = view
        self._out = Outbox(stats)
        self._out_wake = Wake()
        self._due = False  # the writer shall flush
        self._progress = Wake()  # the socket has taken something from the outbox
        self.unflushed = 0
        self._ping_wake = Wake()
        self._pong_wake = Wake()
        self._asked = False  # a PING is on its way, and not its answer
        self._heard = 0  # reads so far

    @property
    def congested(self) -> bool:
        """The socket takes less than we have; bodies wait."""
        return len(self._out) + self.unflushed > HIGH_WATER

    @property
    def behind(self) -> bool:
        """Many streams are over, but not their tasks, which get some turns before more is read."""
        return False

    def credit(self, stream_id: int, size: int) -> None:
        """So much of a body was read."""
        if not self.channel.closed:
            self.session.credit(stream_id, size)
            self.flush_soon()

    def flush_soon(self) -> None:
        """Send what there is together with what other streams have to say in this turn."""
        if len(self.streams) < 2:
            self.flush()
        elif not self._due:
            self._due = True
            self._out_wake.set()

    def flush(self) -> None:
        """Send what there is, as far as the socket takes it now. Never raises: a broken socket ends the reader."""
        data = self.session.take_output()
        self.unflushed = 0
        self._due = False
        if not data or self.channel.closed:
            return
        out, sent = self._out, 0
        if not out:
            try:
                sent = self.channel.send(data)
            except OSError:
                return
            if sent == len(data):
                return
            self._out_wake.set()
        out.add(data, sent)
        flood = self.session.floods.outbound(out.frames, out.controls)
        if flood:  # the peer reads too little of what it asked for
            setattr(self.stats, flood, getattr(self.stats, flood) + 1)
            self.details = DETAILS[flood]
            self.channel.close()

    async def write(self) -> None:
        """The writer task: send what waits, until cancelled or the socket breaks."""
        channel, out = self.channel, self._out
        try:
            while True:
                await self._out_wake.wait()
                if self._due:
                    self.flush()
                while out:
                    await channel.wait_write()
                    congested = self.congested
                    out.sent(channel.send(out.first(HIGH_WATER)))
                    self._progress.set()
                    if self._due:
                        self.flush()
                    if congested and not self.congested:
                        self.wake_senders()
        except (OSError, trio.ClosedResourceError):
            return  # the reader finds out, too

    async def linger(self, delay: float) -> bool:
        """Let the peer take what was said: as long as it takes some of it every `delay` seconds.

        Then it has `delay` seconds to close (0: none); what it sends in them is dropped, because bytes that nobody
        reads make a close a reset, and the peer loses what it has not read yet.

        Returns:
            False: it has not closed in time.
        """
        channel = self.channel
        while self._out and not channel.closed:
            with trio.move_on_after(delay or _PATIENCE) as scope:
                await self._progress.wait()
            if scope.cancelled_caught:
                return False
        with trio.move_on_after(delay) as scope:
            while await self.receive():
                await checkpoint()
        return not scope.cancelled_caught

    def close(self) -> None:
        """Close the connection at once."""
        self.channel.close()
        self._out.clear()

    async def keep_alive(self, settings: KeepAlive) -> None:
        """PING the peer now and then; a connection without a sign of life after one is closed.

        Runs until cancelled or the connection is closed.
        """
        # Connections of one age don't ping at one time: the golden ratio spreads their ids.
        pause = settings.interval * (1 + settings.jitter / 100 * (self.channel.info.id * 0.618 % 1))
        while not self.channel.closed:
            with trio.move_on_after(pause):
                await self._ping_wake.wait()
            heard = self._heard
            self._ask()
            self.flush()
            while self._asked:
                with trio.move_on_after(settings.timeout):
                    await self._pong_wake.wait()
                if heard == self._heard:
                    self.stats.keepalive_timeout += 1
                    self.details = "downstream_local_disconnect(http2_ping_timeout)"
                    self.channel.close()
                    return
                heard = self._heard

    def ping_now(self) -> None:
        """Ask now, ahead of what is sent next; keep_alive() waits for the answer."""
        self._ask()
        self._ping_wake.set()

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.session.ping()

    def ponged(self) -> None:
        """The peer has answered."""
        self._asked = False
        self._pong_wake.set()

    def wake_senders(self) -> None:
        """There may be room: for the connection, or in the socket."""
        for stream in self.streams.values():
            stream.sender.wake.set()

    async def receive(self) -> bytes:
        """The next bytes of the peer; b"" when there will be none."""
        channel = self.channel
        while True:
            try:
                received = channel.recv_into(self._view)
            except OSError:
                return b""
            if received is not None:
                return self._view[:received].tobytes()
            try:
                await channel.wait_read()
            except trio.ClosedResourceError:
                return b""

    async def read_loop(self) -> None:
        """Read the connection until it ends; hand events to on_event().

        Raises:
            SessionError: the peer broke the protocol; the GOAWAY was sent.
        """
        turns = 0
        while data := await self.receive():
            self._heard += 1
            try:
                self.feed(data)
            finally:
                self.flush()
            turns += 1
            if turns % _TURNS == 0:
                await checkpoint()
            for _ in range(_CATCH_UP):
                if not self.behind:
                    break
                await checkpoint()

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Take bytes; see read_loop."""
