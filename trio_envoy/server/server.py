"""The server: a checked configuration becomes the tree of tasks of docs/architecture.md.

Compiling (the constructor) opens no socket and starts no task, so `--mode validate` is a server that is never run.
Order of a start, as in Envoy: admin, then clusters until they are warm, then listeners.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_envoy.config.cluster import DiscoveryType
from trio_envoy.config.core import Node
from trio_envoy.config.loader import Loaded
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.metrics import StatsConfig, TagSpecifier
from trio_envoy.errors import ConfigError, Fault
from trio_envoy.matching.strings import string_test
from trio_envoy.net.dns import DnsStats
from trio_envoy.net.local_address import local_address
from trio_envoy.net.poller import make_poller
from trio_envoy.net.services import Options, Services
from trio_envoy.net.sockets import Network
from trio_envoy.runtime import Runtime, RuntimeStats
from trio_envoy.server.admin.serve import AdminServer
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.lifecycle import Lifecycle
from trio_envoy.server.listeners import ListenerManager
from trio_envoy.server.stats import ServerStats, refresh, resident_bytes, shared_bytes
from trio_envoy.server.watchdog import Watchdog
from trio_envoy.server.workers.messages import Order
from trio_envoy.server.workers.orders import obey
from trio_envoy.stats.filesystem import FilesystemStats
from trio_envoy.stats.settings import Settings, compile_settings
from trio_envoy.stats.store import Store
from trio_envoy.upstream.manager import ClusterManager
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Timers
from trio_envoy.util.log import logger
from trio_envoy.util.logfile import LogFiles

if TYPE_CHECKING:
    from trio_envoy.server.workers.fleet import Fleet

DEPRECATED: Final = "Using deprecated"  # how warnings of the loader begin
UNKNOWN: Final = "unknown to Envoy"

_LOG: Final = logger("main")
_NO_RUNTIME: Final = Runtime(None, RuntimeStats())  # stats_config is read before the runtime
_RESOLVED: Final = (DiscoveryType.STRICT_DNS, DiscoveryType.LOGICAL_DNS)
_DEFAULT_FLUSH_INTERVAL: Final = 5.0  # s; Bootstrap.stats_flush_interval


class Server:
    """One proxy process.

    Attributes:
        loaded: the configuration.
        command_line: what was asked for.
        services: shared by all parts.
        clusters, listeners: the two managers.
        lifecycle: state, and the request to stop.
        watchdog: of this process.
        fleet: the workers of a main process; None: this one process does it all.
        started_wall: wall clock of the start, seconds.
        flush_on_admin: histograms are flushed when /stats is asked, not by the clock.
    """

    def __init__(
        self,
        loaded: Loaded,
        command_line: CommandLine,
        *,
        network: Network | None = None,
        random: Random | None = None,
    ) -> None:
        """Compile everything.

        Args:
            loaded: the configuration.
            command_line: the flags.
            network: where to resolve, bind and connect; tests and the demo bring a table.
            random: for tests.

        Raises:
            ConfigErrors: all faults that only show when parts are built, with file, line and column.
        """
        self.loaded = loaded
        self.command_line = command_line
        bootstrap = loaded.bootstrap
        errors: list[ConfigError] = []
        settings = Settings()
        with _collected(errors):
            settings = _stats_settings(bootstrap.stats_config, command_line.stats_tag)
        store = Store(settings, shared=(command_line.concurrency or 1) > 1)
        node = bootstrap.node or Node()
        options = _options(command_line, node)
        network = network or Network()
        runtime_stats = store.scope("runtime.").block(RuntimeStats)
        runtime = Runtime(None, runtime_stats)
        with _collected(errors):
            runtime = Runtime(bootstrap.layered_runtime, runtime_stats, options.service_cluster)
        self.services = Services(
            stats=store,
            runtime=runtime,
            timers=Timers(),
            poller=make_poller(),
            network=network,
            random=random or Random(SystemRandom().getrandbits(128)),  # noqa: S311 - balancing and ids, no secrets
            log_files=LogFiles(
                store.scope("filesystem.").block(FilesystemStats),
                options.file_flush_interval,
                command_line.file_flush_min_size_kb * 1024,
            ),
            options=options,
            local_address=local_address(options.local_address_ip_version),
        )
        self.lifecycle = Lifecycle(self.services)
        self.stats = store.scope("server.").block(ServerStats)
        self.stats.concurrency = options.concurrency
        resources = bootstrap.static_resources
        clusters = resources.clusters if resources else ()
        if any(cluster.type in _RESOLVED or cluster.cluster_type for cluster in clusters):
            network.resolver.stats = store.scope("dns.cares.").block(DnsStats)
        self.clusters = ClusterManager(clusters, self.services)
        errors += self.clusters.errors
        self.listeners = ListenerManager(resources.listeners if resources else (), self.services, self.clusters)
        errors += self.listeners.errors
        self.admin: AdminServer | None = None
        if bootstrap.admin is not None and bootstrap.admin.address is not None:
            with _collected(errors):
                self.admin = AdminServer(bootstrap.admin, self)
        if bootstrap.stats_flush_interval is not None and bootstrap.stats_flush_on_admin is not None:
            text = "Only one of stats_flush_interval or stats_flush_on_admin should be set!"
            errors.append(ConfigError(text, at=bootstrap, field="stats_flush_on_admin"))
        if errors:
            raise loaded.locate(errors)
        self._count(loaded.warnings)
        self.started_wall = clock.now()
        self._flush_interval = bootstrap.stats_flush_interval or _DEFAULT_FLUSH_INTERVAL
        self.flush_on_admin = bool(bootstrap.stats_flush_on_admin)
        self.watchdog = Watchdog(store, options.concurrency)
        self.fleet: Fleet | None = None

    def _count(self, warnings: Iterable[Fault]) -> None:
        """What was wrong with the file, but not so wrong that it was refused."""
        deprecated = sum(warning.text.startswith(DEPRECATED) for warning in warnings)
        self.services.runtime.stats.deprecated_feature_use += deprecated
        self.services.runtime.stats.deprecated_feature_seen_since_process_start = deprecated
        self.stats.static_unknown_fields = int(any(warning.text.startswith(UNKNOWN) for warning in warnings))

    def tell(self, order: Order) -> None:
        """Do what the admin or a signal orders, here and in all workers."""
        obey(self, order)
        if self.fleet is not None:
            self.fleet.tell(order)

    async def collect(self) -> None:
        """Bring what workers have counted up to date; nothing where there are none."""
        if self.fleet is not None:
            await self.fleet.collect()

    def resident_bytes(self) -> int:
        """Memory of all processes that is in RAM."""
        return resident_bytes() if self.fleet is None else shared_bytes((os.getpid(), *self.fleet.pids()))

    def refresh_stats(self) -> None:
        """Bring the `server.*` gauges up to date."""
        connections = self.listeners.connections() if self.fleet is None else self.fleet.connections()
        ages = [days for facts in self.services.certificates if (days := facts.days()) is not None]
        uptime = clock.now() - self.started_wall
        days = min(ages, default=None)
        refresh(self.stats, self.lifecycle, uptime, connections, days, self.resident_bytes())

    def flush(self) -> None:
        """Histograms take what was recorded; gauges are brought up to date."""
        self.refresh_stats()
        self.services.stats.flush()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until lifecycle.stop(); started() when listeners are open.

        Raises:
            BindError: an address can't be bound.

        Cancelled: everything is closed at once.
        """
        begun = trio.current_time()
        services = self.services
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._stop_when_asked, tasks.cancel_scope)
                tasks.start_soon(services.timers.run)
                tasks.start_soon(services.poller.run)
                tasks.start_soon(services.log_files.run)
                tasks.start_soon(services.runtime.run)
                tasks.start_soon(self.watchdog.run)
                if self.fleet is not None:
                    await tasks.start(self.fleet.run)
                if not self.flush_on_admin:
                    tasks.start_soon(self._flush)
                if self.admin is not None:
                    await tasks.start(self.admin.run)
                self.lifecycle.initializing()
                if self.fleet is None:
                    self.listeners.bind()  # a port in use is told at once, not when clusters are warm
                await tasks.start(self.clusters.run)
                _LOG.info("all clusters initialized. initializing init manager")
                if self.fleet is None:
                    await tasks.start(self.listeners.run)
                else:
                    await tasks.start(self.listeners.oversee)
                    await self.fleet.open()
                _LOG.info("all dependencies initialized. starting workers")
                self.lifecycle.live()
                self.stats.initialization_time_ms.record((trio.current_time() - begun) * 1000)
                gc.collect()
                gc.freeze()  # what lives now lives on: later collections need not walk it
                _LOG.info("starting main dispatch loop")
                task_status.started()
        finally:
            _LOG.info("main dispatch loop exited")
            services.log_files.close()

    async def _stop_when_asked(self, scope: trio.CancelScope) -> None:
        await self.lifecycle.wait_stop()
        _LOG.info("shutting down server instance")
        scope.cancel()

    async def _flush(self) -> None:
        """Every stats_flush_interval histograms take what was recorded."""
        while True:
            await trio.sleep(self._flush_interval)
            await self.collect()
            self.flush()


