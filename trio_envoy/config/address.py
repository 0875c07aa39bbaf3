"""envoy.config.core.v3: where a socket binds or connects to.

Source: envoy/config/core/v3/address.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs


class SocketAddressProtocol(enum.StrEnum):
    """Transport of a socket address.

    Proto: envoy.config.core.v3.SocketAddress.Protocol
    """

    TCP = "TCP"
    UDP = "UDP"


@attrs.frozen(kw_only=True)
class SocketAddress:
    """An IP address or a name, and a port.

    Attributes:
        protocol: TCP or UDP.
        address: IPv4, IPv6 or, for DNS clusters, a hostname; not empty.
        port_value: 0 to 65535; 0 lets the system choose (listeners).
        ipv4_compat: an IPv6 listener on `::` takes IPv4 clients too.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.SocketAddress"

    protocol: SocketAddressProtocol = SocketAddressProtocol.TCP
    address: str = ""
    port_value: int | None = None
    ipv4_compat: bool = False


@attrs.frozen(kw_only=True)
class Pipe:
    """A Unix domain socket.

    Attributes:
        path: file name, or `@name` in the abstract namespace (Linux).
        mode: permission bits of the file, 0 to 0o777; 0 keeps what the umask gives.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Pipe"

    path: str = ""
    mode: int = 0


@attrs.frozen(kw_only=True)
class Address:
    """Any address (oneof address, required).

    Attributes:
        socket_address: IP and port.
        pipe: Unix domain socket.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Address"

    socket_address: SocketAddress | None = None
    pipe: Pipe | None = None


@attrs.frozen(kw_only=True)
class CidrRange:
    """A range of IP addresses.

    Attributes:
        address_prefix: IPv4 or IPv6 address.
        prefix_len: bits that count, 0 to 128; None is 0, the whole world.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.CidrRange"

    address_prefix: str = ""
    prefix_len: int | None = None


@attrs.frozen(kw_only=True)
class TcpKeepalive:
    """TCP keep-alive probes; None leaves it to the system.

    Attributes:
        keepalive_probes: unanswered probes before the connection is dead.
        keepalive_time: seconds of silence before the first probe.
        keepalive_interval: seconds between probes.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.TcpKeepalive"

    keepalive_probes: int | None = None
    keepalive_time: int | None = None
    keepalive_interval: int | None = None
