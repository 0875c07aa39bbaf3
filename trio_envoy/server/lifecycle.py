"""Where a server is in its life, and who may move it on: `server.state`, /ready, /server_info.

Source: envoy.admin.v3.ServerInfo.State; server/server.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

import trio

from trio_envoy.net.services import Services

_GRACE: Final = 0.1  # s; for the answer to /quitquitquit


class State(IntEnum):
    """Numbers and names of envoy.admin.v3.ServerInfo.State."""

    LIVE = 0
    DRAINING = 1
    PRE_INITIALIZING = 2
    INITIALIZING = 3


class Lifecycle:
    """The state of one server, and the request to stop it.

    Attributes:
        lacking: whether it can't serve as it should although it is LIVE: a worker can't be started.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._phase = State.PRE_INITIALIZING
        self._stop = trio.Event()
        self._grace = 0.0
        self.lacking: Callable[[], bool] = lambda: False

    @property
    def state(self) -> State:
        """A failed health check (healthcheck/fail) shows as DRAINING, as in Envoy."""
        if self._phase is not State.LIVE:
            return self._phase
        if self._services.health_failed:
            return State.DRAINING
        return State.INITIALIZING if self.lacking() else State.LIVE

    def initializing(self) -> None:
        """The configuration is compiled; clusters warm up."""
        self._phase = State.INITIALIZING

    def live(self) -> None:
        """Clusters are warm and listeners open."""
        self._phase = State.LIVE

    def stop(self) -> None:
        """SIGTERM, SIGINT or /quitquitquit: end at once, as Envoy does."""
        self._stop.set()

    def stop_soon(self) -> None:
        """/quitquitquit: end once the answer to that request is out."""
        self._grace = _GRACE
        self._stop.set()

    async def wait_stop(self) -> None:
        """Return when stop() was called."""
        await self._stop.wait()
        await trio.sleep(self._grace)
