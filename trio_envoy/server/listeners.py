"""All listeners of a process: compiled together, opened together once the clusters are warm, drained by the admin.

Source: Envoy, configuration/listeners/stats; listener_manager/listener_manager_impl.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Final

import trio

from trio_envoy.config.listener import Listener as Config
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.services import Services
from trio_envoy.net.sockets import BindError
from trio_envoy.server.listener import Listener
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock
from trio_envoy.upstream.manager import ClusterManager
from trio_envoy.util.log import logger

_LOG: Final = logger("config")


class ListenerManagerStats(StatsBlock):
    """`listener_manager.*`."""

    listener_added: Counter
    listener_create_failure: Counter
    listener_create_success: Counter
    listener_in_place_updated: Counter
    listener_modified: Counter
    listener_removed: Counter
    listener_stopped: Counter
    total_filter_chains_draining: Gauge
    total_listeners_active: Gauge
    total_listeners_draining: Gauge
    total_listeners_warming: Gauge
    workers_pinned: Gauge
    workers_started: Gauge


class ListenerManager:
    """The listeners, in the order of the configuration.

    Attributes:
        listeners: compiled.
        errors: what is wrong with the others.
        stats: `listener_manager.`.
        on_stop: called with the place of a listener that was told to take no more connections; a main process has
            the sockets of its workers closed.
    """

    def __init__(self, configs: Iterable[Config], services: Services, clusters: ClusterManager) -> None:
        """Compile all listeners; nothing is opened.

        Args:
            configs: a later one of a name that is there already is ignored, as Envoy does.
            services: of the process.
            clusters: for their filters.
        """
        self.stats = services.stats.scope("listener_manager.").block(ListenerManagerStats)
        self.errors: list[ConfigError] = []
        self.listeners: list[Listener] = []
        self.on_stop: Callable[[int], None] | None = None
        self._leads = True  # counts what is counted once for all workers
        self._drain_time = services.options.drain_time
        names: set[str] = set()
        for config in configs:
            if config.name and config.name in names:
                _LOG.warning("listener '%s' is there already: the second one is ignored", config.name)
                continue
            names.add(config.name)
            try:
                listener = Listener(config, services, clusters, partial(self._stopped, len(self.listeners)))
                self._check_addresses(listener)
            except ConfigError as error:
                self.errors.append(error)
            else:
                self.listeners.append(listener)
                self.stats.listener_added += 1
        self.stats.total_listeners_warming = len(self.listeners)

    def _check_addresses(self, listener: Listener) -> None:
        taken = {address for other in self.listeners for address in _bound(other)}
        for address in _bound(listener):
            if address in taken:
                raise ConfigError(
                    f"error adding listener: '{listener.name}' has duplicate address '{address}' as existing listener",
                    at=listener.config,
                    field="address",
                )

    def connections(self) -> int:
        """How many downstream connections are open."""
        return sum(listener.connections() for listener in self.listeners)

    def bind(self, workers: int = 1) -> None:
        """Open all sockets, those of all workers, before they take connections; run() does it when it was not done.

        Raises:
            BindError: an address is taken or not ours.
        """
        for listener in self.listeners:
            try:
                listener.bind(workers)
            except BindError as error:
                self.stats.listener_create_failure += 1
                _LOG.error("listener '%s' failed to bind or apply socket options: %s", listener.name, error)
                self.close()
                raise

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run all listeners; started() when all take connections.

        Raises:
            BindError: see bind().

        Cancelled: sockets are closed and connections cut.
        """
        self.bind()
        async with trio.open_nursery() as tasks:
            for listener in self.listeners:
                await tasks.start(listener.run)
                self.stats.listener_create_success += 1
            self._active()
            task_status.started()

    async def oversee(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """In a main process whose workers run the listeners: end their drains, until cancelled."""
        async with trio.open_nursery() as tasks:
            for listener in self.listeners:
                tasks.start_soon(listener.oversee)
            self._active()
            task_status.started()

    def _active(self) -> None:
        if self._leads:
            self.stats.total_listeners_warming = 0
            self.stats.total_listeners_active = len(self.listeners)
            self.stats.workers_started = 1

    def become_worker(self, index: int) -> None:
        """In the process of a worker: see Listener.become_worker()."""
        self._leads = False
        for listener in self.listeners:
            listener.become_worker(index)

    def close(self) -> None:
        """Close the sockets of all listeners."""
        for listener in self.listeners:
            listener.close()

    def drain(
        self, *, inbound_only: bool = False, graceful: bool = False, skip_exit: bool = False, ago: float = 0.0
    ) -> None:
        """/drain_listeners: take no more connections.

        Args:
            inbound_only: listeners whose traffic_direction is INBOUND alone.
            graceful: first ask connections to end, for --drain-time-s, while new ones are still taken.
            skip_exit: only ask them to end, and go on taking new ones.
            ago: it was asked for so many seconds ago.
        """
        for listener in self.listeners:
            if listener.stopped or (inbound_only and not listener.inbound):
                continue
            if skip_exit:
                listener.drain(inf, ago=ago)
            elif graceful:
                listener.drain(self._drain_time, ago=ago)
            else:
                listener.stop()

    def _stopped(self, place: int) -> None:
        if self._leads:
            self.stats.listener_stopped += 1
        if self.on_stop is not None:
            self.on_stop(place)


def _bound(listener: Listener) -> Iterable[Address]:
    """The addresses that no other listener may have, bound or not."""
    return (address for address in listener.addresses if not (isinstance(address, IpAddress) and address.port == 0))
