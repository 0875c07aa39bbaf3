"""Addresses as Envoy prints and compares them: IP with a port, or the path of a Unix domain socket.

Source: envoy/config/core/v3/address.proto; texts as in Envoy's network/address_impl.cc.
"""

from __future__ import annotations

import functools
import socket
from typing import Any, Final

import attrs

from trio_envoy.config import address as config
from trio_envoy.errors import ConfigError

_MAPPED: Final = "::ffff:"
_MAX_PIPE_PATH: Final = 107  # bytes; sockaddr_un.sun_path on Linux, less its final NUL
AF_UNIX: Final[int] = getattr(socket, "AF_UNIX", -1)  # not there on Windows


@attrs.frozen
class IpAddress:
    """An IP address and a port.

    Attributes:
        host: the address as inet_ntop writes it; IPv4-mapped IPv6 is written as IPv4. IPv6 may end in `%scope`.
        port: 0 to 65535.
    """

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def ip(self) -> str:
        """Without port and brackets, as %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% prints it."""
        return self.host

    @property
    def sockaddr(self) -> tuple[str, int]:
        """What socket.bind and socket.connect take."""
        return self.host, self.port

    def with_port(self, port: int) -> IpAddress:
        """The same host, another port."""
        return IpAddress(self.host, port)

    @functools.cached_property
    def text(self) -> bytes:
        """As str() gives it, kept: access logs want it for every request."""
        return str(self).encode()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@attrs.frozen
class PipeAddress:
    """A Unix domain socket.

    Attributes:
        path: file name; `@name` is Linux's abstract namespace; "" is a peer that has not bound.
    """

    path: str

    @property
    def family(self) -> int:
        """AF_UNIX."""
        return AF_UNIX

    @property
    def ip(self) -> str:
        """The path: that is what Envoy's *_WITHOUT_PORT operators print."""
        return self.path

    @property
    def sockaddr(self) -> str:
        """What socket.bind and socket.connect take."""
        return f"\0{self.path[1:]}" if self.path.startswith("@") else self.path

    @functools.cached_property
    def text(self) -> bytes:
        """The path, kept."""
        return self.path.encode("utf-8", "surrogateescape")

    def __str__(self) -> str:
        return self.path


Address = IpAddress | PipeAddress


def parse_ip(text: str) -> str | None:
    """The address in its canonical writing, or None when it is not an IP address (a hostname, `127.1`, `[::1]`)."""
    if ":" not in text:
        try:
            return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
        except (OSError, ValueError):  # ValueError: NUL inside
            return None
    bare, percent, scope = text.partition("%")
    try:
        host = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, bare))
    except (OSError, ValueError):
        return None
    if not percent:
        return host
    return f"{host}%{scope}" if scope else None


def parse_ip_port(text: str) -> IpAddress | None:
    """`127.0.0.1:80` or `[::1]:80`; None when it is anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    ip = parse_ip(host[1:-1] if bracketed else host)
    if ip is None or (":" in ip) is not bracketed:
        return None
    return IpAddress(ip, int(port))


def from_sockaddr(family: int, sockaddr: Any) -> Address:
    """What accept, getsockname and getpeername give."""
    if family == AF_UNIX:
        if isinstance(sockaddr, bytes):
            sockaddr = sockaddr.decode("utf-8", "surrogateescape")
        return PipeAddress(f"@{sockaddr[1:]}" if sockaddr.startswith("\0") else sockaddr)
    host, port = sockaddr[:2]
    if family == socket.AF_INET6 and "." in host and host.startswith(_MAPPED):
        host = host[len(_MAPPED) :]
    return IpAddress(host, port)


def from_config(address: config.Address) -> Address:
    """The address that a configuration names.

    Raises:
        ConfigError: the text is not an IP address (a hostname belongs in a DNS cluster), or a path is too long.
    """
    if address.pipe is not None:
        return _from_pipe(address.pipe)
    if address.socket_address is None:
        raise ConfigError("an address needs 'socket_address' or 'pipe'", at=address)
    return from_socket_address(address.socket_address)


def from_socket_address(address: config.SocketAddress) -> IpAddress:
    """The IP address and port of a SocketAddress.

    Raises:
        ConfigError: the text is not an IP address.
    """
    ip = parse_ip(address.address)
    if ip is None:
        raise ConfigError(f"malformed IP address: {address.address}", at=address, field="address")
    return IpAddress(ip, address.port_value or 0)


def _from_pipe(pipe: config.Pipe) -> PipeAddress:
    if len(pipe.path.encode()) > _MAX_PIPE_PATH:
        raise ConfigError(
            f'Path "{pipe.path}" exceeds maximum UNIX domain socket path size of {_MAX_PIPE_PATH + 1}',
            at=pipe,
            field="path",
        )
    return PipeAddress(pipe.path)
