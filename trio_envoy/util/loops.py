"""Loops that run as long as the proxy does: at an interval, and again after a fault.

async def run(self) -> None:
    async for _ in every(5.0):
        self.flush()

nursery.start_soon(supervise, "stats flush", self.run)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVarTuple

import trio

from trio_envoy.util.backoff import JitteredBackoff
from trio_envoy.util.log import logger

_Args = TypeVarTuple("_Args")

FIRST_PAUSE = 0.1  # s, at most, after a first fault
LONGEST_PAUSE = 10.0  # s, between two starts of what goes on failing

_log = logger("main")
_random = Random()  # noqa: S311 - only spreads restarts


class Every:
    """What every() returns: an iterator that waits before each of its endless steps.

    A pull object, not an async generator, so a loop can be left at any time with nothing to clean up.

    Cancelled: the wait is; the next step waits a whole interval.
    """

    __slots__ = ("_at_once", "_interval", "_jitter", "_random")

    def __init__(
        self, interval: float | Callable[[], float], jitter: float, random: Random | None, at_once: bool
    ) -> None:
        assert jitter == 0 or random is not None, "jitter needs a source"
        self._interval = interval
        self._jitter = jitter
        self._random = random
        self._at_once = at_once

    def __aiter__(self) -> Every:
        return self

    async def __anext__(self) -> None:
        if self._at_once:
            self._at_once = False
            await trio.lowlevel.checkpoint()
            return
        interval = self._interval
        seconds = interval if isinstance(interval, float | int) else interval()
        if self._random is not None:
            seconds += self._random.random() * self._jitter
        await trio.sleep(seconds)


def every(
    interval: float | Callable[[], float], jitter: float = 0.0, random: Random | None = None, *, at_once: bool = False
) -> Every:
    """Take a step, endlessly, each an interval after the last one has ended (as Envoy arms its timers).

    Args:
        interval: seconds from the end of a step to the next, or what gives them each time.
        jitter: up to so many seconds are added each time.
        random: where the jitter comes from.
        at_once: the first step comes at once.
    """
    return Every(interval, jitter, random, at_once)


async def supervise(
    name: str,
    fn: Callable[[*_Args], Awaitable[object]],
    *args: *_Args,
    on_fault: Callable[[], object] | None = None,
) -> None:
    """Run `fn(*args)` until it returns. A fault is logged with its traceback and counted; then it is run again.

    So a bug in one loop does not stop the proxy. The pause before a restart grows up to LONGEST_PAUSE, and is short
    again for what has run for longer than that.

    Args:
        name: for the log.
        fn: async function.
        args: for it.
        on_fault: called at each fault, e.g. to count it.

    Cancelled: fn is, and nothing is run again.
    """
    backoff = JitteredBackoff(FIRST_PAUSE, LONGEST_PAUSE, _random)
    while True:
        started = trio.current_time()
        try:
            await fn(*args)
        except Exception:
            _log.exception("%s failed, it is started again", name)
            if on_fault is not None:
                on_fault()
        else:
            return
        if trio.current_time() - started > LONGEST_PAUSE:
            backoff.reset()
        await trio.sleep(backoff.next())
