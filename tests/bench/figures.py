"""Rows of one figure a run: time to listening, memory, validation of a big file."""

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.configuration import Front
from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import BenchError, memory, pinned, running
from tests.bench.proxies import Flagged, Started, started
from tests.bench.results import Bound, Figure, Result
from tests.bench.setting import Setting
from tests.config.volume import volume

_SETTLE = 1.0  # s from listening until memory is read
_FIRST_CONNECTIONS = 50  # pay for what is made once
_IDLE_CONNECTIONS = 10_000
_DESCRIPTORS = _IDLE_CONNECTIONS + 1_000
_VOLUME = 5000  # clusters, and as many routes
_MIB = 1 << 20
_START = Bound(400, 250, of_ratio=False)
_IDLE = Bound(45, 35, of_ratio=False)
_CONNECTION = Bound(12, 8, of_ratio=False)


def time_to_listening(setting: Setting) -> Sequence[Result]:
    """From exec until the first connection is accepted."""
    times: dict[Flagged, list[float]] = {setting.envoy: [], setting.ours: []}
    for proxy in setting.turns((setting.envoy, setting.ours)):
        with TemporaryDirectory() as directory:
            place, port = Path(directory), free_port()
            command, log = proxy.serve(place, Front(setting.origins.http, port)), place / "proxy.log"
            begin = time.perf_counter()
            with running(command, on=setting.proxy_cores, log=log, env=proxy.env) as process:
                wait_until_listening(port, process, log)
                times[proxy].append((time.perf_counter() - begin) * 1e3)
    return (Figure("start to listening", "ms", times[setting.envoy], times[setting.ours], _START),)


def idle_memory(setting: Setting) -> Sequence[Result]:
    """Memory a second after the start, and what 10,000 idle keep-alive connections add to it."""
    _allow_descriptors()
    sizes: dict[Flagged, tuple[float, ...]] = {}
    for proxy in (setting.envoy, setting.ours):
        with TemporaryDirectory() as directory:
            front = Front(setting.origins.http)
            with started(proxy, Path(directory), front, setting.proxy_cores) as up:
                time.sleep(_SETTLE)
                idle = memory(up.process.pid)
                grown = _memory_of_connections(up)
                full = memory(up.process.pid)
                sizes[proxy] = (idle.rss / _MIB, idle.pss / _MIB, grown / 1024, full.rss / _MIB)
    rows = (
        ("idle, RSS", "MiB", _IDLE),
        ("idle, PSS", "MiB", None),
        (f"an idle connection of {_IDLE_CONNECTIONS:,}, PSS", "KiB", _CONNECTION),
        (f"after {_IDLE_CONNECTIONS:,} idle connections, RSS", "MiB", None),
    )
    return tuple(
        Figure(title, unit, (theirs,), (mine,), bound)
        for (title, unit, bound), theirs, mine in zip(rows, sizes[setting.envoy], sizes[setting.ours], strict=True)
    )


def validate(setting: Setting) -> Sequence[Result]:
    """--mode validate of a big file, start included: CPU time and time on the clock."""
    cpu: dict[Flagged, list[float]] = {setting.envoy: [], setting.ours: []}
    clock: dict[Flagged, list[float]] = {setting.envoy: [], setting.ours: []}
    with TemporaryDirectory() as directory:
        config = Path(directory) / "big.yaml"
        config.write_text(volume(_VOLUME))
        for proxy in setting.turns((setting.envoy, setting.ours)):
            used, taken = _validate(proxy, config, setting.proxy_cores)
            cpu[proxy].append(used)
            clock[proxy].append(taken)
    title = f"validate {_VOLUME} clusters and routes"
    return (
        Figure(f"{title}, CPU", "s", cpu[setting.envoy], cpu[setting.ours]),
        Figure(f"{title}, clock", "s", clock[setting.envoy], clock[setting.ours]),
    )


def _allow_descriptors() -> None:
    """Let this process, and the proxies that it starts, have enough of them.

    Raises:
        BenchError: the system doesn't.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _DESCRIPTORS:
        if resource.RLIM_INFINITY != hard < _DESCRIPTORS:
            raise BenchError(f"{_DESCRIPTORS} file descriptors are needed, and {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, hard))


def _memory_of_connections(up: Started) -> float:
    """Bytes for each connection that has had a request and waits for the next."""
    with contextlib.ExitStack() as stack:
        for _ in range(_FIRST_CONNECTIONS):
            stack.enter_context(_used_connection(up.target.port))
        before = memory(up.process.pid).pss
        for _ in range(_IDLE_CONNECTIONS - _FIRST_CONNECTIONS):
            stack.enter_context(_used_connection(up.target.port))
        return (memory(up.process.pid).pss - before) / (_IDLE_CONNECTIONS - _FIRST_CONNECTIONS)


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


def _validate(proxy: Flagged, config: Path, on: frozenset[int]) -> tuple[float, float]:
    """Seconds of CPU, and seconds on the clock."""
    log = config.with_suffix(".log")
    begin = time.perf_counter()
    with log.open("wb") as output, pinned(on):
        process = subprocess.Popen(
            proxy.run(config, "--concurrency", "1", "--mode", "validate"),
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
