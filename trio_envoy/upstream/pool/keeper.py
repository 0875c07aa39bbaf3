"""What looks after connections that nobody uses: closes them when they have been idle too long, or their peer has gone.

One task for all pools of a process; a pool with idle connections has at most one check planned, so that a request costs
no timer. The nursery of this task also holds the tasks of HTTP/2 connections.
"""

from __future__ import annotations

import heapq
from math import inf
from typing import Protocol

import trio

from trio_envoy.util.wake import Wake


class Kept(Protocol):
    """A pool, as the keeper sees it.

    Attributes:
        planned: trio time of the next check, inf when none is planned.
    """

    planned: float

    def expire(self, now: float) -> float:
        """Close what has been idle too long; gives the time of the next check, inf for none."""


class Gone(Protocol):
    """A connection, as the keeper sees it."""

    def bury(self) -> None:
        """Its peer has gone: close it if it is still idle."""


class Keeper:
    """See the module.

    Attributes:
        tasks: where connections that need a task run it; there while run() runs.
    """

    tasks: trio.Nursery

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Kept]] = []
        self._serial = 0
        self._gone: list[Gone] = []
        self._wake = Wake()

    def plan(self, pool: Kept, at: float) -> None:
        """Let the pool expire connections at trio time `at`, if nothing earlier is planned for it."""
        if at < pool.planned:
            pool.planned = at
            self._serial += 1
            heapq.heappush(self._heap, (at, self._serial, pool))
            if self._heap[0][1] == self._serial:
                self._wake.set()

    def report_gone(self, connection: Gone) -> None:
        """The peer of an idle connection has closed; may be called from the poller's task."""
        self._gone.append(connection)
        self._wake.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after connections until cancelled."""
        async with trio.open_nursery() as self.tasks:
            task_status.started()
            while True:
                gone, self._gone = self._gone, []
                for connection in gone:
                    connection.bury()
                with trio.CancelScope(deadline=self._expire()):
                    await self._wake.wait()

    def _expire(self) -> float:
        """Do what is due; gives the time of what comes next."""
        now = trio.current_time()
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, pool = heapq.heappop(heap)
            if pool.planned == at:
                pool.planned = inf
                self.plan(pool, pool.expire(now))
        return heap[0][0] if heap else inf
