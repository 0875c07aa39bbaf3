"""`python -m trio_envoy.demo`: start it, say what to try, run until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator
from typing import Final

import trio

from trio_envoy.demo.compose import DemoError, Ports, choose_ports, run

_WELCOME: Final = """
The front proxy of "Getting Started with Envoy" is up, with two services behind it.

  front proxy  http://localhost:{front}/   sample_configs/front_proxy/front-envoy.yaml
  admin page   http://localhost:{admin}/   (open it in a browser)

Try:
  curl localhost:{front}/service/1
  curl localhost:{front}/service/2
  curl localhost:{front}/trace/1
  curl localhost:{admin}/clusters
  curl 'localhost:{admin}/stats?usedonly&filter=cluster.service1'

Ctrl-C stops it.
"""
_STOPS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows lacks the last
)


async def _demo(ports: Ports) -> None:
    with trio.open_signal_receiver(*_STOPS) as signals:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(_stop_at, signals, tasks.cancel_scope)
            await tasks.start(run, ports)
            print(_WELCOME.format(front=ports.front, admin=ports.admin), flush=True)  # noqa: T201 - a command prints


async def _stop_at(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    await anext(signals)
    print("\nstopping", flush=True)  # noqa: T201
    scope.cancel()


def _first(group: BaseExceptionGroup[DemoError]) -> BaseException:
    """The first fault; those of processes that end because of it say nothing new."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> int:
    """Run the demo; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trio_envoy.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the front proxy; 0: any free one")
    parser.add_argument("--admin-port", type=int, default=8001, help="of its admin interface; 0: any free one")
    arguments = parser.parse_args()
    failed = False
    try:
        trio.run(_demo, choose_ports(arguments.port, arguments.admin_port))
    except* DemoError as group:
        print(_first(group), file=sys.stderr)  # noqa: T201
        failed = True
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
