"""The store: all stats of a process, by prefix. Scopes are the doors to it; they are closed with what they belong to.

    scope = store.scope("cluster.api.")
    stats = scope.block(ClusterStats)          # declared: there at 0 from the start
    scope.counter("upstream_rq_200").value += 1  # dynamic: there from its first use on

Rules:
1. Two scopes of one prefix share their stats, as in Envoy: two connection managers with one stat_prefix count together,
   and a cluster that replaces one of its name goes on counting. The stats go when the last of the scopes is closed.
2. Stats of one name and kind that come from different blocks are summed when they are read.
3. Reading (select) yields batches in the order of names, so that an answer of any length can be streamed: what it holds
   at a time is a batch, not the answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from trio_envoy.stats.declare import UNUSED, Kind, Recording, StatsBlock
from trio_envoy.stats.histogram import Histogram, Merged
from trio_envoy.stats.settings import Settings

Block = TypeVar("Block", bound=StatsBlock)
_Made = TypeVar("_Made")
Entry: TypeAlias = tuple[str, Any]
"""(name, value): an int, a str of a text readout, or a Histogram | Merged."""

COUNTERS_AND_GAUGES = (Kind.COUNTER, Kind.GAUGE)

_BATCH = 1024  # entries, at least, of a batch before the last: some ms of rendering
_HISTOGRAMS = 128  # the same of histograms
_name_of = itemgetter(0)


class Cell:
    """A counter or gauge with a name of its own: `cell.value += 1`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int = UNUSED


class TextCell:
    """A text readout with a name of its own."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = ""


class Node:
    """What is counted under one prefix, and by how many open scopes."""

    __slots__ = ("blocks", "cells", "prefix", "scopes")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.scopes = 0
        self.blocks: list[StatsBlock] = []
        self.cells: dict[Kind, dict[str, Any]] | None = None

    def collect(self, kind: Kind, entries: list[Entry]) -> None:
        """Append (full name, value) of each stat of the kind."""
        prefix = self.prefix
        for block in self.blocks:
            group = type(block).groups.get(kind)
            if group is not None:
                entries.extend(zip([prefix + name for name in group.names], group.values(block), strict=True))
        if self.cells is not None:
            for name, cell in self.cells.get(kind, {}).items():
                entries.append((prefix + name, cell if kind is Kind.HISTOGRAM else cell.value))

    def clear_cells(self) -> None:
        for kind, cells in (self.cells or {}).items():
            for cell in cells.values():
                if kind is Kind.HISTOGRAM:
                    cell.clear()
                else:
                    cell.value = "" if kind is Kind.TEXT else UNUSED

    def find(self, kind: Kind, name: str) -> tuple[Any, str]:
        """The object that holds a stat, and the attribute of it; a stat that is not there is made."""
        for block in self.blocks:
            group = type(block).groups.get(kind)
            if group is not None and name in group.names:
                return block, group.attributes[group.names.index(name)]
        return self.cell(kind, name, TextCell if kind is Kind.TEXT else Cell), "value"

    def cell(self, kind: Kind, name: str, make: Callable[[], _Made]) -> _Made:
        """The cell of this name; it is made if it isn't there."""
        if self.cells is None:
            self.cells = {}
        cells: dict[str, _Made] = self.cells.setdefault(kind, {})
        cell = cells.get(name)
        if cell is None:
            cell = cells[name] = make()
        return cell

    def reset_counters(self) -> None:
        for block in self.blocks:
            group = type(block).groups.get(Kind.COUNTER)
            for attribute in group.attributes if group else ():
                if getattr(block, attribute) is not UNUSED:
                    setattr(block, attribute, 0)
        for cell in self.cells.get(Kind.COUNTER, {}).values() if self.cells else ():
            if cell.value is not UNUSED:
                cell.value = 0


