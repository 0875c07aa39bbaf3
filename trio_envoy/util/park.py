"""Parking a task for less than trio.lowlevel.wait_task_rescheduled costs.

Trio's function makes, for each wait, a message to the run loop, a result, and two more frames that every wake-up walks
through. A place where tasks park again and again can keep its message, and all wake-ups that carry nothing can share
one result:

    message = parking(abort)                # once
    ...
    await park(message)                     # as await wait_task_rescheduled(abort)
    reschedule(task, WOKEN)                 # as reschedule(task)

The message is got from Trio's own public function, so nothing here depends on how Trio looks inside; that it may be
sent more than once is what tests/util/test_park.py holds.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import Any, Final

import outcome
from trio.lowlevel import Abort, wait_task_rescheduled

WOKEN: Final = outcome.Value(None)


def parking(abort: Callable[[Any], Abort]) -> Any:
    """What park() tells the run loop; `abort` is that of trio.lowlevel.wait_task_rescheduled."""
    waiting = wait_task_rescheduled(abort)  # noqa: ASYNC105 - looked at, not awaited
    message = waiting.send(None)
    waiting.close()
    return message


@types.coroutine
def park(message: Any) -> Generator[Any, outcome.Outcome[None], None]:
    """Sleep until the task is rescheduled with WOKEN.

    Cancelled: the abort function was called, and has seen to it that nobody reschedules the task.
    """
    woken = yield message
    if woken is not WOKEN:
        try:
            woken.unwrap()
        finally:
            del woken  # else the error, its traceback and this frame hold each other
