"""The wall clock: seconds since 1970, moved by tests that move Trio's clock.

Rules:
1. On Trio's system clock, or outside Trio, it is the time of the machine, with every correction made to that.
2. On any other clock (MockClock) it is the machine's time at the first look in that run, or what start_at() said, and
   from there on it moves as trio.current_time() does.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import NamedTuple

import trio
from trio.abc import Clock


class _Anchor(NamedTuple):
    clock: Clock
    wall: float
    trio: float


_anchor: _Anchor | None = None
_date: tuple[int, bytes] = (-1, b"")


def now() -> float:
    """Seconds since 1970-01-01T00:00:00Z."""
    try:
        clock = trio.lowlevel.current_clock()
    except RuntimeError:  # not in a Trio run
        return time.time()  # noqa: TID251 - this is the one place
    anchor = _anchor
    if anchor is None or anchor.clock is not clock:
        if type(clock).__name__ == "SystemClock":  # Trio keeps the class to itself
            return time.time()  # noqa: TID251
        anchor = _set_anchor(clock, time.time())  # noqa: TID251
    return anchor.wall + clock.current_time() - anchor.trio


def start_at(wall: float) -> None:
    """From now on, in this Trio run, the wall clock starts at `wall` and moves with Trio's clock. For tests."""
    _set_anchor(trio.lowlevel.current_clock(), wall)


def _set_anchor(clock: Clock, wall: float) -> _Anchor:
    global _anchor
    _anchor = _Anchor(clock, wall, clock.current_time())
    return _anchor


def http_date(at: float | None = None) -> bytes:
    """A time (None: now) as IMF-fixdate (RFC 9110 s5.6.7), `Mon, 23 Nov 2026 00:40:55 GMT`; made once a second."""
    global _date
    second = int(now() if at is None else at)
    known, text = _date
    if known != second:
        text = formatdate(second, usegmt=True).encode("ascii")
        _date = second, text
    return text
