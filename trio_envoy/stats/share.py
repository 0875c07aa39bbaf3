"""Several processes that count as one: workers report what is new, the main process adds it to its own stats.

    store = Store(settings, shared=True)
    # a worker is forked; it begins with store.clear(), and the main process goes on with store.lead()
    rows = await Reporter(store).report()   # in the worker, again and again
    Ledger(store).add(worker, rows)         # in the main process

So the store of the main process is the sum, and whatever reads it needs to know nothing of workers.

Rules:
1. A counter is sent as what came since the last report, and is 0 in the worker from then on. So counters of the sum
   never fall, whatever becomes of a worker; what it had counted since its last report dies with it.
2. A gauge is sent when it has changed. The ledger remembers what each worker said, and takes it off when that is gone.
3. A histogram is sent as the bins since the last report; the next flush of the main process closes its interval.
4. What was counted before a worker was forked is the main process's.
5. A report looks at what was used, so that thousands of idle clusters cost little. Whoever sets a declared gauge
   without a look at what it was (no `+=`) must look at it first; what was only set before the fork is not reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import trio

from trio_envoy.stats.declare import UNUSED, Kind, Stat, StatsBlock
from trio_envoy.stats.store import Node, Store

_STEP: Final = 64  # prefixes looked at before others get their turn: some 0.3 ms
_GAUGES: Final = frozenset({Kind.GAUGE, Kind.HIDDEN_GAUGE})
_HIGHEST: Final = re.compile(r"circuit_breakers\.\w+\.\w+_open").search  # 1 if it is open in one of them


@cache
def _by_attribute(cls: type[StatsBlock]) -> Mapping[str, Stat]:
    """The declared stats of a block class."""
    return {stat.attribute: stat for stat in cls.stats}


class Row(NamedTuple):
    """One stat of a report.

    Attributes:
        prefix: whole, with its dot.
        kind: what it is.
        name: behind the prefix.
        value: see the rules of the module.
    """

    prefix: str
    kind: Kind
    name: str
    value: Any


class Reporter:
    """Finds what is new in the store of a worker."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sent: dict[tuple[str, str], Any] = {}  # gauges and texts

    async def report(self) -> list[Row]:
        """What is new since the last call.

        Cancelled: what was looked at is lost.
        """
        rows: list[Row] = []
        nodes, touched = self._store.settled()
        for number, node in enumerate(nodes):
            if number % _STEP == 0:
                await trio.lowlevel.checkpoint()
            for block in node.blocks:
                used = touched.get(block)
                if used is not None:
                    rows += self._of_block(node.prefix, block, used)
            if node.cells is not None:
                rows += self._of_cells(node)
        return rows

    def _of_block(self, prefix: str, block: StatsBlock, used: Iterable[str]) -> Iterator[Row]:
        stats = _by_attribute(type(block))
        for attribute in used:
            kind, name = stats[attribute].kind, stats[attribute].name
            value = getattr(block, attribute)
            if kind is not Kind.COUNTER:
                yield from self._changed(prefix, kind, name, value)
            elif value:
                setattr(block, attribute, 0)
                yield Row(prefix, kind, name, int(value))

    def _of_cells(self, node: Node) -> Iterator[Row]:
        prefix = node.prefix
        for kind, cells in (node.cells or {}).items():
            for name, cell in cells.items():
                if kind is Kind.COUNTER:
                    if cell.value:
                        value, cell.value = cell.value, 0
                        yield Row(prefix, kind, name, int(value))
                else:
                    yield from self._changed(prefix, kind, name, cell if kind is Kind.HISTOGRAM else cell.value)

    def _changed(self, prefix: str, kind: Kind, name: str, value: Any) -> Iterator[Row]:
        if kind is Kind.HISTOGRAM:
            bins = value.take()
            if bins:
                yield Row(prefix, kind, name, bins)
        elif value is not UNUSED and self._sent.get((prefix, name), "") != value:
            self._sent[prefix, name] = value
            yield Row(prefix, kind, name, value)


class Ledger:
    """Adds what workers report to the store of the main process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gauges: dict[int, dict[tuple[str, str], int]] = {}  # by worker
        self._places: dict[tuple[str, Kind, str], tuple[Any, str]] = {}

    def add(self, worker: int, rows: Iterable[Row]) -> None:
        """A worker has reported.

        Args:
            worker: its number; one that takes the place of another one has a new number.
            rows: what is new.
        """
        for row in rows:
            prefix, kind, name, value = row
            if kind is Kind.HISTOGRAM:
                self._store.histogram(self._store.node(prefix), name).add(value)
                continue
            holder, attribute = self._place(prefix, kind, name)
            if kind is Kind.COUNTER:
                setattr(holder, attribute, getattr(holder, attribute) + value)
            elif kind in _GAUGES:
                self._gauge(worker, (prefix, name), value, holder, attribute)
            else:
                setattr(holder, attribute, value)

    def forget(self, worker: int) -> None:
        """A worker has gone, and its gauges with it."""
        for (prefix, name), value in self._gauges.get(worker, {}).items():
            for kind in _GAUGES:
                place = self._places.get((prefix, kind, name))
                if place is not None and value:
                    self._gauge(worker, (prefix, name), 0, *place)
        self._gauges.pop(worker, None)

    def _place(self, prefix: str, kind: Kind, name: str) -> tuple[Any, str]:
        place = self._places.get((prefix, kind, name))
        if place is None:
            place = self._places[prefix, kind, name] = self._store.node(prefix).find(kind, name)
        return place

    def _gauge(self, worker: int, key: tuple[str, str], value: int, holder: Any, attribute: str) -> None:
        said = self._gauges.setdefault(worker, {})
        before = said.get(key, 0)
        said[key] = value
        if _HIGHEST(key[0] + key[1]) is not None:
            setattr(holder, attribute, max(_of_all(self._gauges, key), default=0))
        else:
            setattr(holder, attribute, getattr(holder, attribute) + value - before)


def _of_all(gauges: Mapping[int, Mapping[tuple[str, str], int]], key: tuple[str, str]) -> Iterator[int]:
    return (said.get(key, 0) for said in gauges.values())
