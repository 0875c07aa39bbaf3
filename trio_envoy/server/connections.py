"""What a listener does with each connection: listener filters, filter chain, handshake, network filters; and the wall.

An exception never leaves the task of a connection: faults of the peer are quiet, our own bugs are logged with their
traceback and counted (server.envoy_bug_failures).
Source: Envoy, listener_manager/active_tcp_listener.cc and active_stream_listener_base.cc.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.listener import Listener as Config
from trio_envoy.errors import CloseConnection, Faults
from trio_envoy.formatter.context import Logged
from trio_envoy.net.channel import Channel
from trio_envoy.net.filter import Connection
from trio_envoy.net.match import Facts
from trio_envoy.net.stream_info import NR, ConnectionInfo, StreamInfo
from trio_envoy.server.filter_chains import Chain, compile_chains, compile_listener_filters
from trio_envoy.server.stats import ServerStats
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock
from trio_envoy.stats.histogram import Histogram
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Guard
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.hcm.context import FilterContext

_LOG: Final = logger("conn_handler")

DEFAULT_LISTENER_FILTERS_TIMEOUT: Final = 15.0  # s; Listener.listener_filters_timeout


class ListenerStats(StatsBlock):
    """`listener.<address>.*`, and `listener.admin.*`."""

    connections_accepted_per_socket_event: Histogram
    downstream_cx_active: Gauge
    downstream_cx_destroy: Counter
    downstream_cx_length_ms: Histogram
    downstream_cx_overflow: Counter
    downstream_cx_overload_reject: Counter
    downstream_cx_total: Counter
    downstream_cx_transport_socket_connect_timeout: Counter
    downstream_global_cx_overflow: Counter
    downstream_listener_filter_error: Counter
    downstream_listener_filter_remote_close: Counter
    downstream_pre_cx_active: Gauge
    downstream_pre_cx_timeout: Counter
    no_filter_chain_match: Counter


class DiscoveryStats(StatsBlock):
    """`listener.<address>.*` that only configured listeners have."""

    extension_config_missing: Counter
    network_extension_config_missing: Counter


class WorkerStats(StatsBlock):
    """`listener.<address>.worker_0.*`, and `listener.admin.main_thread.*`."""

    downstream_cx_active: Gauge
    downstream_cx_total: Counter


class ConnectionHandler:
    """The compiled inside of a listener.

    Attributes:
        stats: `listener.<address>.`.
        connections: those that are open and have a filter chain.
    """

    def __init__(self, config: Config, context: FilterContext) -> None:
        """Compile it.

        Args:
            config: of the listener.
            context: of its filters.

        Raises:
            ConfigError: a chain, a filter or a log can't be; all that can't, at once.
        """
        faults = Faults()
        services = context.services
        scope = context.listener_scope
        self.stats = scope.block(ListenerStats)
        self.connections: set[Connection] = set()
        scope.block(DiscoveryStats)
        workers = range(services.options.concurrency)
        self._of_workers = [scope.scope(f"worker_{index}.").block(WorkerStats) for index in workers]
        self._worker_stats = self._of_workers[0]
        self._server_stats = services.stats.scope("server.").block(ServerStats)
        self._timers = services.timers
        self._name = context.listener_name
        self._direction = context.direction
        with faults:
            self._chains = compile_chains(config, context)
        with faults:
            self._filters = compile_listener_filters(config.listener_filters, context)
        with faults:
            self._access_logs = tuple(AccessLog(entry, services) for entry in config.access_log)
        faults.raise_all()
        timeout = config.listener_filters_timeout
        self._filters_timeout = DEFAULT_LISTENER_FILTERS_TIMEOUT if timeout is None else timeout or inf
        self._continue_on_timeout = config.continue_on_listener_filters_timeout

    def become_worker(self, index: int) -> None:
        """Count as this worker from now on."""
        self._worker_stats = self._of_workers[index]

    def drain(self) -> None:
        """Tell all connections to end after what they are doing."""
        for connection in tuple(self.connections):
            if connection.drain is not None:
                connection.drain()
            else:
                connection.channel.close()

    async def serve(self, channel: Channel) -> None:
        """Serve a connection to its end. The wall: nothing but cancellation leaves it."""
        info = channel.info
        info.listener = self._name
        info.direction = self._direction
        connection = Connection(channel, info, Guard(self._timers))
        log = _ConnectionLog(info, self._access_logs) if self._access_logs else None
        try:  # here and not in a method of its own: each wake-up walks through all coroutines of a task
            try:
                if not self._filters or await self._listener_filters(connection):
                    chain = self._choose(connection, log)
                    if chain is not None and chain.terminal is not None:
                        await self._run(connection, chain)
            finally:
                connection.channel.close()
                connection.guard.close()
                for callback in connection.on_close:
                    callback()
                if log is not None:
                    log.write()
        except (OSError, CloseConnection) as error:
            _LOG.debug("[C%d] closing: %s", info.id, error)
        except Exception as error:
            self._fault(info, error)
        except BaseExceptionGroup as group:
            passing, ours = group.split(_passes)
            if ours is not None:
                self._fault(info, ours)
            if passing is not None:
                raise passing from None

    def _fault(self, info: ConnectionInfo, error: BaseException) -> None:
        """Log and count what is not the peer's fault."""
        if isinstance(error, BaseExceptionGroup):
            ours = error.subgroup(_is_ours)
            if ours is None:
                _LOG.debug("[C%d] closing: %r", info.id, error)
                return
            error = ours
        self._server_stats.envoy_bug_failures += 1
        _LOG.error("[C%d] listener %s: a connection met a bug", info.id, self._name, exc_info=error)

    def _choose(self, connection: Connection, log: _ConnectionLog | None) -> Chain | None:
        info = connection.info
        chain = self._chains.find(Facts(info.local, info.direct_remote, info.remote, info.server_name))
        if chain is None:
            _LOG.debug("[C%d] closing connection: no matching filter chain found", info.id)
            self.stats.no_filter_chain_match += 1
            if log is not None:
                log.info.flags |= NR
                log.info.details = "filter_chain_not_found"
        return chain

    async def _run(self, connection: Connection, chain: Chain) -> None:
        """From the handshake to the end of the terminal filter; counted."""
        assert chain.terminal is not None
        connection.info.filter_chain = chain.name
        stats, worker = self.stats, self._worker_stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        worker.downstream_cx_total += 1
        worker.downstream_cx_active += 1
        started = trio.current_time()
        self.connections.add(connection)
        try:
            if chain.transport is None or await self._shake_hands(connection, chain):
                for network_filter in chain.filters:
                    await network_filter.on_connection(connection)
                await chain.terminal.serve(connection)
        finally:
            self.connections.discard(connection)
            stats.downstream_cx_active -= 1
            stats.downstream_cx_destroy += 1
            worker.downstream_cx_active -= 1
            stats.downstream_cx_length_ms.record((trio.current_time() - started) * 1000)

    async def _listener_filters(self, connection: Connection) -> bool:
        """Whether the connection goes on after the listener filters."""
        stats = self.stats
        stats.downstream_pre_cx_active += 1
        try:
            with trio.move_on_after(self._filters_timeout):
                for listener_filter in self._filters:
                    await listener_filter.on_accept(connection)
                return True
            stats.downstream_pre_cx_timeout += 1
            return self._continue_on_timeout
        except CloseConnection:
            stats.downstream_listener_filter_error += 1
            raise
        except OSError:
            stats.downstream_listener_filter_remote_close += 1
            raise
        finally:
            stats.downstream_pre_cx_active -= 1

    async def _shake_hands(self, connection: Connection, chain: Chain) -> bool:
        """Whether the transport socket has accepted in time."""
        assert chain.transport is not None
        started = trio.current_time()
        try:
            with trio.move_on_after(chain.connect_timeout) as scope:
                connection.channel = await chain.transport.accept(connection.channel)
        except CloseConnection:
            if chain.handshake_failed is not None:
                chain.handshake_failed(trio.current_time() - started, local=False)
            raise
        if scope.cancelled_caught:
            self.stats.downstream_cx_transport_socket_connect_timeout += 1
            if chain.handshake_failed is not None:
                chain.handshake_failed(trio.current_time() - started, local=True)
            return False
        tls = connection.info.tls
        if tls is not None:
            connection.alpn = tls.alpn
        return True


def _passes(error: BaseException) -> bool:
    """What is not for the wall: cancellation, and what ends the process."""
    return not isinstance(error, (Exception, BaseExceptionGroup))


def _is_ours(error: BaseException) -> bool:
    """A bug, not a fault of the peer."""
    return not isinstance(error, (BaseExceptionGroup, OSError, CloseConnection))


@attrs.define(eq=False)
class _ConnectionLog:
    """The access log entry of a connection, written at its end."""

    connection: ConnectionInfo
    logs: tuple[AccessLog, ...]
    info: StreamInfo = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.info = StreamInfo(trio.current_time(), clock.now(), self.connection)

    def write(self) -> None:
        info = self.info
        info.end = trio.current_time()
        info.bytes_received = self.connection.bytes_received
        info.bytes_sent = self.connection.bytes_sent
        info.flags |= self.connection.flags
        for log in self.logs:
            log.log(Logged(info))
