"""What was measured, and the figures made of it: medians, spreads, ratios."""

import statistics
from collections.abc import Sequence

import attrs

from tests.bench.load import Load


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
    """A row of traffic: the rounds of both proxies, in order; or the reason why there is none."""

    title: str
    envoy: Sequence[Sample] = ()
    ours: Sequence[Sample] = ()
    failure: str = ""

    @property
    def ratio(self) -> float:
        """CPU per request, ours to Envoy's: the median of the rounds, for both sides of one saw the same machine."""
        return statistics.median(ours.cost / envoy.cost for envoy, ours in zip(self.envoy, self.ours, strict=True))

    def by_name(self) -> Sequence[tuple[str, Sequence[Sample]]]:
        """The samples of both with their names."""
        return (("Envoy", self.envoy), ("trio_envoy", self.ours))


@attrs.frozen
class Figure:
    """A row that is one number a run, such as a size or a time; or the reason why there is none."""

    title: str
    unit: str
    envoy: Sequence[float] = ()
    ours: Sequence[float] = ()
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
