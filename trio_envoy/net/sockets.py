"""Bind, connect and resolve: the doors from addresses to sockets.

A NetworkTable stands in for a real network: names resolve to what it says, and sockets are bound and connected
elsewhere than the configuration says. So a configuration that was written for containers runs unchanged on one machine.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Final

import attrs
import trio

from trio_envoy.config.address import TcpKeepalive
from trio_envoy.config.cluster import DnsLookupFamily
from trio_envoy.net.address import AF_UNIX, Address, IpAddress, PipeAddress, parse_ip_port
from trio_envoy.net.dns import Resolution, Resolver, of_family

BACKLOG: Final = 2**31 - 1 if sys.platform == "linux" else 128  # Linux cuts it down to net.core.somaxconn


class BindError(OSError):
    """A socket can't be bound; the text is Envoy's: cannot bind '127.0.0.1:80': Address already in use."""

    def __init__(self, address: Address, reason: str) -> None:
        super().__init__(f"cannot bind '{address}': {reason}")


@attrs.frozen
class NetworkTable:
    """A network that is not there.

    Attributes:
        names: hostname -> IP addresses.
        binds: address of the configuration -> address that is bound instead.
        connects: address of a host -> address that is connected instead.
    """

    names: Mapping[str, tuple[str, ...]] = attrs.Factory(dict)
    binds: Mapping[Address, Address] = attrs.Factory(dict)
    connects: Mapping[Address, Address] = attrs.Factory(dict)

    @classmethod
    def of(
        cls, names: Mapping[str, Iterable[str]], binds: Mapping[str, str], connects: Mapping[str, str]
    ) -> NetworkTable:
        """From text: names to IPs, and "host:port" to "host:port".

        Raises:
            ValueError: what stands for an address is none.
        """
        return cls(
            {name: tuple(ips) for name, ips in names.items()},
            {_ip_port(key): _ip_port(value) for key, value in binds.items()},
            {_ip_port(key): _ip_port(value) for key, value in connects.items()},
        )


def _ip_port(text: str) -> IpAddress:
    address = parse_ip_port(text)
    if address is None:
        raise ValueError(f"not an address with a port: {text!r}")
    return address


class Network:
    """The network of a process.

    Args:
        table: what takes the place of the real network, as far as it says something.
        resolver: asks /etc/hosts and name servers.
    """

    def __init__(self, table: NetworkTable | None = None, resolver: Resolver | None = None) -> None:
        self.resolver = resolver or Resolver()
        self._table = table or NetworkTable()

    async def resolve(self, name: str, family: DnsLookupFamily, *, resolver: Resolver | None = None) -> Resolution:
        """The addresses of a name; empty when it is known that there are none.

        Args:
            name: hostname, or an IP address, which is its own answer.
            family: which addresses.
            resolver: with name servers of its own, instead of the process's.

        Raises:
            DnsFailure: nobody answered, or a server failed.
        """
        known = self._table.names.get(name)
        if known is not None:
            await trio.lowlevel.checkpoint()
            return Resolution(of_family(known, family), 0.0)
        return await (resolver or self.resolver).resolve(name, family)

    def bind(
        self, address: Address, *, reuse_port: bool = True, ipv4_compat: bool = False, mode: int = 0
    ) -> socket.socket:
        """A bound non-blocking stream socket that does not listen yet: sock.listen(BACKLOG) is the caller's.

        Args:
            address: port 0 lets the system choose; a file that lies where a pipe goes is removed.
            reuse_port: SO_REUSEPORT, so that the workers share the port.
            ipv4_compat: an IPv6 socket takes IPv4 clients too.
            mode: permission bits of a pipe; 0 leaves them as the umask makes them.

        Raises:
            BindError: the system refuses.
        """
        return self._bound(address, self._table.binds.get(address, address), reuse_port, ipv4_compat, mode)

    def _bound(
        self, address: Address, target: Address, reuse_port: bool, ipv4_compat: bool, mode: int
    ) -> socket.socket:
        try:
            sock = socket.socket(target.family, socket.SOCK_STREAM)
        except OSError as error:
            raise BindError(address, error.strerror or str(error)) from error
        try:
            sock.setblocking(False)
            if isinstance(target, IpAddress):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if reuse_port and hasattr(socket, "SO_REUSEPORT"):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if target.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not ipv4_compat)
                sock.bind(target.sockaddr)
            else:
                _bind_pipe(sock, target, mode)
        except OSError as error:
            sock.close()
            raise BindError(address, error.strerror or str(error)) from error
        return sock

    def bind_group(
        self,
        address: Address,
        workers: int,
        *,
        reuse_port: bool = True,
        ipv4_compat: bool = False,
        mode: int = 0,
    ) -> list[socket.socket]:
        """A socket for each of the workers, all with one address; see bind().

        Where the port can't be shared (a pipe, no reuse_port) it is one socket, for all of them.

        Raises:
            BindError: the system refuses; nothing stays open.
        """
        first = self.bind(address, reuse_port=reuse_port, ipv4_compat=ipv4_compat, mode=mode)
        if workers == 1 or not reuse_port or not isinstance(address, IpAddress):
            return [first]
        group: list[socket.socket] = []
        try:
            # With port 0 the first one only finds the port: a socket that did not ask for its port by number loses it
            # when it stops to listen.
            target = self._table.binds.get(address, address)
            assert isinstance(target, IpAddress), "a table names addresses of the same kind"
            port = first.getsockname()[1]
            while len(group) < workers:
                group += [self._bound(address, target.with_port(port), True, ipv4_compat, mode)]
        except BaseException:
            for sock in group:
                sock.close()
            raise
        finally:
            first.close()
        return group

    async def connect(self, address: Address, *, keepalive: TcpKeepalive | None = None) -> socket.socket:
        """A connected non-blocking socket.

        Raises:
            OSError: refused, unreachable.

        Cancelled: the socket is closed.
        """
        target = self._table.connects.get(address, address)
        sock = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if isinstance(target, IpAddress):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if keepalive is not None:
                set_keepalive(sock, keepalive)
            await _connect(sock, target)
        except BaseException:
            sock.close()
            raise
        return sock


def _bind_pipe(sock: socket.socket, target: PipeAddress, mode: int) -> None:
    in_file_system = not target.path.startswith("@")
    if in_file_system:
        with contextlib.suppress(OSError):  # if it is there and can't be removed, bind says what is wrong
            os.unlink(target.path)
    sock.bind(target.sockaddr)
    if mode and in_file_system:
        os.chmod(target.path, mode)


async def _connect(sock: socket.socket, target: Address) -> None:
    try:
        sock.connect(target.sockaddr)
    except BlockingIOError:
        if target.family == AF_UNIX:  # the backlog is full; nothing tells when it no longer is
            raise
        await trio.lowlevel.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error)) from None
    else:
        await trio.lowlevel.checkpoint()


def set_keepalive(sock: socket.socket, config: TcpKeepalive) -> None:
    """Turn TCP keep-alive on; what the config does not say is left to the system. Pipes have none."""
    if sock.family == AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPCNT", config.keepalive_probes),
        ("TCP_KEEPIDLE", config.keepalive_time),
        ("TCP_KEEPINTVL", config.keepalive_interval),
    ):
        if value is not None:
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