class Scope:
    """A prefix under which one part of the proxy counts. Made by Store.scope() and Scope.scope()."""

    __slots__ = ("_closed", "_inner", "_node", "_outer", "_store")

    def __init__(self, store: Store, node: Node, outer: Scope | None = None) -> None:
        self._store = store
        self._node = node
        self._outer = outer
        self._inner: list[Scope] | None = None
        self._closed = False
        node.scopes += 1

    @property
    def prefix(self) -> str:
        """What is put before each name; "" or with a dot at its end."""
        return self._node.prefix

    def scope(self, prefix: str, *, raw: bool = False) -> Scope:
        """A scope below this one; it is closed with this one, or earlier.

        Args:
            prefix: e.g. "circuit_breakers.default."; the dot at its end may be left out.
            raw: leave colons as they are. Envoy does so where it joins a name instead of making a scope:
                `http.<stat_prefix>.rq_total` of the router.
        """
        name = self.prefix + (prefix if raw else sanitized(prefix))
        inner = Scope(self._store, self._store._node(name), self)  # noqa: SLF001 - one mechanism
        if self._inner is None:
            self._inner = []
        self._inner.append(inner)
        return inner

    def block(self, cls: type[Block]) -> Block:
        """The declared stats of this class under this prefix; the same object for each scope of the prefix."""
        for block in self._node.blocks:
            if type(block) is cls:
                return block
        made = cls(self._store._recording)  # noqa: SLF001
        self._node.blocks.append(made)
        return made

    def count_late(self, settle: Callable[[], None]) -> None:
        """See Store.count_late()."""
        self._store.count_late(settle)

    def counter(self, name: str) -> Cell:
        """A counter that exists from now on; keep the cell where it counts."""
        return self._cell(Kind.COUNTER, name, Cell)

    def gauge(self, name: str, *, hidden: bool = False) -> Cell:
        """A gauge that exists from now on."""
        return self._cell(Kind.HIDDEN_GAUGE if hidden else Kind.GAUGE, name, Cell)

    def text(self, name: str) -> TextCell:
        """A text readout that exists from now on."""
        return self._cell(Kind.TEXT, name, TextCell)

    def histogram(self, name: str) -> Histogram:
        """A histogram that exists from now on."""
        return self._cell(Kind.HISTOGRAM, name, lambda: Histogram(self._store._recording))  # noqa: SLF001

    def _cell(self, kind: Kind, name: str, make: Callable[[], _Made]) -> _Made:
        return self._node.cell(kind, name, make)

    def _forget(self, inner: Scope) -> None:
        if self._inner is not None:
            self._inner.remove(inner)

    def close(self) -> None:
        """Give up this scope and those made from it. Its stats go unless another scope has the same prefix."""
        if self._closed:
            return
        self._closed = True
        inner, self._inner = self._inner, None
        for scope in inner or ():
            scope.close()
        if self._outer is not None:
            self._outer._forget(self)  # noqa: SLF001 - its own class
        self._node.scopes -= 1
        if not self._node.scopes:
            self._store._forget(self._node)  # noqa: SLF001


