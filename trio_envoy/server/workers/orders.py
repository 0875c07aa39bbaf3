"""What the admin and signals order, done in one process: the only one, the main one, or a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_envoy.server.logs import set_all, set_one
from trio_envoy.server.workers.messages import DrainListeners, HealthFailed, LogLevels, Order, ReopenLogs, UseRuntime

if TYPE_CHECKING:
    from trio_envoy.server.server import Server


def obey(server: Server, order: Order) -> None:
    """Do it here."""
    match order:
        case HealthFailed():
            server.services.health_failed = order.failed
        case DrainListeners():
            server.listeners.drain(
                inbound_only=order.inbound_only, graceful=order.graceful, skip_exit=order.skip_exit, ago=order.ago
            )
        case LogLevels():
            for component, level in order.levels.items():
                if component:
                    set_one(component, level)
                else:
                    set_all(level)
        case ReopenLogs():
            server.services.log_files.reopen()
        case UseRuntime():
            server.services.runtime.snapshot = order.snapshot
        case _:
            raise AssertionError(f"{order!r} is for workers alone")
