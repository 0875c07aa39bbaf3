"""Rows of growth: the same request while the configuration around it grows."""

from collections.abc import Callable, Sequence

import attrs

from tests.bench.configuration import Front
from tests.bench.load import Wrk
from tests.bench.results import Bound, Figure, Result, Traffic, median_cost
from tests.bench.setting import Setting
from tests.bench.traffic import both

_SIZES = (10, 100, 1_000, 10_000)
_CONNECTIONS = 32


@attrs.frozen
class Step:
    """A configuration of some size, and the host that is asked for there (empty: any)."""

    title: str
    front: Front
    host: str = ""


def routes(origin: int, size: int) -> Step:
    """Prefix routes on one virtual host; the last one matches."""
    return Step(f"{size:,} routes on one virtual host, the last taken", Front(origin, routes=size))


def domains(origin: int, size: int) -> Step:
    """Virtual hosts of a domain each; the last one matches."""
    return Step(f"{size:,} virtual hosts, the last taken", Front(origin, domains=size), f"host{size - 1}.example.com")


def clusters(origin: int, size: int) -> Step:
    """Clusters of an endpoint each; the last one is routed to."""
    return Step(f"{size:,} clusters, the last taken", Front(origin, clusters=size))


def growth(
    name: str, shape: Callable[[int, int], Step], *, bounded: bool = False
) -> Callable[[Setting], Sequence[Result]]:
    """A row for each size, and what the largest costs against the smallest; bounded: must not exceed Envoy's growth."""

    def measure(setting: Setting) -> Sequence[Result]:
        rows = [_row(setting, shape(setting.origins.http, size)) for size in _SIZES]
        envoy = median_cost(rows[-1].envoy) / median_cost(rows[0].envoy)
        ours = median_cost(rows[-1].ours) / median_cost(rows[0].ours)
        bound = Bound(1.0, 1.0 / envoy) if bounded else None  # reach for: flat
        title = f"{_SIZES[-1]:,} {name} against {_SIZES[0]}, CPU per request"
        return (*rows, Figure(title, "times", (envoy,), (ours,), bound))

    return measure


def _row(setting: Setting, step: Step) -> Traffic:
    return Traffic(step.title, *both(setting, Wrk("/64", _CONNECTIONS, host=step.host), step.front))
