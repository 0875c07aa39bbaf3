"""Stand-ins for what tests do not want for real. Network: connected pairs of sockets and channels on them."""

from __future__ import annotations

import socket
from itertools import count

import trio

from trio_envoy.net.address import from_sockaddr
from trio_envoy.net.poller import Poller
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.stream_info import ConnectionInfo

_connection_id = count().__next__


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
