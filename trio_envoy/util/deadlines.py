"""Deadlines of the data path: one cancel scope and one timer entry serve many requests.

Rules:
1. Arming and disarming is an assignment; the timer is touched only when the new deadline is earlier than the check
   that is already planned (so a keep-alive connection plans about one check per route timeout, not one per request).
2. When a planned check comes and no deadline has passed, it is planned again; nothing is cancelled early.
3. A fired guard's scope is used up; the owner opens a new one (open()) and decides by `fired` what to do.
4. Time is trio.current_time(), so tests run in virtual time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Final

import trio

from trio_envoy.util.wake import Wake


class Cause(IntEnum):
    """Why an exchange or a connection is cut short. The order is the order of precedence."""

    PEER_GONE = 0  # downstream closed or reset: flag DC
    ROUTE_TIMEOUT = 1  # RouteAction.timeout: 504, UT
    MAX_STREAM_DURATION = 2  # max_stream_duration
    REQUEST_HEADERS = 3  # HttpConnectionManager.request_headers_timeout: 408
    REQUEST = 4  # HttpConnectionManager.request_timeout: 408
    STREAM_IDLE = 5  # stream_idle_timeout: 408, SI; measured from Guard.activity
    CONNECTION_IDLE = 6  # common_http_protocol_options.idle_timeout, between requests
    CONNECTION_DURATION = 7  # max_connection_duration
    DRAIN = 8  # the connection is idle and shall go
    PEER_RESET = 9  # downstream gave up this stream alone (HTTP/2): flag DR
    UPSTREAM_DURATION = 10  # the cluster's max_stream_duration, once the response has begun: flag UMSDR
    STREAM_FLUSH = 11  # stream_flush_timeout: the client does not take the rest of a response (HTTP/2)


# Members as plain numbers: to look one up in its class costs as much as a call.
_ROUTE_TIMEOUT: Final = int(Cause.ROUTE_TIMEOUT)
_MAX_STREAM_DURATION: Final = int(Cause.MAX_STREAM_DURATION)
_REQUEST: Final = int(Cause.REQUEST)
_STREAM_IDLE: Final = int(Cause.STREAM_IDLE)
_UPSTREAM_DURATION: Final = int(Cause.UPSTREAM_DURATION)
_STREAM_FLUSH: Final = int(Cause.STREAM_FLUSH)


class Guard:
    """The deadlines of one task that serves requests: an HTTP/1 connection, or one HTTP/2 stream.

    Attributes:
        at: trio time of each deadline, inf for none, by Cause. To disarm one in a hurry is to set it to inf; to arm one
            is to set it and, if that is before `planned`, to plan() it.
        planned: trio time of the next check.
        fired: why the current scope was cancelled, or None.
        activity: trio time of the last byte either way; STREAM_IDLE counts from it.
    """

    __slots__ = ("_idle_timeout", "_scope", "_timers", "activity", "at", "fired", "planned")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self.at = [inf] * len(Cause)
        self._idle_timeout = inf
        self.planned = inf
        self._scope: trio.CancelScope | None = None
        self.fired: Cause | None = None
        self.activity = 0.0

    def open(self) -> trio.CancelScope:
        """A new scope to run under: `with guard.open(): ...`; what has fired before is forgotten."""
        self.fired = None
        self._scope = trio.CancelScope()
        return self._scope

    def arm(self, cause: Cause, at: float) -> None:
        """Cancel the scope with this cause at trio time `at`, unless disarmed or armed anew."""
        self.at[cause] = at
        if at < self.planned:
            self._timers.plan(self, at)

    def plan(self, at: float) -> None:
        """Check at trio time `at` instead of later."""
        self._timers.plan(self, at)

    def arm_idle(self, timeout: float) -> None:
        """Cancel with STREAM_IDLE `timeout` seconds after `activity`, whenever that is moved on."""
        self._idle_timeout = timeout
        at = self.at[_STREAM_IDLE] = self.activity + timeout
        if at < self.planned:
            self._timers.plan(self, at)

    def begin_flush(self, timeout: float | None) -> bool:
        """From now on STREAM_FLUSH counts instead of STREAM_IDLE, until end_flush().

        Args:
            timeout: seconds, inf for never; None: that of STREAM_IDLE.

        Returns:
            Whether STREAM_IDLE was armed: for end_flush().
        """
        idle = self.at[_STREAM_IDLE] != inf
        self.at[_STREAM_IDLE] = inf
        if timeout is None:
            timeout = self._idle_timeout if idle else inf
        if timeout != inf:
            self.arm(Cause.STREAM_FLUSH, trio.current_time() + timeout)
        return idle

    def end_flush(self, idle: bool) -> None:
        """STREAM_IDLE counts again, if it did before begin_flush()."""
        self.at[_STREAM_FLUSH] = inf
        if idle:
            self.activity = trio.current_time()
            self.arm_idle(self._idle_timeout)

    def disarm(self, cause: Cause) -> None:
        """Forget this deadline. A cancellation that was already delivered is not undone."""
        self.at[cause] = inf

    def disarm_exchange(self) -> None:
        """Forget the deadlines of one exchange: it is over."""
        at = self.at
        at[_ROUTE_TIMEOUT] = at[_MAX_STREAM_DURATION] = at[_REQUEST] = at[_STREAM_IDLE] = at[_UPSTREAM_DURATION] = inf

    def disarm_all(self) -> None:
        """Forget every deadline."""
        self.at = [inf] * len(Cause)

    def fire(self, cause: Cause) -> None:
        """Cancel now; the first cause wins. Nothing happens when no scope is open."""
        if self.fired is None and self._scope is not None:
            self.fired = cause
            self._scope.cancel()

    def close(self) -> None:
        """The owner is done: no check will come."""
        self._scope = None
        self._timers.forget(self)

    def check(self, now: float) -> None:
        """Called by Timers at a planned time: fire what has passed, or plan the next check."""
        self.planned = inf
        if self._scope is None or self.fired is not None:
            return
        if self.at[_STREAM_IDLE] != inf:
            self.at[_STREAM_IDLE] = self.activity + self._idle_timeout
        earliest = min(self.at)
        if earliest <= now:
            cause = Cause(self.at.index(earliest))
            self.at[cause] = inf
            self.fire(cause)
        elif earliest != inf:
            self._timers.plan(self, earliest)


class Alarm(Guard):
    """Calls a function at the time for which it is planned, and cancels nothing.

    Args:
        timers: of the worker.
        call: with the trio time; it never blocks or raises, and may plan the next time.
    """

    __slots__ = ("_call",)

    def __init__(self, timers: Timers, call: Callable[[float], None]) -> None:
        super().__init__(timers)
        self._call = call

    def close(self) -> None:
        """No call will come; the function is let go: it often holds the alarm, and Timers a stale entry for a while."""
        super().close()
        self._call = _nothing

    def check(self, now: float) -> None:
        """Called by Timers: the time has come."""
        self.planned = inf
        self._call(now)


def _nothing(now: float) -> None:
    """What a closed alarm calls."""


class Timers:
    """Plans the checks of all guards of one worker; `run()` is one task."""

    _COMPACT = 256  # entries; below that stale ones are not worth sweeping

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Guard]] = []
        self._serial = 0
        self._stale = 0
        self._wake = Wake()

    def plan(self, guard: Guard, at: float) -> None:
        """Check this guard at trio time `at` instead of later."""
        if guard.planned != inf:
            self._stale += 1
        guard.planned = at
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, guard))
        if self._heap[0][1] == self._serial:
            self._wake.set()
        if self._stale > self._COMPACT and self._stale * 2 > len(self._heap):
            self._compact()

    def forget(self, guard: Guard) -> None:
        """No more checks for this guard."""
        if guard.planned != inf:
            guard.planned = inf
            self._stale += 1

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].planned == entry[0]]
        heapq.heapify(self._heap)
        self._stale = 0

    async def run(self) -> None:
        """Check guards when their time has come, until cancelled."""
        while True:
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                at, _, guard = heapq.heappop(self._heap)
                if guard.planned == at:
                    guard.check(now)
                else:
                    self._stale -= 1
            until = self._heap[0][0] if self._heap else inf
            with trio.CancelScope(deadline=until):
                await self._wake.wait()
