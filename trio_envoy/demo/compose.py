"""What docker-compose does in the tutorial: the processes of the front proxy and of two services, and their network.

Configuration files stay as they are; each proxy gets a table of names and ports (demo/node.py).
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs
import trio

SAMPLES: Final = Path(__file__).resolve().parents[2] / "sample_configs" / "front_proxy"
SERVICE_IPS: Final = {"service1": "172.18.0.3", "service2": "172.18.0.4"}  # as compose would number them
_PORTS: Final = range(20_000, 32_000)
_PORTS_EACH: Final = 10
_START_TIMEOUT: Final = 20.0  # s
_STOP_TIMEOUT: Final = 5.0  # s


class DemoError(Exception):
    """The demo can't run; the text is one sentence for the person who started it."""


@attrs.frozen
class Ports:
    """Where on 127.0.0.1 everything listens.

    Attributes:
        front, admin: the front proxy's two doors.
        ingress: service name -> port that stands for its port 80.
        sidecar_admin: service name -> port of its sidecar's admin interface.
        web: service name -> port of its web application.
        egress: port that stands for port 9000 of service 1.
    """

    front: int
    admin: int
    ingress: Mapping[str, int]
    sidecar_admin: Mapping[str, int]
    web: Mapping[str, int]
    egress: int


@attrs.frozen
class Process:
    """One process to run.

    Attributes:
        name: for messages.
        command: with its arguments.
    """

    name: str
    command: tuple[str, ...]


def choose_ports(front: int, admin: int) -> Ports:
    """The two given ports, which must be free, and free ones for the rest.

    Raises:
        DemoError: one of the two is in use.
    """
    for port in {front, admin} - {0}:
        error = _taken(port)
        if error is not None:
            raise DemoError(
                f"Port {port} on 127.0.0.1 is not free ({error.strerror}): stop what uses it, or take another one "
                "(make run PORT=... ADMIN_PORT=..., or --port and --admin-port)."
            )
    free = list(itertools.islice((port for port in _free_ports() if port not in {front, admin}), 9))
    return Ports(
        front=front or free[0],
        admin=admin or free[1],
        ingress={"service1": free[2], "service2": free[3]},
        sidecar_admin={"service1": free[4], "service2": free[5]},
        web={"service1": free[6], "service2": free[7]},
        egress=free[8],
    )


def _free_ports() -> Iterator[int]:
    """Ports that nobody listens on now, below those that systems give to outgoing connections.

    Each process begins elsewhere, so that two demos that start at once do not choose the same ones.
    """
    first = os.getpid() * _PORTS_EACH % len(_PORTS)
    for offset in range(len(_PORTS)):
        port = _PORTS[(first + offset) % len(_PORTS)]
        if _taken(port) is None:
            yield port


def _taken(port: int) -> OSError | None:
    """Why a port of 127.0.0.1 can't be bound; None: it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error
    return None


def processes(ports: Ports) -> list[Process]:
    """All that runs: two web applications, two sidecars, the front proxy."""
    connects = {f"{SERVICE_IPS[name]}:80": _loopback(port) for name, port in ports.ingress.items()}
    names = {name: [ip] for name, ip in SERVICE_IPS.items()}
    found = [_web(name, ports) for name in SERVICE_IPS]
    for name in SERVICE_IPS:
        binds = {"0.0.0.0:80": ports.ingress[name], "0.0.0.0:8001": ports.sidecar_admin[name]}
        if name == "service1":
            binds["0.0.0.0:9000"] = ports.egress
        table = {
            "names": names,
            "binds": {key: _loopback(port) for key, port in binds.items()},
            "connects": connects | {"127.0.0.1:8080": _loopback(ports.web[name])},
        }
        found.append(_proxy(f"{name}'s sidecar", f"{name}-envoy.yaml", table, name))
    front = {"0.0.0.0:80": _loopback(ports.front), "0.0.0.0:8001": _loopback(ports.admin)}
    table = {"names": names, "binds": front, "connects": connects}
    found.append(_proxy("the front proxy", "front-envoy.yaml", table, "front-proxy"))
    return found


def _loopback(port: int) -> str:
    return f"127.0.0.1:{port}"


def _web(name: str, ports: Ports) -> Process:
    egress = ports.egress if name == "service1" else 0
    arguments = (name.removeprefix("service"), str(ports.web[name]), str(egress))
    return Process(f"{name}'s web application", (sys.executable, "-m", "trio_envoy.demo.web", *arguments))


def _proxy(name: str, config: str, table: Mapping[str, object], cluster: str) -> Process:
    path = SAMPLES / config
    if not path.is_file():
        raise DemoError(f"{path} is not there: the demo runs from a checkout of trio_envoy.")
    flags = (
        "-c",
        str(path),
        "--service-cluster",
        cluster,
        "-l",
        "error",
        "--skip-deprecated-logs",
        "--concurrency",
        "1",
    )
    return Process(name, (sys.executable, "-m", "trio_envoy.demo.node", json.dumps(table), *flags))


async def run(ports: Ports, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Run all processes until cancelled; started() when every proxy is live and the services answer.

    Raises:
        DemoError: a process ended by itself, or they did not come up in time.

    Cancelled: the processes are told to end, and waited for.
    """
    async with trio.open_nursery() as tasks:
        for process in processes(ports):
            tasks.start_soon(_run_process, process)
        await _wait_until_up(ports)
        task_status.started()


async def _run_process(process: Process) -> None:
    # In a session of its own, Ctrl-C at the terminal reaches us alone, and we end them all in order.
    running = await trio.lowlevel.open_process(
        process.command, stdin=subprocess.PIPE, start_new_session=sys.platform != "win32"
    )
    try:
        code = await running.wait()
    finally:
        with trio.CancelScope(shield=True):
            await _end(running)
    raise DemoError(f"{process.name} {_ending(code)}: the demo ends with it.")


async def _end(running: trio.Process) -> None:
    if running.returncode is None:
        running.terminate()
        with trio.move_on_after(_STOP_TIMEOUT):
            await running.wait()
    if running.returncode is None:
        running.kill()
        await running.wait()
    if running.stdin is not None:
        await running.stdin.aclose()


def _ending(code: int) -> str:
    return f"has ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


async def _wait_until_up(ports: Ports) -> None:
    with trio.move_on_after(_START_TIMEOUT) as scope:
        for port in (*ports.sidecar_admin.values(), ports.admin):
            await _wait_for(port, "/ready")
        for path in ("/service/1", "/service/2"):
            await _wait_for(ports.front, path)
    if scope.cancelled_caught:
        raise DemoError(f"The demo was not up within {_START_TIMEOUT:.0f} seconds.")


async def _wait_for(port: int, path: str) -> None:
    while b" 200 " not in await _status_line(port, path):  # noqa: ASYNC110 - nothing tells when another process listens
        await trio.sleep(0.05)


async def _status_line(port: int, path: str) -> bytes:
    """The first bytes that a GET of this path is answered with; b"" when nobody listens."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            return await stream.receive_some(64)
    except (OSError, trio.BrokenResourceError):
        return b""
