"""The rows of the benchmark: what is measured, and how."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from tests.bench.load import Generator, H2Load, Handshakes, Resumptions, Wrk
from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import BenchError, cpu_seconds, memory, pinned, running
from tests.bench.proxies import Proxy, Started, configuration, started
from tests.bench.results import Figure, Result, Sample, Traffic
from tests.config.volume import volume

_WARM_UP = 1  # s
_SETTLE = 1.0  # s from listening until memory is read
_FIRST_CONNECTIONS = 50  # pay for what is made once
_IDLE_CONNECTIONS = 400
_VOLUME = 5000  # clusters, and as many routes
_MIB = 1 << 20


@attrs.frozen
class Setting:
    """What all rows share.

    Attributes:
        envoy: the one to compare with.
        ours: the one to measure.
        origin: port of the origin.
        proxy_cores: where the proxies run.
        other_cores: where the load generator runs.
        rounds: how often each proxy has its turn.
        seconds: how long a turn is.
    """

    envoy: Proxy
    ours: Proxy
    origin: int
    proxy_cores: frozenset[int]
    other_cores: frozenset[int]
    rounds: int
    seconds: int

    def turns(self) -> Iterator[tuple[Proxy, Proxy]]:
        """The proxies in order, the other way round every other time."""
        for turn in range(self.rounds):
            yield (self.ours, self.envoy) if turn % 2 else (self.envoy, self.ours)


@attrs.frozen
class Row:
    """A row: the name to ask for it, and the function that gives its results."""

    name: str
    measure: Callable[[Setting], Sequence[Result]]


def traffic(title: str, load: Generator) -> Callable[[Setting], Sequence[Result]]:
    """A row of load: both proxies stay up, warmed, and take turns."""

    def measure(setting: Setting) -> Sequence[Result]:
        samples: dict[Proxy, list[Sample]] = {setting.envoy: [], setting.ours: []}
        with (
            TemporaryDirectory() as first,
            TemporaryDirectory() as second,
            _start(setting, setting.envoy, first, tls=load.tls) as envoy,
            _start(setting, setting.ours, second, tls=load.tls) as ours,
        ):
            up = {setting.envoy: (envoy, Path(first)), setting.ours: (ours, Path(second))}
            for target, place in up.values():
                load.run(target.port, _WARM_UP, place, setting.other_cores)
            for turn in setting.turns():
                for proxy in turn:
                    target, place = up[proxy]
                    before = cpu_seconds(target.process.pid)
                    counted = load.run(target.port, setting.seconds, place, setting.other_cores)
                    samples[proxy].append(Sample(counted, cpu_seconds(target.process.pid) - before))
        return (Traffic(title, samples[setting.envoy], samples[setting.ours]),)

    return measure


def time_to_listening(setting: Setting) -> Sequence[Result]:
    """From exec until the first connection is accepted."""
    times: dict[Proxy, list[float]] = {setting.envoy: [], setting.ours: []}
    for turn in setting.turns():
        for proxy in turn:
            with TemporaryDirectory() as directory:
                place = Path(directory)
                port, log, config = free_port(), place / "proxy.log", place / "proxy.yaml"
                config.write_text(configuration(place, port=port, origin=setting.origin, tls=False))
                begin = time.perf_counter()
                with running(proxy.serve(config), on=setting.proxy_cores, log=log, env=proxy.env) as process:
                    wait_until_listening(port, process, log)
                    times[proxy].append((time.perf_counter() - begin) * 1e3)
    return (Figure("start to listening", "ms", times[setting.envoy], times[setting.ours]),)


def idle_memory(setting: Setting) -> Sequence[Result]:
    """Memory a second after the start, and what each idle keep-alive connection adds to it."""
    sizes: dict[Proxy, tuple[float, float, float]] = {}
    for proxy in (setting.envoy, setting.ours):
        with TemporaryDirectory() as directory, _start(setting, proxy, directory, tls=False) as target:
            time.sleep(_SETTLE)
            idle = memory(target.process.pid)
            grown = _memory_of_connections(target)
            sizes[proxy] = (idle.rss / _MIB, idle.pss / _MIB, grown / 1024)
    titles = (("idle, RSS", "MiB"), ("idle, PSS", "MiB"), ("an idle connection, PSS", "KiB"))
    return tuple(
        Figure(title, unit, (theirs,), (mine,))
        for (title, unit), theirs, mine in zip(titles, sizes[setting.envoy], sizes[setting.ours], strict=True)
    )


def validate(setting: Setting) -> Sequence[Result]:
    """--mode validate of a big file, start included: CPU time and time on the clock."""
    cpu: dict[Proxy, list[float]] = {setting.envoy: [], setting.ours: []}
    clock: dict[Proxy, list[float]] = {setting.envoy: [], setting.ours: []}
    with TemporaryDirectory() as directory:
        config, log = Path(directory) / "big.yaml", Path(directory) / "proxy.log"
        config.write_text(volume(_VOLUME))
        for turn in setting.turns():
            for proxy in turn:
                used, taken = _validate(proxy, config, log, setting.proxy_cores)
                cpu[proxy].append(used)
                clock[proxy].append(taken)
    title = f"validate {_VOLUME} clusters and routes"
    return (
        Figure(f"{title}, CPU", "s", cpu[setting.envoy], cpu[setting.ours]),
        Figure(f"{title}, clock", "s", clock[setting.envoy], clock[setting.ours]),
    )


ROWS = (
    Row("h1-64", traffic("HTTP/1.1, 64 B, 32 connections", Wrk("/64", 32))),
    Row("h1-1k", traffic("HTTP/1.1, 1 KiB, 128 connections", Wrk("/1k", 128))),
    Row("h1-1m", traffic("HTTP/1.1, 1 MiB, 16 connections", Wrk("/1m", 16))),
    Row("h1-post", traffic("HTTP/1.1, POST of 1 KiB, 32 connections", Wrk("/64", 32, post=True))),
    Row("h2-4x16", traffic("HTTP/2 to HTTP/1.1, 64 B, 4 connections x 16 streams", H2Load("/64", 4, 16))),
    Row("h2-32x1", traffic("HTTP/2 to HTTP/1.1, 64 B, 32 connections x 1 stream", H2Load("/64", 32, 1))),
    Row("tls-1k", traffic("TLS, HTTP/1.1, 1 KiB, 32 connections", Wrk("/1k", 32, tls=True))),
    Row("tls-new", traffic("TLS, full handshakes", Handshakes())),
    Row("tls-resume", traffic("TLS, resumed handshakes", Resumptions())),
    Row("start", time_to_listening),
    Row("memory", idle_memory),
    Row("validate", validate),
)


@contextlib.contextmanager
def _start(setting: Setting, proxy: Proxy, directory: str, *, tls: bool) -> Iterator[Started]:
    with started(proxy, Path(directory), origin=setting.origin, tls=tls, on=setting.proxy_cores) as target:
        yield target


def _memory_of_connections(target: Started) -> float:
    """Bytes for each connection that has had a request and waits for the next."""
    with contextlib.ExitStack() as stack:
        for _ in range(_FIRST_CONNECTIONS):
            stack.enter_context(_used_connection(target.port))
        before = memory(target.process.pid).pss
        for _ in range(_IDLE_CONNECTIONS):
            stack.enter_context(_used_connection(target.port))
        return (memory(target.process.pid).pss - before) / _IDLE_CONNECTIONS


def _used_connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5.0)
    connection.sendall(b"GET /64 HTTP/1.1\r\nhost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"\r\n\r\n" + b"x" * 64):
        more = connection.recv(4096)
        if not more:
            raise BenchError(f"a connection ended after {received!r}")
        received += more
    return connection


def _validate(proxy: Proxy, config: Path, log: Path, on: frozenset[int]) -> tuple[float, float]:
    """Seconds of CPU, and seconds on the clock."""
    begin = time.perf_counter()
    with log.open("wb") as output, pinned(on):
        process = subprocess.Popen(
            [*proxy.serve(config), "--mode", "validate"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=proxy.env,
        )
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(f"{proxy.name} --mode validate failed: {log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, taken
