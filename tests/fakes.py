"""Stand-ins for what tests do not want for real.

Network: connected pairs of sockets, channels on them, and the Services of a process that was never configured.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random
from typing import ClassVar

import attrs
import trio

from trio_envoy.config.core import Node
from trio_envoy.net.address import from_sockaddr
from trio_envoy.net.filter import Connection
from trio_envoy.net.poller import Poller, make_poller
from trio_envoy.net.services import Options, Services
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.sockets import Network, NetworkTable
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.registry import Category, register
from trio_envoy.runtime import Runtime, RuntimeStats
from trio_envoy.stats.store import Store
from trio_envoy.util.deadlines import Timers
from trio_envoy.util.logfile import LogFiles

_connection_id = count().__next__


@attrs.frozen(kw_only=True, eq=False)
class Scripted:
    """Config of a network, listener or transport "extension" that does what a test says."""

    __proto__: ClassVar[str] = "test.Scripted"

    serve: Callable[[Connection], Awaitable[None]] | None = None
    on_connection: Callable[[Connection], Awaitable[None]] | None = None
    on_accept: Callable[[Connection], Awaitable[None]] | None = None
    accept: Callable[..., Awaitable[object]] | None = None


@register(Category.NETWORK_FILTER, "test.scripted", config=Scripted)
@register(Category.LISTENER_FILTER, "test.scripted", config=Scripted)
@register(Category.TRANSPORT_SOCKET_DOWNSTREAM, "test.scripted", config=Scripted)
def _scripted(config: Scripted, context: object) -> object:
    made = type("Scripted", (), {})()
    made.context = context
    for name in ("serve", "on_connection", "on_accept", "accept"):
        does = getattr(config, name)
        if does is not None:
            setattr(made, name, does)
    return made


def a_services(*, table: NetworkTable | None = None, options: Options | None = None) -> Services:
    """Everything fresh; timers, poller and log files do not run."""
    store = Store()
    return Services(
        stats=store,
        runtime=Runtime(None, store.scope("runtime.").block(RuntimeStats)),
        timers=Timers(),
        poller=make_poller(),
        network=Network(table),
        random=Random(1),
        log_files=LogFiles(),
        node=Node(),
        options=options or Options(),
    )


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback, non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    for end in (left, right):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return left, right


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a Unix domain stream, non-blocking."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    return left, right


def socket_channel(sock: socket.socket, poller: Poller) -> SocketChannel:
    """A channel with the addresses of its socket."""
    local = from_sockaddr(sock.family, sock.getsockname())
    remote = from_sockaddr(sock.family, sock.getpeername())
    return SocketChannel(sock, poller, ConnectionInfo(_connection_id(), local, remote))


async def receive_some(channel, limit: int = 65536) -> bytes:
    """The next bytes of a channel, b"" at its end; waits as codecs do."""
    buffer = bytearray(limit)
    while (received := channel.recv_into(buffer)) is None:
        await channel.wait_read()
    return bytes(buffer[:received])


async def receive_exactly(channel, size: int) -> bytes:
    """The next `size` bytes of a channel; fewer when it ends before."""
    parts = []
    while size and (part := await receive_some(channel, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


async def receive_all(channel) -> bytes:
    """What a channel carries until its end."""
    parts = []
    while part := await receive_some(channel):
        parts.append(part)
        await trio.lowlevel.checkpoint()
    return b"".join(parts)
