"""Wake one waiting task: the cheapest rendezvous there is in Trio (no channel, no Event, no lock).

See the Trio manual, "Low-level blocking".
"""

from __future__ import annotations

from typing import Any

import trio
from trio.lowlevel import Abort, current_task, reschedule

from trio_envoy.util.park import WOKEN, park, parking


class Wake:
    """A flag that one task may wait for.

    `set()` from anywhere in the same run; `wait()` returns at once if it was set, and clears it.
    A second task that waits is a bug and asserts.

    Cancelled: wait() leaves the flag as it was; the next waiter sees a set() that came meanwhile.
    """

    __slots__ = ("_flag", "_parked", "_task")

    def __init__(self) -> None:
        self._flag = False
        self._task: trio.lowlevel.Task | None = None
        self._parked: Any = None  # few wait at all

    def set(self) -> None:
        """Wake the waiter, or let the next wait() return at once. Never blocks."""
        task = self._task
        if task is None:
            self._flag = True
        else:
            self._task = None
            reschedule(task, WOKEN)

    def clear(self) -> None:
        """Forget a set() that nobody has seen."""
        self._flag = False

    async def wait(self) -> None:
        """Return once set() was called; a checkpoint only if it must wait."""
        if self._flag:
            self._flag = False
            return
        assert self._task is None, "one waiter at a time"
        self._task = current_task()
        if self._parked is None:
            self._parked = parking(self._abort)
        await park(self._parked)

    def _abort(self, _raise_cancel: Any) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
