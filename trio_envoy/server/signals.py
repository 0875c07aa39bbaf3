"""Signals: SIGTERM and SIGINT stop at once, SIGUSR1 reopens logs, SIGHUP is taken and does nothing, as in Envoy."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import Final

import trio

from trio_envoy.server.logs import ApplicationLog
from trio_envoy.server.server import Server
from trio_envoy.server.workers.messages import ReopenLogs
from trio_envoy.util.log import logger

_LOG: Final = logger("main")
_STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_NAMES: Final = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")  # Windows lacks the last two


async def run_until_signal(server: Server, log: ApplicationLog) -> None:
    """Run the server; return when a signal or /quitquitquit has stopped it."""
    wanted = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    with trio.open_signal_receiver(*wanted) as signals:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(_listen, signals, server, log)
            await server.run()
            tasks.cancel_scope.cancel()


async def _listen(signals: AsyncIterator[int], server: Server, log: ApplicationLog) -> None:
    async for number in signals:
        name = signal.Signals(number).name
        if number in _STOP:
            _LOG.warning("caught %s", "ENVOY_SIGTERM" if number == signal.SIGTERM else name)
            server.lifecycle.stop()
        elif name == "SIGUSR1":
            _LOG.warning("caught SIGUSR1")
            log.reopen()
            server.tell(ReopenLogs())
        else:
            _LOG.warning("caught and eating %s", name)
