"""What a second worker gives. Proxies and load share all cores here, so that there is room for two."""

from collections.abc import Sequence

from tests.bench.configuration import Front
from tests.bench.load import Wrk
from tests.bench.processes import BenchError
from tests.bench.results import Figure, Result, Sample, Traffic
from tests.bench.setting import Setting
from tests.bench.traffic import Task, alternate, reasons

_LOAD = Wrk("/64", 64)


def workers(setting: Setting) -> Sequence[Result]:
    """One worker and two of each proxy, in turns: cost and rate, and the rate of two against one."""
    tasks = {
        f"{proxy.name}, {count}": Task(proxy, Front(setting.origins.http, workers=count), _LOAD)
        for count in (1, 2)
        for proxy in (setting.envoy, setting.ours)
    }
    samples, failed = alternate(setting, tasks, setting.proxy_cores | setting.other_cores)
    if failed:
        raise BenchError(reasons(failed))
    envoy_1, ours_1, envoy_2, ours_2 = (samples[name] for name in tasks)
    return (
        Traffic("1 worker, HTTP/1.1, 64 B, 64 connections, cores shared with the load", envoy_1, ours_1),
        Traffic("2 workers, the same", envoy_2, ours_2),
        Figure("2 workers against 1, req/s", "times", _gain(envoy_1, envoy_2), _gain(ours_1, ours_2)),
    )


def _gain(one: Sequence[Sample], two: Sequence[Sample]) -> Sequence[float]:
    return [b.rate / a.rate for a, b in zip(one, two, strict=True)]
