"""Histograms as libcircllhist keeps them: log-linear bins of two significant digits, no samples.

Values are whole numbers (milliseconds, bytes, counts), as in Envoy. A value v falls into the bin of its first two
digits: 0 alone, 7 in [7, 7.1), 43 in [43, 44), 1234 in [1200, 1300).

Rules:
1. record() only remembers the value; flush (every stats_flush_interval) sorts what was remembered into bins, makes it
   "the interval" and adds it to "the total". So a value is visible after the next flush, as in Envoy.
2. Memory is bounded: PENDING_LIMIT remembered values, then bins (at most 90 a power of ten).
3. The arithmetic (bin bounds, midpoints, quantiles) is libcircllhist's in its order of operations, so that every
   printed digit is the same.

Sources: libcircllhist (circllhist.c: hist_approx_quantile, hist_approx_count_below, hist_approx_sum); Envoy's
HistogramStatisticsImpl; measured against Envoy 1.40.
"""

from __future__ import annotations

import collections
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import ceil, nan
from typing import NamedTuple

PENDING_LIMIT = 1024  # values; 8 KiB

QUANTILES: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 0.90, 0.95, 0.99, 0.995, 0.999, 1)
"""HistogramStatisticsImpl::supportedQuantiles."""

DEFAULT_BUCKETS: tuple[float, ...] = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000),
    *(60000, 300000, 600000, 1800000, 3600000),
)
"""HistogramSettingsImpl::defaultBuckets; upper bounds, of milliseconds as a rule."""


class Bin(NamedTuple):
    """One bin that has values.

    Attributes:
        lower: lower bound; 0 for the bin of zero.
        width: upper bound - lower bound.
        values: how many values it has.
    """

    lower: float
    width: float
    values: int


_BINS = [*range(100), *(first * 10**zeros for zeros in range(1, 18) for first in range(10, 100))]
"""The bins of all values, each named by the least whole number in it."""


def _bin(value: int) -> int:
    return _BINS[bisect_right(_BINS, value) - 1] if value > 0 else 0


@lru_cache(maxsize=4096)
def _bounds(key: int) -> tuple[float, float]:
    """(lower, width) of a bin, with the rounding errors of the C library: 110 gives 110.00000000000001."""
    if key == 0:
        return 0.0, 0.0
    exponent = len(str(key)) - 1
    digits = key // 10 ** (exponent - 1) if exponent else key * 10
    power: float = 10.0**exponent
    return (digits / 10.0) * power, power / 10.0


class Distribution:
    """What a histogram says at one moment.

    Attributes:
        bins: with values, ascending.
        count: of all values.
    """

    __slots__ = ("bins", "count")

    def __init__(self, counts: Mapping[int, int]) -> None:
        self.bins = tuple(Bin(*_bounds(key), counts[key]) for key in sorted(counts))
        self.count = sum(counts.values())

    def sum(self) -> float:
        """Sum of all values, each taken as the harmonic middle of its bin (hist_approx_sum)."""
        total = 0.0
        for lower, width, count in self.bins:
            if width:
                total += (lower + width * (lower / (lower + (lower + width)))) * count
        return total

    def quantiles(self, wanted: Sequence[float] = QUANTILES) -> list[float]:
        """The value at each of the quantiles (ascending, 0 to 1); nan when there are no values.

        The k-th of n values in a bin is taken to lie at k/(n+1) of its width (hist_approx_quantile).
        """
        if not self.count:
            return [nan] * len(wanted)
        result = []
        bins = iter(self.bins)
        lower, width, count = next(bins)
        below = 0
        for quantile in wanted:
            rank = self.count * quantile
            while below + count < rank:
                below += count
                lower, width, count = next(bins)
            position = max(1, ceil(rank - below))
            result.append(lower + position / (count + 1) * width)
        return result

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """How many values lie in bins that begin at or below each of the bounds (hist_approx_count_below)."""
        result = []
        counted = index = 0
        for bound in bounds:
            while index < len(self.bins) and self.bins[index].lower <= bound:
                counted += self.bins[index].values
                index += 1
            result.append(counted)
        return result

    def disjoint(self, bounds: Iterable[float]) -> list[int]:
        """The steps of cumulative()."""
        cumulative = self.cumulative(bounds)
        return [here - before for before, here in zip([0, *cumulative], cumulative, strict=False)]


