"""Listener filters, network filters and transport sockets: what runs on a connection before its bytes are HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import attrs

from trio_envoy.net.channel import Channel
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.stats.store import Scope
from trio_envoy.util.deadlines import Guard


@attrs.define(eq=False)
class Connection:
    """One downstream connection on its way through the filters.

    Attributes:
        channel: its bytes; a filter may replace it by a wrapper.
        info: addresses, SNI, TLS facts; shared with channel.info.
        guard: deadlines of the connection's task.
        alpn: negotiated (TLS) or sniffed (http_inspector) protocol, "" when unknown.
        drain: set by the terminal filter: finish and close. None: just close the channel.
        on_close: run, in order, when the connection has ended, whatever ended it. They never block.
    """

    channel: Channel
    info: ConnectionInfo
    guard: Guard
    alpn: str = ""
    drain: Callable[[], None] | None = None
    on_close: list[Callable[[], None]] = attrs.Factory(list)


class ListenerFilter(Protocol):
    """Runs before TLS and before the filter chain is chosen."""

    async def on_accept(self, connection: Connection) -> None:
        """Look at the first bytes (peeked); raise CloseConnection to refuse."""


class NetworkFilter(Protocol):
    """Runs on each connection of a filter chain, in order."""

    async def on_connection(self, connection: Connection) -> None:
        """Check, count, wrap connection.channel; raise CloseConnection to refuse."""


@runtime_checkable
class TerminalFilter(Protocol):
    """The last network filter; it serves the connection."""

    async def serve(self, connection: Connection) -> None:
        """Own the connection to its end (HCM, tcp_proxy, echo).

        Returns with the channel closed. Peer faults end here quietly (stats, debug log); an exception that leaves
        this call is a bug of ours and is logged by the connection's wall.
        """


class HandshakeFailed(Protocol):
    """Called instead of TerminalFilter.serve() when the transport socket could not accept a connection."""

    def __call__(self, seconds: float, *, local: bool) -> None:
        """Count it.

        Args:
            seconds: that the connection lasted.
            local: we gave it up, because it took too long.
        """


@runtime_checkable
class CountsHandshakes(Protocol):
    """A terminal filter that counts connections whether or not they get as far as to be served."""

    handshake_failed: HandshakeFailed


@attrs.frozen(eq=False)
class TransportContext:
    """What factories of transport sockets are given.

    Attributes:
        services: the process.
        scope: stats scope of the owner, `listener.<address>.` or `cluster.<name>.`.
    """

    services: Services
    scope: Scope


class Accepting(Protocol):
    """A downstream transport socket (raw, TLS)."""

    async def accept(self, channel: Channel) -> Channel:
        """Shake hands on a fresh connection; info.tls is known afterwards.

        Raises:
            CloseConnection: the handshake failed; stats and info.transport_failure tell why.
        """


class Connecting(Protocol):
    """An upstream transport socket (raw, TLS)."""

    async def connect(
        self,
        channel: Channel,
        *,
        hostname: str = "",
        server_name: str = "",
        verified_name: str = "",
        alpn: Sequence[str] = (),
    ) -> Channel:
        """Shake hands on a connected channel.

        Args:
            channel: connected.
            hostname: of the endpoint, for auto_host_sni.
            server_name: SNI that the request wants (auto_sni); "" leaves it to the configuration.
            verified_name: name that the request wants in the certificate (auto_san_validation); "" wants none.
            alpn: protocols to offer when the configuration names none.

        Raises:
            UpstreamFailure: flag UF; transport tells why, as Envoy's %UPSTREAM_TRANSPORT_FAILURE_REASON%.

        Cancelled: the channel is closed.
        """
