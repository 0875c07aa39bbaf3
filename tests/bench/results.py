"""What was measured, and the figures made of it: medians, spreads, ratios, bounds."""

import statistics
from collections.abc import Mapping, Sequence

import attrs

from tests.bench.load import Load


@attrs.frozen
class Bound:
    """What a figure must not exceed, and what we reach for.

    Attributes:
        must: the most that is good enough.
        reach: the most that is good.
        of_ratio: bounds the ratio to Envoy; if not, our own median, in the unit of the row.
    """

    must: float
    reach: float
    of_ratio: bool = True


@attrs.frozen
class Sample:
    """One round of traffic through one proxy."""

    load: Load
    cpu: float  # s of the proxy's processes

    @property
    def cost(self) -> float:
        """CPU per request, us."""
        return self.cpu / max(1, self.load.requests) * 1e6

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.load.requests / self.load.seconds


@attrs.frozen
class Traffic:
    """A row of traffic: the rounds of each proxy, in order; or the reason why there is none.

    Attributes:
        others: the rounds of each other proxy, by its name.
        absent: why another proxy has none, by its name.
    """

    title: str
    envoy: Sequence[Sample] = ()
    ours: Sequence[Sample] = ()
    others: Mapping[str, Sequence[Sample]] = attrs.field(factory=dict)
    absent: Mapping[str, str] = attrs.field(factory=dict)
    bound: Bound | None = None
    failure: str = ""

    @property
    def ratio(self) -> float:
        """CPU per request, ours to Envoy's."""
        return _ratio(self.ours, self.envoy)

    def times_ours(self, name: str) -> float:
        """CPU per request, another proxy's to ours."""
        return _ratio(self.others[name], self.ours)

    def by_name(self) -> Mapping[str, Sequence[Sample]]:
        """The samples of all with their names."""
        return {"Envoy": self.envoy, "trio_envoy": self.ours, **self.others}


@attrs.frozen
class Figure:
    """A row that is one number a run, such as a size or a time; or the reason why there is none."""

    title: str
    unit: str
    envoy: Sequence[float] = ()
    ours: Sequence[float] = ()
    bound: Bound | None = None
    failure: str = ""

    @property
    def ratio(self) -> float:
        """Ours to Envoy's, of the medians."""
        return statistics.median(self.ours) / statistics.median(self.envoy)


Result = Traffic | Figure


@attrs.frozen
class Spread:
    """Median, least and most of some figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def median_cost(samples: Sequence[Sample]) -> float:
    """CPU per request, us: the median of the rounds."""
    return statistics.median(sample.cost for sample in samples)


def median_rate(samples: Sequence[Sample]) -> float:
    """Requests per second: the median of the rounds."""
    return statistics.median(sample.rate for sample in samples)


def _ratio(one: Sequence[Sample], other: Sequence[Sample]) -> float:
    """CPU per request: the median of the rounds' ratios, for both sides of one saw the same machine."""
    return statistics.median(a.cost / b.cost for a, b in zip(one, other, strict=True))
