"""Earliest deadline first: a weighted round robin (Envoy, upstream/edf_scheduler.h).

An entry's next deadline is the time it was picked plus 1 / weight; the earliest is next, and of equal ones the one that
was put in first. So 3:1:1 gives a, a, b, c, a in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")


class EdfScheduler(Generic[T]):
    """Picks entries in proportion to their weights.

    Args:
        entries: at least one.
        weight: > 0; asked anew at each pick, so it may change meanwhile.
        picks: begin where that many picks would have led; the offset by which proxies are kept from marching in step.
    """

    __slots__ = ("_heap", "_now", "_order", "_weight")

    def __init__(self, entries: Sequence[T], weight: Callable[[T], float], picks: int = 0) -> None:
        self._weight = weight
        self._order = 0
        weights = [weight(entry) for entry in entries]
        total = sum(weights)
        done = [int(w * picks / total) for w in weights]
        self._now = max(count / w for count, w in zip(done, weights, strict=True))
        self._heap: list[tuple[float, int, T]] = []
        for entry, w, count in zip(entries, weights, done, strict=True):
            self._heap.append(((count + 1) / w, self._order, entry))
            self._order += 1
        heapify(self._heap)
        for _ in range(picks - sum(done)):
            self.pick()

    def pick(self) -> T:
        """The next entry; it is put in again with its weight of now."""
        heap = self._heap
        self._now, _, entry = heap[0]
        heapreplace(heap, (self._now + 1 / self._weight(entry), self._order, entry))
        self._order += 1
        return entry
