"""Earliest deadline first: a weighted round robin (Envoy, upstream/edf_scheduler.h).

An entry's next deadline is the time at which it was picked plus its step, 1 / weight; the earliest is next, and of
equal ones the one that was picked longer ago. So 3:1:1 gives rounds of a, a, b, c, a. Steps that are whole numbers make
every round exactly alike, as Envoy's are (measured with three sets of weights, all starts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")


class EdfScheduler(Generic[T]):
    """Picks entries as often as their steps say.

    Args:
        entries: at least one.
        step: > 0, the inverse of the weight in any unit; asked anew at each pick, so it may change meanwhile.
        picks: begin where that many picks would have led; the offset by which proxies are kept from marching in step.
    """

    __slots__ = ("_heap", "_order", "_step")

    def __init__(self, entries: Sequence[T], step: Callable[[T], float], picks: int = 0) -> None:
        self._step = step
        steps = [step(entry) for entry in entries]
        rate = sum(1 / each for each in steps)
        done = [int(picks / (each * rate)) for each in steps]
        # of equal deadlines the entry that was picked longer ago comes first, and so it was before
        oldest_first = sorted(range(len(entries)), key=lambda i: (done[i] * steps[i], -steps[i]))
        self._heap: list[tuple[float, int, T]] = [
            ((done[i] + 1) * steps[i], order, entries[i]) for order, i in enumerate(oldest_first)
        ]
        heapify(self._heap)
        self._order = len(entries)
        for _ in range(picks - sum(done)):
            self.pick()

    def pick(self) -> T:
        """The next entry; it is put in again with its step of now."""
        heap = self._heap
        now, _, entry = heap[0]
        heapreplace(heap, (now + self._step(entry), self._order, entry))
        self._order += 1
        return entry