def _options(line: CommandLine, node: Node) -> Options:
    """The command line, with the node of the bootstrap where it says nothing."""
    zone = node.locality.zone if node.locality is not None else ""
    return Options(
        service_cluster=line.service_cluster or node.cluster,
        service_node=line.service_node or node.id,
        service_zone=line.service_zone or zone,
        drain_time=float(line.drain_time_s),
        drain_gradually=line.drain_strategy == "gradual",
        file_flush_interval=line.file_flush_interval_msec / 1000,
        local_address_ip_version=line.local_address_ip_version,
        concurrency=line.concurrency or 1,
    )


def _stats_settings(config: StatsConfig | None, tags: list[str]) -> Settings:
    """stats_config, with the tags of --stats-tag."""
    if tags:
        config = config or StatsConfig()
        fixed = [TagSpecifier(tag_name=name, fixed_value=value) for name, _, value in map(_split_tag, tags)]
        config = attrs.evolve(config, stats_tags=(*config.stats_tags, *fixed))
    return compile_settings(config, _name_test)


def _split_tag(tag: str) -> tuple[str, str, str]:
    return tag.partition(":")


def _name_test(matcher: StringMatcher) -> Callable[[str], bool]:
    test = string_test(matcher, _NO_RUNTIME)
    return lambda name: test(name.encode())


@contextlib.contextmanager
def _collected(errors: list[ConfigError]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        errors.append(error)
