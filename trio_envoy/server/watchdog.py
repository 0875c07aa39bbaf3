"""The watchdog: counts how often the event loop was late, which means that something held it up.

Envoy's watchdog looks whether its threads still answer; here one task stands for the main thread and for the worker,
which are one thread; with several workers each process has a task of its own. It never kills.
Defaults: envoy.config.bootstrap.v3.Watchdog (200 ms, 1000 ms).
"""

from __future__ import annotations

from typing import Final

import trio

from trio_envoy.stats.declare import Counter, StatsBlock
from trio_envoy.stats.store import Store

_MISS: Final = 0.2  # s
_MEGA_MISS: Final = 1.0  # s
_INTERVAL: Final = 0.5  # s; each wake-up of an idle process costs 50 µs


class WatchdogStats(StatsBlock):
    """`main_thread.` and `workers.`, and the same below `server.`: Envoy gives each count two names."""

    watchdog_mega_miss: Counter
    watchdog_miss: Counter


class Watchdog:
    """Measures how late the event loop of this process is.

    Args:
        store: for the counts.
        workers: that there are.
    """

    def __init__(self, store: Store, workers: int = 1) -> None:
        self._main = self._blocks(store, "main_thread", "main_thread")
        self._workers = [self._blocks(store, "workers", f"worker_{index}") for index in range(workers)]
        self._counts = self._main + self._workers[0]

    def _blocks(self, store: Store, all_of_them: str, one: str) -> list[WatchdogStats]:
        return [store.scope(f"{prefix}.").block(WatchdogStats) for prefix in (all_of_them, f"server.{one}")]

    def lead(self) -> None:
        """This is a main process, whose workers watch themselves."""
        self._counts = self._main

    def become_worker(self, index: int) -> None:
        """This is one of several workers."""
        self._counts = self._workers[index]

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = trio.current_time() + _INTERVAL
            await trio.sleep_until(due)
            self._count(trio.current_time() - due)

    def _count(self, late: float) -> None:
        for stats in self._counts:
            if late >= _MISS:
                stats.watchdog_miss += 1
            if late >= _MEGA_MISS:
                stats.watchdog_mega_miss += 1
