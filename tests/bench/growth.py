"""Rows of growth: the same request while the configuration around it grows."""

import statistics
from collections.abc import Callable, Sequence

import attrs

from tests.bench.configuration import Front
from tests.bench.load import Wrk
from tests.bench.processes import BenchError
from tests.bench.results import Bound, Figure, Result, Sample, Traffic
from tests.bench.setting import Setting
from tests.bench.traffic import Task, alternate, reasons

_SIZES = (10, 100, 1_000, 10_000)
_CONNECTIONS = 32
_FLAT = 1.1  # a growth of ours that is only noise; to be reached for


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
        """All sizes of both take turns."""
        steps = [shape(setting.origins.http, size) for size in _SIZES]
        samples, failed = alternate(
            setting,
            {
                f"{proxy.name}, {step.title}": Task(proxy, step.front, Wrk("/64", _CONNECTIONS, host=step.host))
                for step in steps
                for proxy in (setting.envoy, setting.ours)
            },
        )
        if failed:
            raise BenchError(reasons(failed))
        envoy, ours = list(samples.values())[::2], list(samples.values())[1::2]
        theirs, mine = _grown(envoy[0], envoy[-1]), _grown(ours[0], ours[-1])
        bound = Bound(1.0, _FLAT / statistics.median(theirs)) if bounded else None
        title = f"{_SIZES[-1]:,} {name} against {_SIZES[0]}, CPU per request"
        rows = [Traffic(step.title, envoy[index], ours[index]) for index, step in enumerate(steps)]
        return (*rows, Figure(title, "times", theirs, mine, bound))

    return measure


def _grown(small: Sequence[Sample], large: Sequence[Sample]) -> Sequence[float]:
    """How many times dearer, round by round."""
    return [after.cost / before.cost for before, after in zip(small, large, strict=True)]
