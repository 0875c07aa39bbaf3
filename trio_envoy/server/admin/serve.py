"""The admin's listener: trio streams under our HTTP/1 codec, served by a connection manager of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.config.accesslog import AccessLog, FileAccessLog
from trio_envoy.config.bootstrap import Admin as AdminConfig
from trio_envoy.config.hcm import HttpConnectionManager as HcmConfig
from trio_envoy.errors import Faults
from trio_envoy.hcm.context import FilterContext
from trio_envoy.hcm.manager import HttpConnectionManager
from trio_envoy.matching.strings import string_test
from trio_envoy.net.adapters import as_channel
from trio_envoy.net.address import Address, from_config, from_sockaddr
from trio_envoy.net.filter import Connection
from trio_envoy.net.sockets import BACKLOG
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.registry import config_class
from trio_envoy.server.admin.app import AdminApp
from trio_envoy.stats.declare import Counter, Gauge, Histogram, StatsBlock, named
from trio_envoy.util.deadlines import Guard
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.server.server import Server

_LOG: Final = logger("admin")
_BUFFER_LIMIT: Final = 1024 * 1024


class AdminListenerStats(StatsBlock):
    """`listener.admin.`: its connections."""

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
    main_thread_downstream_cx_active: Gauge = named("main_thread.downstream_cx_active")
    main_thread_downstream_cx_total: Counter = named("main_thread.downstream_cx_total")
    no_filter_chain_match: Counter


class AdminServer:
    """The admin interface of one server.

    Attributes:
        address: where it listens; with the real port once it is bound.
        app: the endpoints.
    """

    def __init__(self, config: AdminConfig, server: Server) -> None:
        """Compile it; nothing is bound yet.

        Raises:
            ConfigError: a bad address, path or access log; all that is bad, at once.
        """
        faults = Faults()
        assert config.address is not None, "the server makes an admin only where there is an address"
        services = self._services = server.services
        self._path = server.command_line.admin_address_path
        self._said = config.address
        with faults:
            self.address: Address = from_config(config.address)
        allowed: Callable[[str], bool] = bool
        with faults:
            allowed = _allowed(config, server)
        self.app = AdminApp(server, allowed)
        scope = services.stats.scope("listener.admin.")
        self._stats = scope.block(AdminListenerStats)
        context = FilterContext(
            services=services,
            clusters=server.clusters,
            scope=services.stats.scope(""),
            listener_scope=scope,
            listener_name="admin",
            buffer_limit_bytes=_BUFFER_LIMIT,
            direction="UNSPECIFIED",
            draining=lambda: False,
        )
        logs = _access_logs(config)
        hcm = HcmConfig(stat_prefix="admin", access_log=logs, use_remote_address=True)
        with faults:
            self._manager = HttpConnectionManager(hcm, context, terminal=self.app)
        for error in faults.errors:
            if config.access_log_path and error.at is logs[-1].typed_config:
                error.at, error.field = config, ("access_log_path",)
        faults.raise_all()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bind and serve until cancelled; started() when it listens.

        Raises:
            BindError: the address can't be bound.
        """
        said = self._said
        sock = self._services.network.bind(
            self.address,
            reuse_port=False,
            ipv4_compat=said.socket_address is not None and said.socket_address.ipv4_compat,
            mode=said.pipe.mode if said.pipe is not None else 0,
        )
        sock.listen(BACKLOG)
        self.address = from_sockaddr(sock.family, sock.getsockname())
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        self._tell_address()
        _LOG.info("admin address: %s", self.address)
        async with trio.open_nursery() as connections:
            task_status.started()
            await trio.serve_listeners(self._serve, [listener], handler_nursery=connections)

    def _tell_address(self) -> None:
        """--admin-address-path; it is no reason to stop when that can't be written."""
        if self._path:
            try:
                Path(self._path).write_text(str(self.address), encoding="utf-8")
            except OSError:
                _LOG.critical("cannot open admin address output file %s for writing.", self._path)

    async def _serve(self, stream: trio.SocketStream) -> None:
        """One connection; the wall: whatever happens ends here."""
        stats, begun = self._stats, trio.current_time()
        stats.downstream_cx_total += 1
        stats.main_thread_downstream_cx_total += 1
        stats.downstream_cx_active += 1
        stats.main_thread_downstream_cx_active += 1
        try:
            await self._serve_http(stream)
        except Exception:
            _LOG.exception("an admin connection met a bug")
        finally:
            stats.downstream_cx_active -= 1
            stats.main_thread_downstream_cx_active -= 1
            stats.downstream_cx_destroy += 1
            stats.downstream_cx_length_ms.record((trio.current_time() - begun) * 1000)

    async def _serve_http(self, stream: trio.SocketStream) -> None:
        sock = stream.socket
        try:
            local = from_sockaddr(sock.family, sock.getsockname())
            remote = from_sockaddr(sock.family, sock.getpeername())
        except OSError:  # gone already
            await trio.aclose_forcefully(stream)
            return
        info = ConnectionInfo(self._services.connection_id(), local, remote)
        guard = Guard(self._services.timers)
        try:
            async with trio.open_nursery() as pumps:
                channel = as_channel(stream, info, pumps)
                await self._manager.serve(Connection(channel, info, guard))
        finally:
            guard.close()


def _allowed(config: AdminConfig, server: Server) -> Callable[[str], bool]:
    faults = Faults()
    tests = []
    for matcher in config.allow_paths:
        with faults:
            tests.append(string_test(matcher, server.services.runtime))
    faults.raise_all()
    if not tests:
        return lambda _: True
    return lambda path: any(test(path.encode("latin-1")) for test in tests)


def _access_logs(config: AdminConfig) -> tuple[AccessLog, ...]:
    """The logs, with the one of the deprecated access_log_path last."""
    if not config.access_log_path:
        return config.access_log
    config_class(FileAccessLog.__proto__)  # the extension is imported on first need
    deprecated = AccessLog(name="envoy.access_loggers.file", typed_config=FileAccessLog(path=config.access_log_path))
    return (*config.access_log, deprecated)
