"""The watchdog: counts how often the event loop was late, which means that something held it up.

Envoy's watchdog looks whether its threads still answer; here one task stands for the main thread and for the worker,
which are one thread. Defaults: envoy.config.bootstrap.v3.Watchdog (200 ms, 1000 ms); it never kills.
"""

from __future__ import annotations

from typing import Final

import trio

from trio_envoy.server.stats import ServerStats
from trio_envoy.stats.declare import Counter, StatsBlock
from trio_envoy.stats.store import Store

_MISS: Final = 0.2  # s
_MEGA_MISS: Final = 1.0  # s
_INTERVAL: Final = 0.5  # s; each wake-up of an idle process costs 50 µs


class WatchdogStats(StatsBlock):
    """`main_thread.` and `workers.`: the same counts under both names that Envoy gives them."""

    watchdog_mega_miss: Counter
    watchdog_miss: Counter


class Watchdog:
    """Measures how late the event loop is.

    Args:
        store: for `main_thread.` and `workers.`.
        server: for `server.main_thread.` and `server.worker_0.`.
    """

    def __init__(self, store: Store, server: ServerStats) -> None:
        self._threads = [store.scope(f"{name}.").block(WatchdogStats) for name in ("main_thread", "workers")]
        self._server = server

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = trio.current_time() + _INTERVAL
            await trio.sleep_until(due)
            self._count(trio.current_time() - due)

    def _count(self, late: float) -> None:
        server = self._server
        if late >= _MISS:
            for thread in self._threads:
                thread.watchdog_miss += 1
            server.main_thread_watchdog_miss += 1
            server.worker_0_watchdog_miss += 1
        if late >= _MEGA_MISS:
            for thread in self._threads:
                thread.watchdog_mega_miss += 1
            server.main_thread_watchdog_mega_miss += 1
            server.worker_0_watchdog_mega_miss += 1
