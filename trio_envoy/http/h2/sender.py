"""What is sent on one stream: heads as they come, bodies as the windows and the socket have room."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.lowlevel import checkpoint

from trio_envoy.http.body import Body
from trio_envoy.http.h2.state import Fields, StreamState
from trio_envoy.http.headers import Headers
from trio_envoy.util.deadlines import Guard
from trio_envoy.util.wake import Wake

if TYPE_CHECKING:
    from trio_envoy.http.h2.driver import Driver

_AT_ONCE: Final = 64 * 1024  # bytes; then others are looked at, and whether the socket still takes what we have
_TURNS: Final = 8  # writes without waiting before others get their turn


class Sender:
    """What is sent on one stream.

    Attributes:
        state: of the stream.
        ended: our side is done.
        sent: bytes of payload so far.
        finite: all of the body is here, or soon will be.
    """

    __slots__ = ("_driver", "_wake", "ended", "finite", "sent", "state")

    def __init__(self, driver: Driver[Any], state: StreamState) -> None:
        self._driver = driver
        self.state = state
        self.ended = False
        self.sent = 0
        self.finite = False
        self._wake: Wake | None = None  # few wait for room

    def wake(self) -> None:
        """There may be room again."""
        if self._wake is not None:
            self._wake.set()

    def head(self, fields: Fields, *, ended: bool) -> None:
        """Send a head or trailers.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
        """
        self._driver.session.send_head(self.state, fields, ended=ended)
        self.ended = ended

    def data_nowait(self, data: bytes | memoryview, *, ended: bool) -> int:
        """Send what there is room for; how many bytes that was. `ended` counts only if it was all.

        Raises:
            BrokenPipeError: the stream or the connection is gone.
        """
        driver, state = self._driver, self.state
        session = driver.session
        size = len(data)
        room = session.room(state)
        if size and driver.congested:
            return 0
        if size > room or size > _AT_ONCE:
            size = max(min(room, _AT_ONCE), 0)
            data, ended = data[:size], False
        if size or ended:
            session.send_data(state, data, ended=ended)
            self.ended = ended
            self.sent += size
            driver.unflushed += size
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
            await self._chunk(chunk, guard, ended=last)
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
            self.head(trailers.items, ended=True)
        else:
            self.data_nowait(b"", ended=True)

    async def _chunk(self, chunk: bytes, guard: Guard | None, *, ended: bool) -> None:
        sent = self.data_nowait(chunk, ended=ended)
        if sent == len(chunk):
            return
        rest = memoryview(chunk)[sent:]
        if guard is None or not (self.finite or ended):
            await self._rest(rest, ended=ended)
            return
        idle = guard.begin_flush(self._driver.flush_timeout)
        try:
            await self._rest(rest, ended=ended)
        finally:
            guard.end_flush(idle)

    async def _rest(self, rest: memoryview, *, ended: bool) -> None:
        """Send what there was no room for, as there is."""
        driver = self._driver
        turns = 0
        while rest:
            sent = self.data_nowait(rest, ended=ended)
            rest = rest[sent:]
            if sent or not rest:
                continue
            if not driver.unflushed:
                if self._wake is None:
                    self._wake = Wake()
                driver.flush_soon()  # the head, perhaps
                await self._wake.wait()
                continue
            driver.flush()  # then there may be room again
            turns += 1
            if turns % _TURNS == 0:
                await checkpoint()
