"""Counting responses by status, as Envoy's CodeStats does; the many counters of one response are added to when read.

Source: Envoy, http/codes.cc (chargeResponseStat, chargeResponseTiming).
"""

from __future__ import annotations

from trio_envoy.stats.histogram import PENDING_LIMIT, Histogram
from trio_envoy.stats.store import Cell, Scope


class ResponseCounts:
    """The counters of one prefix: `<prefix>upstream_rq_completed`, `_2xx`, `_200`, and `upstream_rq_time`.

    Args:
        scope: of the cluster.
        prefixes: each of them counts all of it: ("", "external."); upstream_rq_completed of "" is left to ClusterStats.
    """

    __slots__ = ("_by_status", "_late", "_new", "_new_times", "_prefixes", "_scope", "_times")

    def __init__(self, scope: Scope, prefixes: tuple[str, ...]) -> None:
        self._scope = scope
        self._prefixes = prefixes
        self._by_status: dict[int, tuple[Cell, ...]] = {}
        self._new: dict[int, int] = {}  # status -> responses since the counters were last read
        self._new_times: list[float] = []
        self._times: tuple[Histogram, ...] = ()
        self._late = False  # it will be asked to settle

    def count(self, status: int) -> None:
        """One more response with this status."""
        new = self._new
        if status in new:
            new[status] += 1
        else:
            if not self._late:
                self._settle_later()
            if status not in self._by_status:
                self._by_status[status] = self._cells(status)
            new[status] = 1

    def _settle(self) -> None:
        for status, number in self._new.items():
            for cell in self._by_status[status]:
                cell.value += number
        self._new.clear()
        self._settle_times()

    def _settle_later(self) -> None:
        self._late = True
        self._scope.count_late(self._settle)

    def _settle_times(self) -> None:
        times = self._new_times
        if times:
            for histogram in self._times:
                histogram.record_all(times)
            times.clear()

    def time(self, milliseconds: float) -> None:
        """How long a request took."""
        if not self._times:
            self._times = tuple(self._scope.histogram(f"{prefix}upstream_rq_time") for prefix in self._prefixes)
            if not self._late:
                self._settle_later()
        times = self._new_times
        times.append(milliseconds)
        if len(times) >= PENDING_LIMIT:
            self._settle_times()

    def _cells(self, status: int) -> tuple[Cell, ...]:
        names = ["upstream_rq_completed"]
        if 100 <= status <= 599:
            names += [f"upstream_rq_{status}", f"upstream_rq_{status // 100}xx"]
        else:
            names.append("upstream_rq_unknown")
        return tuple(
            self._scope.counter(prefix + name)
            for prefix in self._prefixes
            for name in names
            if prefix or name != "upstream_rq_completed"  # that one is declared: ClusterStats
        )
