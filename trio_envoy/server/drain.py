"""Whether the connections of a listener are to end with their next response.

Source: Envoy, server/drain_manager_impl.cc; operations/draining.
"""

from __future__ import annotations

from math import inf

import trio

from trio_envoy.config.listener import DrainType
from trio_envoy.net.services import Services


class DrainDecision:
    """Of one listener. Asked for each response.

    Attributes:
        started: a drain is under way.
    """

    def __init__(self, drain_type: DrainType, services: Services) -> None:
        """Not draining.

        Args:
            drain_type: MODIFY_ONLY does not care for a failed health check.
            services: --drain-strategy, health, random.
        """
        self.started = False
        self._by_health = drain_type is DrainType.DEFAULT
        self._services = services
        self._begun = inf
        self._seconds = 0.0

    def start(self, seconds: float, *, ago: float = 0.0) -> None:
        """From now on connections end: at once, or (gradually) with a chance that grows to 1 in so many seconds.

        Args:
            seconds: of the drain.
            ago: it began so many seconds ago.
        """
        if not self.started:
            self.started = True
            self._begun = trio.current_time() - ago
            self._seconds = seconds

    def wanted(self) -> bool:
        """Whether a connection that answers now is to end with that."""
        services = self._services
        if services.draining or (self._by_health and services.health_failed):
            return True
        if not self.started:
            return False
        elapsed = trio.current_time() - self._begun
        if not services.options.drain_gradually or elapsed >= self._seconds:
            return True
        return elapsed > services.random.random() * self._seconds