class Store:
    """All stats of a process.

    Args:
        settings: what stats_config says: which names exist, histogram buckets, tags.
        shared: other processes count in copies of it, so it is to know what is used; see stats.share.
    """

    def __init__(self, settings: Settings | None = None, *, shared: bool = False) -> None:
        self.settings = settings or Settings()
        self._nodes: dict[str, Node] = {}
        self._sorted: list[Node] | None = None
        self._recording = Recording()
        if shared:
            self._recording.touched = {}
        self._in_interval: list[Histogram] = []
        self._late: dict[Callable[[], None], None] = {}

    def count_late(self, settle: Callable[[], None]) -> None:
        """Call this whenever stats are about to be read: it counts what was kept in a cheaper place until then."""
        self._late[settle] = None

    def count_no_longer(self, settle: Callable[[], None]) -> None:
        """Call it once more, and never again."""
        settle()
        del self._late[settle]

    def _settle(self) -> None:
        for settle in tuple(self._late):
            settle()

    def scope(self, prefix: str, *, raw: bool = False) -> Scope:
        """A scope with this prefix ("" for the root); see Scope.scope()."""
        return Scope(self, self._node(prefix if raw else sanitized(prefix)))

    def _node(self, name: str) -> Node:
        name = name.rstrip(".")
        if name:
            name += "."
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(name)
            self._sorted = None
        return node

    def _forget(self, node: Node) -> None:
        del self._nodes[node.prefix]
        self._sorted = None

    def flush(self) -> None:
        """Every stats_flush_interval: close the interval of each histogram that has, or had, values in it."""
        self._settle()
        had, self._in_interval = self._in_interval, self._recording.copy()
        self._recording.clear()
        for histogram in self._in_interval:
            histogram.close_interval()
        now = set(map(id, self._in_interval))
        for histogram in had:
            if id(histogram) not in now:
                histogram.close_interval()

    def lead(self) -> None:
        """In the process that the others were forked from: nobody asks any more what is used here."""
        self._recording.touched = None

    def clear(self) -> None:
        """As if nothing had been counted: what a process does with a shared store that has been forked."""
        self._recording.clear()
        self._in_interval.clear()
        used, self._recording.touched = self._recording.touched or {}, {}
        for block, attributes in used.items():
            for attribute in attributes:
                if type(block).kinds[attribute] is Kind.HISTOGRAM:  # who records into it may have it
                    getattr(block, attribute).clear()
                    self._recording.touched.setdefault(block, []).append(attribute)
                else:
                    delattr(block, attribute)
        for node in self._nodes.values():
            node.clear_cells()

    def settled(self) -> tuple[tuple[Node, ...], Mapping[StatsBlock, list[str]]]:
        """What is counted, up to date: all prefixes, and what of each block was used since clear(). For stats.share."""
        self._settle()
        self._recording.clear()
        return tuple(self._nodes.values()), self._recording.touched or {}

    def node(self, prefix: str) -> Node:
        """What is counted under a whole prefix; it stays open. For stats.share."""
        node = self._nodes.get(prefix)
        if node is None:
            node = self._node(prefix)
            node.scopes += 1
        return node

    def histogram(self, node: Node, name: str) -> Histogram:
        """The histogram of a name; it is made if it isn't there. For stats.share."""
        for block in node.blocks:
            group = type(block).groups.get(Kind.HISTOGRAM)
            if group is not None and name in group.names:
                found: Histogram = getattr(block, group.attributes[group.names.index(name)])
                return found
        return node.cell(Kind.HISTOGRAM, name, lambda: Histogram(self._recording))

    def reset_counters(self) -> None:
        """Set every counter that was used to 0; it stays used. Gauges and histograms keep what they have."""
        self._settle()
        for node in self._nodes.values():
            node.reset_counters()

    def select(
        self, kinds: Collection[Kind], *, used_only: bool = False, keep: Callable[[str], bool] | None = None
    ) -> Iterator[list[Entry]]:
        """The stats of these kinds, in batches, all in the order of their names.

        Stats that come or go while the caller is between two batches may be in it or not.

        Args:
            kinds: all of which have the same type of value.
            used_only: leave out what was never written.
            keep: name -> whether it is wanted.
        """
        self._settle()
        keeps = self.settings.accepts
        nodes = self._in_order()
        pending: list[Entry] = []
        last = len(nodes) - 1
        step = enough = _HISTOGRAMS if Kind.HISTOGRAM in kinds else _BATCH
        for index, node in enumerate(nodes):
            for kind in kinds:
                node.collect(kind, pending)
            if index < last and len(pending) < enough:
                continue
            pending.sort(key=_name_of)
            end = len(pending) if index == last else bisect_left(pending, nodes[index + 1].prefix, key=_name_of)
            batch = pending[:end]
            del pending[:end]
            enough = len(pending) + step
            for wanted in (keep, keeps):
                if wanted is not None:
                    batch = [entry for entry in batch if wanted(entry[0])]
            if used_only:
                batch = [entry for entry in batch if _is_used(entry[1])]
            if batch:
                yield _without_repeats(batch)

    def __iter__(self) -> Iterator[tuple[str, Kind, Any]]:
        """(name, kind, value) of every stat, kind by kind."""
        for kind in Kind:
            for batch in self.select((kind,)):
                for name, value in batch:
                    yield name, kind, value

    def value(self, name: str) -> Any:
        """What one stat says now; a Histogram or Merged for a histogram.

        Raises:
            KeyError: there is no such stat.
        """
        for found, _, value in self:
            if found == name:
                return value
        raise KeyError(name)

    def _in_order(self) -> list[Node]:
        if self._sorted is None:
            self._sorted = sorted(self._nodes.values(), key=lambda node: node.prefix)
        return self._sorted


def _is_used(value: Any) -> bool:
    if value is UNUSED:
        return False
    if isinstance(value, int):
        return True
    return value != "" if isinstance(value, str) else bool(value.used)


def _without_repeats(batch: list[Entry]) -> list[Entry]:
    """Stats of one name become one: numbers are summed, histograms merged, of texts the last one stands."""
    if len(dict(batch)) == len(batch):
        return batch
    return [(name, _together([value for _, value in entries])) for name, entries in groupby(batch, _name_of)]


def _together(values: list[Any]) -> Any:
    if len(values) == 1 or isinstance(values[-1], str):
        return values[-1]
    if isinstance(values[-1], int):
        return sum(values)
    return Merged(values)


def sanitized(name: str) -> str:
    """A name that users gave, as a part of a stat name: `http://a:80` becomes `http_a_80` (Stats::Utility)."""
    for bad in ("://", ":/", ":", "\0"):
        name = name.replace(bad, "_")
    return name.removeprefix(".")
