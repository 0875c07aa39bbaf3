"""Rows of load: all proxies stay up, warmed, and take turns, with the CPU time of their processes read around each."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from tests.bench.configuration import Front
from tests.bench.load import Generator
from tests.bench.processes import BenchError, cpu_seconds
from tests.bench.proxies import Proxy, Started, started
from tests.bench.results import Bound, Result, Sample, Traffic
from tests.bench.setting import Setting

_WARM_UP = 1  # s


@attrs.frozen
class Task:
    """A proxy, what it has to do, and the load that it gets in its turn."""

    proxy: Proxy
    front: Front
    load: Generator


def http(setting: Setting) -> Front:
    """In front of the origin that speaks HTTP/1.1."""
    return Front(setting.origins.http)


def traffic(
    title: str,
    load: Generator,
    *,
    bound: Bound | None = None,
    others: bool = False,
    front: Callable[[Setting], Front] = http,
) -> Callable[[Setting], Sequence[Result]]:
    """A row of both proxies, or of all.

    Args:
        title: for the table.
        load: what each gets in its turn.
        bound: of the ratio of CPU per request.
        others: the peers take part.
        front: what the proxies have to do.
    """

    def measure(setting: Setting) -> Sequence[Result]:
        if not others:
            envoy, ours = both(setting, load, front(setting))
            return (Traffic(title, envoy, ours, bound=bound),)
        proxies: Sequence[Proxy] = (setting.envoy, setting.ours, *setting.others)
        samples, failed = alternate(setting, {proxy.name: Task(proxy, front(setting), load) for proxy in proxies})
        if setting.envoy.name in failed or setting.ours.name in failed:
            raise BenchError(reasons(failed))
        envoy, ours = samples.pop(setting.envoy.name), samples.pop(setting.ours.name)
        return (Traffic(title, envoy, ours, samples, {**setting.absent, **failed}, bound),)

    return measure


def both(setting: Setting, load: Generator, front: Front | None = None) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The rounds of Envoy and of ours.

    Raises:
        BenchError: one of them failed.
    """
    samples, failed = alternate(
        setting, {proxy.name: Task(proxy, front or http(setting), load) for proxy in (setting.envoy, setting.ours)}
    )
    if failed:
        raise BenchError(reasons(failed))
    return samples[setting.envoy.name], samples[setting.ours.name]


def alternate(
    setting: Setting, tasks: Mapping[str, Task], on: frozenset[int] | None = None
) -> tuple[dict[str, Sequence[Sample]], Mapping[str, str]]:
    """The rounds of each that lived through all of them; and of the others why not.

    Args:
        setting: how many rounds, how long.
        tasks: what to start, by name.
        on: the cores for proxies and load; None: those of the setting.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in tasks}
    failed: dict[str, str] = {}
    load_cores = on or setting.other_cores
    with contextlib.ExitStack() as stack:
        up: dict[str, Started] = {}
        for name, task in tasks.items():
            place = Path(stack.enter_context(TemporaryDirectory()))
            with _noted(failed, name):
                up[name] = stack.enter_context(started(task.proxy, place, task.front, on or setting.proxy_cores))
                task.load.run(up[name].target, _WARM_UP, load_cores)
        for name in setting.turns(list(up)):
            if name not in failed:
                with _noted(failed, name):
                    before = cpu_seconds(up[name].process.pid)
                    counted = tasks[name].load.run(up[name].target, setting.seconds, load_cores)
                    samples[name].append(Sample(counted, cpu_seconds(up[name].process.pid) - before))
    return {name: taken for name, taken in samples.items() if name not in failed}, failed


@contextlib.contextmanager
def _noted(failed: dict[str, str], name: str) -> Iterator[None]:
    """A failure inside is kept under that name."""
    try:
        yield
    except BenchError as error:
        failed[name] = str(error)


def reasons(failed: Mapping[str, str]) -> str:
    """What failed, in one line."""
    return "; ".join(f"{name}: {why}" for name, why in failed.items())
