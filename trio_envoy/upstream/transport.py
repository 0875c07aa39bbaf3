"""From a host's address to a channel that speaks the cluster's transport: TCP or pipe, then TLS if it is configured.

The words for what went wrong are Envoy's (network/connection_impl.cc), as %UPSTREAM_TRANSPORT_FAILURE_REASON% shows
them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Final, cast

from trio_envoy import registry
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.tls import UpstreamTlsContext
from trio_envoy.errors import ConfigError, UpstreamFailure
from trio_envoy.net.address import Address, PipeAddress, from_sockaddr
from trio_envoy.net.channel import Channel
from trio_envoy.net.filter import Connecting, TransportContext
from trio_envoy.net.services import Services
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.stream_info import UF, ConnectionInfo
from trio_envoy.registry import Category
from trio_envoy.stats.store import Scope

REMOTE: Final = "remote connection failure"
LOCAL: Final = "local connection failure"

# What connect() says at once, before any packet; Envoy words it differently from what comes back later.
_IMMEDIATE: Final = frozenset(
    {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL, errno.EACCES, errno.EPERM}
)
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Dialer:
    """Makes connections for one cluster; nothing is counted here, and there is no timeout.

    Args:
        config: of the cluster.
        services: of the process.
        transport: shakes hands; None for plain TCP.
    """

    def __init__(self, config: Cluster, services: Services, transport: Connecting | None) -> None:
        self._services = services
        options = config.upstream_connection_options
        self._keepalive = options.tcp_keepalive if options is not None else None
        self._transport = transport

    async def dial(
        self,
        address: Address,
        *,
        hostname: str = "",
        server_name: str = "",
        verified_name: str = "",
        alpn: Sequence[str] = (),
    ) -> Channel:
        """A connected channel, hands shaken.

        Args:
            address: of the host.
            hostname: of the host, for auto_host_sni.
            server_name: TLS name that the request wants; "" leaves it to the configuration.
            verified_name: name that the request wants in the certificate; "" wants none.
            alpn: protocols to offer when the configuration names none.

        Raises:
            UpstreamFailure: flag UF.

        Cancelled: what was opened is closed.
        """
        channel = await self._connected(address)
        if self._transport is None:
            return channel
        return await self._transport.connect(
            channel, hostname=hostname, server_name=server_name, verified_name=verified_name, alpn=alpn
        )

    async def _connected(self, address: Address) -> Channel:
        services = self._services
        try:
            sock = await services.network.connect(address, keepalive=self._keepalive)
            local = from_sockaddr(sock.family, sock.getsockname())
        except OSError as error:
            raise connect_failure(error, address) from error
        return SocketChannel(sock, services.poller, ConnectionInfo(services.connection_id(), local, address))


def scheme_of(config: Cluster) -> bytes:
    """What the hosts of a cluster speak: b"https" over TLS, else b"http"."""
    socket = config.transport_socket
    return b"https" if socket is not None and isinstance(socket.typed_config, UpstreamTlsContext) else b"http"


def connect_failure(error: OSError, address: Address) -> UpstreamFailure:
    """What Envoy says of an error of connect()."""
    text = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _OUT_OF_DESCRIPTORS:
        return UpstreamFailure(LOCAL, UF, transport=text, sent=False)
    if isinstance(address, PipeAddress) or error.errno in _IMMEDIATE:
        text = f"immediate connect error: {text}|remote address:{address}"
    else:
        text = f"delayed connect error: {text}"
    return UpstreamFailure(REMOTE, UF, transport=text, sent=False)


def make_transport(config: Cluster, services: Services, scope: Scope) -> Connecting | None:
    """The transport socket of a cluster, None for plain TCP.

    Raises:
        ConfigError: one that is not supported or not for upstreams, or what its factory finds.
    """
    socket = config.transport_socket
    if socket is None:
        return None
    extension = registry.extension_for(Category.TRANSPORT_SOCKET_UPSTREAM, socket.typed_config)
    if extension is None:
        message = getattr(socket.typed_config, "__proto__", "")
        text = f"Didn't find a registered implementation for '{socket.name}' with type URL: '{message}'"
        raise ConfigError(text, at=socket)
    return cast(Connecting, extension.factory(socket.typed_config, TransportContext(services, scope)))
