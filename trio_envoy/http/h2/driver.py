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

from typing import Final, Generic, Protocol, TypeVar

import trio
from trio.lowlevel import checkpoint

from trio_envoy.http.h2.floods import DETAILS
from trio_envoy.http.h2.options import Http2Options, Http2Stats, KeepAlive
from trio_envoy.http.h2.outbox import Outbox
from trio_envoy.http.h2.sender import Sender
from trio_envoy.http.h2.session import Session
from trio_envoy.http.h2.state import Events, StreamState
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import DC, DPE
from trio_envoy.util.wake import Wake

HIGH_WATER: Final = 64 * 1024  # bytes that wait for the socket; above it bodies wait too
_TURNS: Final = 8  # reads without waiting before others get their turn
_BEHIND: Final = 100  # streams that are over before their tasks
_CATCH_UP: Final = 8  # turns at most
_PATIENCE: Final = 1.0  # s; linger() without a time of its own


class Stream(Protocol):
    """What a driver must know of a stream.

    Attributes:
        sender: what is sent on it.
    """

    sender: Sender


S = TypeVar("S", bound=Stream)


class Driver(Events, Generic[S]):
    """One HTTP/2 connection over a channel; what its session finds (http.h2.state.Events) is told to the sides.

    Attributes:
        channel: its bytes.
        session: its state.
        stats: of its side.
        unflushed: bytes of bodies in the session since the last flush.
        details: why we closed it at once, as in %RESPONSE_CODE_DETAILS%; "" if we did not.
        flag: that its streams get then.
        streams: by id.
        now: trio.current_time without the detour.
        flush_timeout: seconds for the peer to take the rest of a body that is all here; None: that of an idle stream.
    """

    details = ""
    flag = DC
    flush_timeout: float | None = None

    def __init__(
        self, channel: Channel, options: Http2Options, stats: Http2Stats, view: memoryview, *, client: bool
    ) -> None:
        self.channel = channel
        self.session = Session(options, self, client=client)
        self.streams: dict[int, S] = {}
        self.now = trio.lowlevel.current_clock().current_time
        self.stats = stats
        self._max_frames = options.max_outbound_frames
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
    def header_budget(self) -> int:
        """Bytes of header fields that all streams may make us hold."""
        return self.session.budget

    @header_budget.setter
    def header_budget(self, value: int) -> None:
        self.session.budget = value

    @property
    def congested(self) -> bool:
        """The socket takes less than we have; bodies wait."""
        return len(self._out.data) + self.unflushed > HIGH_WATER

    def credit(self, state: StreamState, size: int) -> None:
        """So much of a body was read."""
        if not self.channel.closed and self.session.credit(state, size):
            self.flush_soon()

    def flush_soon(self) -> None:
        """Send what there is together with what other streams have to say in this turn."""
        if self._due:
            return
        if len(self.streams) < 2:
            self.flush()
        else:
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
            if sent < len(data):
                self._out_wake.set()
        if sent < len(data):
            out.add(data, sent)
        elif self.session.taken <= self._max_frames:
            return
        flood = self.session.floods.outbound(max(out.frames, self.session.taken), out.controls)
        if flood:  # the peer asks for too much at once, or reads too little of it
            setattr(self.stats, flood, getattr(self.stats, flood) + 1)
            self.details, self.flag = DETAILS[flood], DPE
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
            while await self.receive() is not None:
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
            self._pong_wake.clear()  # of an answer that nobody has waited for
            self.session.ping()

    def on_pong(self) -> None:
        """See Events."""
        self._asked = False
        self._pong_wake.set()

    def on_window(self, state: StreamState | None) -> None:
        """See Events."""
        if state is None:
            self.wake_senders()
        elif state.user is not None:
            state.user.sender.wake()

    def wake_senders(self) -> None:
        """There may be room: for the connection, or in the socket."""
        for stream in self.streams.values():
            stream.sender.wake()

    async def receive(self) -> memoryview | None:
        """The next bytes of the peer, to be worked through before anything is awaited; None when there will be none."""
        channel, view = self.channel, self._view
        while True:
            try:
                received = channel.recv_into(view)
            except OSError:
                return None
            if received is not None:
                return view[:received] if received else None
            try:
                await channel.wait_read()
            except trio.ClosedResourceError:
                return None

    async def read_loop(self) -> None:
        """Read the connection until it ends.

        Raises:
            SessionError: the peer broke the protocol.
        """
        turns = 0
        while (data := await self.receive()) is not None:
            self._heard += 1
            self.session.receive(data)
            self.flush()
            turns += 1
            if turns % _TURNS == 0:
                await checkpoint()
            if len(self.streams) > _BEHIND:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Where many streams are over, but not their tasks, these get some turns before more is read."""
        for _ in range(_CATCH_UP):
            if len(self.streams) <= self.session.open_streams + _BEHIND:
                break
            await checkpoint()
