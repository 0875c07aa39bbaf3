"""envoy.config.listener.v3: listeners and their filter chains.

Source: envoy/config/listener/v3/{listener,listener_components}.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.accesslog import AccessLog
from trio_envoy.config.address import Address, CidrRange, TcpKeepalive
from trio_envoy.config.core import TrafficDirection, TransportSocket


class ConnectionSourceType(enum.StrEnum):
    """Where a connection comes from.

    Proto: envoy.config.listener.v3.FilterChainMatch.ConnectionSourceType
    """

    ANY = "ANY"
    SAME_IP_OR_LOOPBACK = "SAME_IP_OR_LOOPBACK"
    EXTERNAL = "EXTERNAL"


@attrs.frozen(kw_only=True)
class FilterChainMatch:
    """When a filter chain is chosen; the fields are tried in the order of their precedence.

    Attributes:
        destination_port: 1 to 65535; the address that was dialled before a redirect.
        prefix_ranges: IP ranges of that address.
        server_names: SNI, `*.example.com` for a suffix.
        transport_protocol: `raw_buffer` or `tls`.
        application_protocols: ALPN names or what an inspector found.
        direct_source_prefix_ranges: IP ranges of the peer itself.
        source_type: local or not.
        source_prefix_ranges: IP ranges of the client.
        source_ports: ports of the client, each 1 to 65535.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.FilterChainMatch"

    destination_port: int | None = None
    prefix_ranges: tuple[CidrRange, ...] = ()
    server_names: tuple[str, ...] = ()
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    direct_source_prefix_ranges: tuple[CidrRange, ...] = ()
    source_type: ConnectionSourceType = ConnectionSourceType.ANY
    source_prefix_ranges: tuple[CidrRange, ...] = ()
    source_ports: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class Filter:
    """A network filter.

    Attributes:
        name: not empty.
        typed_config: config object of the filter.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.Filter"

    name: str = ""
    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class ListenerFilter:
    """A listener filter.

    Attributes:
        name: not empty.
        typed_config: config object of the filter.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.ListenerFilter"

    name: str = ""
    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class FilterChain:
    """What is done with the connections of one kind.

    Attributes:
        filter_chain_match: which connections; None is all.
        filters: in order, the last one is terminal.
        transport_socket: None is plain TCP.
        transport_socket_connect_timeout: seconds for the handshake; None or 0 is unlimited.
        name: of the chain, for logs and updates.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.FilterChain"

    filter_chain_match: FilterChainMatch | None = None
    filters: tuple[Filter, ...] = ()
    transport_socket: TransportSocket | None = None
    transport_socket_connect_timeout: float | None = None
    name: str = ""


@attrs.frozen(kw_only=True)
class AdditionalAddress:
    """One more address of a listener.

    Attributes:
        address: required.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.AdditionalAddress"

    address: Address | None = None


class DrainType(enum.StrEnum):
    """When the connections of a listener are drained.

    Proto: envoy.config.listener.v3.Listener.DrainType
    """

    DEFAULT = "DEFAULT"
    MODIFY_ONLY = "MODIFY_ONLY"


@attrs.frozen(kw_only=True)
class Listener:
    """A socket that takes connections.

    Attributes:
        name: unique; empty gets a random UUID.
        address: required.
        additional_addresses: more sockets for the same filter chains.
        stat_prefix: instead of the address in the names of the statistics.
        filter_chains: at least one (or default_filter_chain).
        default_filter_chain: for connections that no chain matches.
        per_connection_buffer_limit_bytes: soft limit; None is 1 MiB.
        listener_filters: in order, before the chain is chosen.
        listener_filters_timeout: seconds; None is 15, 0 is off.
        continue_on_listener_filters_timeout: go on instead of closing.
        enable_reuse_port: SO_REUSEPORT; None is True.
        bind_to_port: None is True; False opens no socket.
        tcp_backlog_size: None is the system's limit.
        tcp_keepalive: probes on accepted connections.
        traffic_direction: for `/drain_listeners?inboundonly`.
        drain_type: DEFAULT or MODIFY_ONLY.
        access_log: one entry a connection.
    """

    __proto__: ClassVar[str] = "envoy.config.listener.v3.Listener"

    name: str = ""
    address: Address | None = None
    additional_addresses: tuple[AdditionalAddress, ...] = ()
    stat_prefix: str = ""
    filter_chains: tuple[FilterChain, ...] = ()
    default_filter_chain: FilterChain | None = None
    per_connection_buffer_limit_bytes: int | None = None
    listener_filters: tuple[ListenerFilter, ...] = ()
    listener_filters_timeout: float | None = None
    continue_on_listener_filters_timeout: bool = False
    enable_reuse_port: bool | None = None
    bind_to_port: bool | None = None
    tcp_backlog_size: int | None = None
    tcp_keepalive: TcpKeepalive | None = None
    traffic_direction: TrafficDirection = TrafficDirection.UNSPECIFIED
    drain_type: DrainType = DrainType.DEFAULT
    access_log: tuple[AccessLog, ...] = ()
