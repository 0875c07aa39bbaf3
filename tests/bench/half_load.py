"""Latency at half load, open loop: both proxies get the same requests a second, half of what the slower one takes."""

from collections.abc import Sequence

import attrs

from tests.bench.load import Paced, Wrk
from tests.bench.results import Figure, Result, Sample, Traffic, median_rate
from tests.bench.setting import Setting
from tests.bench.traffic import both

_CLOSED = Wrk("/64", 64)


def half_load(setting: Setting) -> Sequence[Result]:
    """A closed loop finds the rate, in one round; the row and the p99 are of the open loop."""
    capacities = both(attrs.evolve(setting, rounds=1), _CLOSED)
    rate = int(min(map(median_rate, capacities)) / 2)
    envoy, ours = both(setting, Paced(rate))
    title = f"open loop at half load: HTTP/1.1, 64 B, {rate} req/s"
    return (
        Traffic(title, envoy, ours),
        Figure(f"p99 at half load ({rate} req/s)", "ms", _late(envoy), _late(ours)),
    )


def _late(samples: Sequence[Sample]) -> Sequence[float]:
    return [sample.load.p99 / 1e3 for sample in samples if sample.load.p99 is not None]
