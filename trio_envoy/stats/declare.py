"""Stats as the attributes of a class: the class is the list, the type and the doc of what is counted.

    class CircuitBreakerStats(StatsBlock):
        cx_open: Gauge  # 1 while the connection breaker is tripped
        remaining_cx: Gauge  # connections left
        default_cx_open: Gauge = named("circuit_breakers.default.cx_open")
        wait_ms: Histogram

A block is made by `Scope.block(CircuitBreakerStats)`, which registers it under the scope's prefix. Counters and gauges
are plain ints in slots, so counting is `stats.cx_open += 1` and an idle block costs 8 bytes a stat. Slots are empty
until somebody looks: thousands of clusters have a block each, and most of it is never used.

Rules:
1. A stat that was never written holds UNUSED, a zero of its own; whatever is assigned or added replaces it. That is how
   `usedonly` tells "never" from "back to zero", as Envoy's used flag does. Assign ints, not bools.
2. Names are Envoy's. A name with dots is given by named().
3. A subclass adds to the stats of its base.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias, get_args, get_type_hints

from trio_envoy.stats.histogram import Histogram as Histogram  # for declaring modules


class Kind(enum.Enum):
    """What a stat is; the value is Envoy's word for it in `/stats?type=`."""

    TEXT = "TextReadouts"
    COUNTER = "Counters"
    GAUGE = "Gauges"
    HIDDEN_GAUGE = "hidden Gauges"  # shown with ?hidden=include|only
    HISTOGRAM = "Histograms"


Counter: TypeAlias = Annotated[int, Kind.COUNTER]
Gauge: TypeAlias = Annotated[int, Kind.GAUGE]
HiddenGauge: TypeAlias = Annotated[int, Kind.HIDDEN_GAUGE]
TextReadout: TypeAlias = Annotated[str, Kind.TEXT]


class _Unused(int):
    """The zero of a stat that nobody has written; sums with it are ordinary ints."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "UNUSED"


UNUSED: Final = _Unused()


class Stat(NamedTuple):
    """One declared stat.

    Attributes:
        attribute: of the block.
        name: behind the prefix of the scope.
        kind: what it is.
    """

    attribute: str
    name: str
    kind: Kind


class Group:
    """The stats of one kind of a block class, in the order of their names.

    Attributes:
        names: behind the prefix.
        values: block -> its values, in the order of names.
        attributes: of the block, in the order of names.
    """

    __slots__ = ("attributes", "names", "values")

    def __init__(self, stats: list[Stat]) -> None:
        self.names = tuple(stat.name for stat in stats)
        self.attributes = tuple(stat.attribute for stat in stats)
        get = attrgetter(*self.attributes)
        self.values: Callable[[StatsBlock], tuple[Any, ...]] = get if len(stats) > 1 else lambda block: (get(block),)


class _Named(str):
    __slots__ = ()


def named(name: str) -> Any:  # Any: it stands where an int or a Histogram is declared
    """What a stat with dots in its name is set to in the class body; see the example of the module."""
    return _Named(name)


class _Declaration(type):
    """Turns the annotations of a block class into slots, and into the groups that the store reads."""

    groups: Mapping[Kind, Group]
    stats: tuple[Stat, ...]
    given_names: Mapping[str, str]
    kinds: Mapping[str, Kind]  # by attribute

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Declaration:
        annotations: Mapping[str, Any] = namespace.get("__annotations__", {})
        declared = [attribute for attribute in annotations if not str(annotations[attribute]).startswith("ClassVar")]
        if bases and not declared and "__slots__" not in namespace:
            raise TypeError(f"{name}: no stats are declared (is `from __future__ import annotations` missing?)")
        given = {attribute: str(namespace.pop(attribute)) for attribute in declared if attribute in namespace}
        namespace.setdefault("__slots__", tuple(declared))
        cls = super().__new__(mcs, name, bases, namespace)
        cls.given_names = given
        cls._compile(declared if bases else [])
        return cls

    def _compile(cls, declared: list[str]) -> None:
        hints = get_type_hints(cls, include_extras=True)
        stats = {stat.attribute: stat for base in cls.__bases__ for stat in getattr(base, "stats", ())}
        for attribute in declared:
            name = cls.given_names.get(attribute, attribute)
            stats[attribute] = Stat(attribute, name, _kind(cls.__name__, attribute, hints[attribute]))
        cls.stats = tuple(sorted(stats.values(), key=lambda stat: stat.name))
        by_kind: dict[Kind, list[Stat]] = {}
        for stat in cls.stats:
            by_kind.setdefault(stat.kind, []).append(stat)
        cls.groups = {kind: Group(group) for kind, group in by_kind.items()}
        cls.kinds = {stat.attribute: stat.kind for stat in cls.stats}


def _kind(owner: str, attribute: str, hint: object) -> Kind:
    if hint is Histogram:
        return Kind.HISTOGRAM
    for argument in get_args(hint):
        if isinstance(argument, Kind):
            return argument
    raise TypeError(f"{owner}.{attribute}: {hint!r} is not a kind of stat")


class Recording(list[Histogram]):
    """Where the blocks and histograms of a store announce themselves: the histograms that have new values.

    Attributes:
        touched: block -> attributes that somebody has begun to use; None: nobody wants to know (see stats.share).
    """

    touched: dict[StatsBlock, list[str]] | None = None


class StatsBlock(metaclass=_Declaration):
    """Base of all declared stats; made by Scope.block(), or directly where no store is wanted (tests).

    Args:
        recording: where histograms announce that they have values for the next flush; the store's.
    """

    __slots__ = ("_recording",)

    def __init__(self, recording: Recording | None = None) -> None:
        self._recording = Recording() if recording is None else recording

    if not TYPE_CHECKING:  # a misspelt stat is for mypy to find

        def __getattr__(self, name: str) -> Any:
            """What a stat begins with, when it is first looked at."""
            kind = type(self).kinds.get(name)
            if kind is None:
                raise AttributeError(f"{type(self).__name__} has no stat {name!r}")
            first = "" if kind is Kind.TEXT else UNUSED if kind is not Kind.HISTOGRAM else Histogram(self._recording)
            setattr(self, name, first)
            touched = self._recording.touched
            if touched is not None:
                touched.setdefault(self, []).append(name)
            return first