class _Recorded:
    """The bins of a histogram that has been used."""

    __slots__ = ("interval", "partial", "total")

    def __init__(self) -> None:
        self.interval: dict[int, int] = {}
        self.partial: dict[int, int] = {}
        self.total: dict[int, int] = {}


class Histogram:
    """Remembers values; an unused one costs 64 bytes.

    Args:
        recording: list that this histogram joins when it has values for the next flush.
    """

    __slots__ = ("_pending", "_recorded", "_recording")

    def __init__(self, recording: list[Histogram]) -> None:
        self._recording = recording
        self._pending: list[float] | None = None
        self._recorded: _Recorded | None = None

    def record(self, value: float) -> None:
        """Count one value >= 0: milliseconds, bytes, ...; what is behind the point is cut off, as in Envoy."""
        pending = self._pending
        if pending is None:
            self._pending = [value]
            self._recording.append(self)
            return
        pending.append(value)
        if len(pending) >= PENDING_LIMIT:
            self._sort_in(pending)

    def record_all(self, values: Sequence[float]) -> None:
        """Count these values; see record()."""
        pending = self._pending
        if pending is None:
            pending = self._pending = []
            self._recording.append(self)
        pending += values
        if len(pending) >= PENDING_LIMIT:
            self._sort_in(pending)

    def _sort_in(self, pending: list[float]) -> _Recorded:
        recorded = self._recorded
        if recorded is None:
            recorded = self._recorded = _Recorded()
        partial = recorded.partial
        for value, count in collections.Counter(map(int, pending)).items():
            key = _bin(value)
            partial[key] = partial.get(key, 0) + count
        pending.clear()
        return recorded

    def clear(self) -> None:
        """As if nothing had been recorded."""
        self._pending = None
        self._recorded = None

    def take(self) -> dict[int, int]:
        """Bin -> count, of what no flush has seen yet; it is not here any more. See add()."""
        recorded = self._recorded if self._pending is None else self._sort_in(self._pending)
        self._pending = None
        if recorded is None:
            return {}
        taken, recorded.partial = recorded.partial, {}
        return taken

    def add(self, bins: Mapping[int, int]) -> None:
        """Count what another histogram has recorded."""
        if self._pending is None:
            self._pending = []
            self._recording.append(self)
        partial = self._sort_in(self._pending).partial
        for key, count in bins.items():
            partial[key] = partial.get(key, 0) + count

    def close_interval(self) -> None:
        """At a flush: what came since the last one is now the interval, and part of the total."""
        recorded = self._recorded if self._pending is None else self._sort_in(self._pending)
        self._pending = None
        if recorded is not None:
            recorded.interval, recorded.partial = recorded.partial, {}
            total = recorded.total
            for key, count in recorded.interval.items():
                total[key] = total.get(key, 0) + count

    @property
    def used(self) -> bool:
        """A flush has found values in it."""
        return self._recorded is not None and bool(self._recorded.total)

    @property
    def interval(self) -> Mapping[int, int]:
        """Bin -> count, of the last interval."""
        return self._recorded.interval if self._recorded else {}

    @property
    def total(self) -> Mapping[int, int]:
        """Bin -> count, since the start."""
        return self._recorded.total if self._recorded else {}


class Merged:
    """Histograms of one name shown as one."""

    __slots__ = ("interval", "total")

    def __init__(self, histograms: Iterable[Histogram | Merged]) -> None:
        interval: collections.Counter[int] = collections.Counter()
        total: collections.Counter[int] = collections.Counter()
        for histogram in histograms:
            interval.update(histogram.interval)
            total.update(histogram.total)
        self.interval: Mapping[int, int] = interval
        self.total: Mapping[int, int] = total

    @property
    def used(self) -> bool:
        """One of them is used."""
        return bool(self.total)
