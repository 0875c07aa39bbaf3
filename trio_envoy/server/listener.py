"""One listener: its sockets, its accept loops, and a task for each connection; stopping and draining.

Source: Envoy, intro/arch_overview/listeners; trio's serve_listeners for what to do when descriptors are used up.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import uuid
from collections.abc import Callable
from typing import Any, Final

import trio

from trio_envoy.config.address import Address as AddressConfig
from trio_envoy.config.address import SocketAddressProtocol
from trio_envoy.config.core import TrafficDirection
from trio_envoy.config.listener import AdditionalAddress
from trio_envoy.config.listener import Listener as Config
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.address import AF_UNIX, Address, from_config, from_sockaddr
from trio_envoy.net.services import Services
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.sockets import BACKLOG, BindError, set_keepalive
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.server.connections import ConnectionHandler, ListenerStats
from trio_envoy.server.drain import DrainDecision
from trio_envoy.upstream.manager import ClusterManager
from trio_envoy.util.log import logger

_LOG: Final = logger("conn_handler")

DEFAULT_BUFFER_LIMIT_BYTES: Final = 1024 * 1024  # Listener.per_connection_buffer_limit_bytes
_MAX_ACCEPTS: Final = 64  # of one wake-up, so that accepting starves nobody
_PAUSE: Final = 0.1  # s; when descriptors or memory are used up
_USED_UP: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with


class Listener:
    """A listener, compiled.

    Attributes:
        config: as it was loaded.
        name: of the configuration, or a random UUID.
        addresses: as configured until bind(), as bound afterwards.
        stopped: takes no more connections.
    """

    def __init__(
        self, config: Config, services: Services, clusters: ClusterManager, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        """Compile it; nothing is opened.

        Args:
            config: the listener.
            services: of the process.
            clusters: for its filters.
            on_stop: called when it takes no more connections because it was told to.

        Raises:
            ConfigError: an address, a chain or a filter can't be; all that can't, at once.
        """
        faults = Faults()
        self.config = config
        self.name = config.name or str(uuid.uuid4())
        self.addresses: tuple[Address, ...] = ()
        with faults:
            self._address_configs = _address_configs(config)
            self.addresses = tuple(from_config(address) for address in self._address_configs)
        label = config.stat_prefix or next(iter(self.addresses), "")
        self.stopped = False
        self._services = services
        self._on_stop = on_stop
        self._drain = DrainDecision(config.drain_type, services)
        limit = config.per_connection_buffer_limit_bytes
        context = FilterContext(
            services=services,
            clusters=clusters,
            scope=services.stats.scope(""),
            listener_scope=services.stats.scope(f"listener.{label}."),
            listener_name=self.name,
            buffer_limit_bytes=DEFAULT_BUFFER_LIMIT_BYTES if limit is None else limit,
            direction=config.traffic_direction.value,
            draining=self._drain.wanted,
        )
        with faults:
            self._handler = ConnectionHandler(config, context)
        faults.raise_all()
        self._limit_key = f"envoy.resource_limits.listener.{self.name}.connection_limit"
        self._sockets: list[socket.socket] = []
        self._of_workers: list[list[socket.socket]] = []
        self._accepting: trio.CancelScope | None = None
        self._serving: trio.CancelScope | None = None
        self._drain_time = 0.0
        self._asked_to_stop = trio.Event()
        self._ended = trio.Event()

    @property
    def stats(self) -> ListenerStats:
        """`listener.<address>.`."""
        return self._handler.stats

    @property
    def inbound(self) -> bool:
        """/drain_listeners?inboundonly means this one."""
        return self.config.traffic_direction is TrafficDirection.INBOUND

    def connections(self) -> int:
        """How many are open."""
        return len(self._handler.connections)

    def bind(self, workers: int = 1) -> None:
        """Open the sockets, those of all workers; they take connections once run() runs.

        Raises:
            BindError: an address is taken or not ours; what was opened is closed.
        """
        config = self.config
        if self._sockets or config.bind_to_port is False:
            return
        try:
            for address, said in zip(self.addresses, self._address_configs, strict=True):
                group = self._services.network.bind_group(
                    address,
                    workers,
                    reuse_port=config.enable_reuse_port is not False,
                    ipv4_compat=said.socket_address is not None and said.socket_address.ipv4_compat,
                    mode=said.pipe.mode if said.pipe is not None else 0,
                )
                self._of_workers.append(group)
                self._sockets.append(group[0])
                if config.tcp_keepalive is not None:
                    for sock in group:
                        set_keepalive(sock, config.tcp_keepalive)  # accepted sockets inherit it
        except OSError:
            self.close()
            raise
        self.addresses = tuple(from_sockaddr(sock.family, sock.getsockname()) for sock in self._sockets)

    def become_worker(self, index: int) -> None:
        """In the process of a worker: keep its sockets alone, and count as it."""
        for place, group in enumerate(self._of_workers):
            mine = self._sockets[place] = group[index % len(group)]
            for sock in group:
                if sock is not mine:
                    sock.close()
        self._of_workers = [[sock] for sock in self._sockets]
        self._handler.become_worker(index)

    def mute(self, index: int) -> None:
        """A worker can't be started: its own sockets take no connections until one listens on them again."""
        for group in self._of_workers:
            if len(group) > 1:
                with contextlib.suppress(OSError):  # it had not listened
                    group[index].shutdown(socket.SHUT_RDWR)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until stop() and the end of the last connection; started() when connections are taken.

        Raises:
            BindError: see bind().

        Cancelled: connections are cut.
        """
        if self.stopped:
            task_status.started()
            return
        self.bind()
        try:
            self._listen()
            async with trio.open_nursery() as connections:
                self._serving = connections.cancel_scope
                async with trio.open_nursery() as accepting:
                    self._accepting = accepting.cancel_scope
                    for sock in self._sockets:
                        accepting.start_soon(self._accept, sock, connections)
                    accepting.start_soon(self._stop_when_drained)
                    task_status.started()
                self.close()
        finally:
            self.close()
            self._ended.set()

    async def oversee(self) -> None:
        """In a main process whose workers serve this listener: stop() when its drain is over; until cancelled."""
        await self._stop_when_drained()

    def _listen(self) -> None:
        for sock, address in zip(self._sockets, self.addresses, strict=False):
            try:
                sock.listen(self.config.tcp_backlog_size or BACKLOG)
            except OSError as error:  # without reuse_port, when another one bound the address and was faster
                raise BindError(address, error.strerror or str(error)) from error

    def stop(self) -> None:
        """Take no more connections; those that are there go on."""
        if self.stopped:
            return
        self.stopped = True
        if self._accepting is None:
            self.close()
        else:
            self._accepting.cancel()  # run() closes the sockets, once nobody waits on them
        self._on_stop()

    def drain(self, seconds: float, *, stop: bool = True, ago: float = 0.0) -> None:
        """Let connections end with their next response; new ones are still taken.

        Args:
            seconds: of the drain.
            stop: take no more when they have passed.
            ago: it began so many seconds ago.
        """
        self._drain.start(seconds, ago=ago)
        if stop:
            self._drain_time = max(0.0, seconds - ago)
            self._asked_to_stop.set()

    async def retire(self, seconds: float) -> None:
        """The listener goes: stop, tell connections to end, and cut those that are left after `seconds`."""
        self._drain.start(seconds)
        self.stop()
        self._handler.drain()
        with trio.move_on_after(seconds):
            await self._ended.wait()
        if self._serving is not None:
            self._serving.cancel()

    async def _stop_when_drained(self) -> None:
        await self._asked_to_stop.wait()
        await trio.sleep(self._drain_time)
        self.stop()

    def close(self) -> None:
        """Close the listening sockets."""
        for group in self._of_workers:
            for sock in group:
                sock.close()
        self._of_workers.clear()
        self._sockets.clear()

    async def _accept(self, sock: socket.socket, connections: trio.Nursery) -> None:
        """Take connections, until cancelled."""
        record = self.stats.connections_accepted_per_socket_event.record
        used_up = False
        while True:
            await trio.lowlevel.wait_readable(sock)
            accepted = 0
            try:
                while accepted < _MAX_ACCEPTS:
                    peer, sockaddr = sock.accept()
                    accepted += 1
                    connections.start_soon(self._connection, peer, sockaddr)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno not in _USED_UP:
                    _LOG.debug("listener %s: accept: %s", self.name, error)  # the peer has gone already
                else:
                    if not used_up:
                        _LOG.error("listener %s can't accept: %s; waiting", self.name, error.strerror)
                    used_up = True
                    await trio.sleep(_PAUSE)
                    continue
            used_up = False
            record(accepted)

    async def _connection(self, sock: socket.socket, sockaddr: Any) -> None:
        """The task of a connection."""
        services = self._services
        limit = services.runtime.snapshot.get_int(self._limit_key, -1)
        if limit >= 0 and -(-limit // services.options.concurrency) <= self.connections():
            self.stats.downstream_cx_overflow += 1
            sock.close()
            return
        try:
            channel = self._channel(sock, sockaddr)
        except OSError as error:
            _LOG.debug("listener %s: new connection: %s", self.name, error)
            sock.close()
            return
        await self._handler.serve(channel)

    def _channel(self, sock: socket.socket, sockaddr: Any) -> SocketChannel:
        sock.setblocking(False)
        if sock.family != AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        local = self.addresses[0]
        if len(self.addresses) > 1 or local.ip in _WILDCARDS:
            local = from_sockaddr(sock.family, sock.getsockname())
        remote = local if sock.family == AF_UNIX else from_sockaddr(sock.family, sockaddr)  # such clients have no name
        return SocketChannel(sock, self._services.poller, ConnectionInfo(self._services.connection_id(), local, remote))


def _address_configs(config: Config) -> tuple[AddressConfig, ...]:
    """The addresses of a listener, looked at."""
    faults = Faults()
    addresses = []
    holders: tuple[Config | AdditionalAddress, ...] = (config, *config.additional_addresses)
    for holder in holders:
        if holder.address is None:
            faults.add(ConfigError("address is necessary", at=holder))
            continue
        addresses.append(holder.address)
        with faults:
            _check_address(holder.address)
    faults.raise_all()
    return tuple(addresses)


def _check_address(config: AddressConfig) -> None:
    address, socket_address = from_config(config), config.socket_address
    if socket_address is None:
        return
    if socket_address.protocol is SocketAddressProtocol.UDP:
        raise ConfigError("UDP listeners are not supported here", at=socket_address, field="protocol")
    if socket_address.ipv4_compat and address.ip != "::" and not socket_address.address.lower().startswith("::ffff:"):
        text = f"Only IPv6 address '::' or valid IPv4-mapped IPv6 address can set ipv4_compat: {address}"
        raise ConfigError(text, at=socket_address, field="ipv4_compat")
