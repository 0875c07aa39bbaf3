"""envoy.config.cluster.v3: groups of upstream hosts.

Source: envoy/config/cluster/v3/{cluster,circuit_breaker}.proto.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

import attrs

from trio_envoy.config.address import Address, TcpKeepalive
from trio_envoy.config.core import RoutingPriority, RuntimeDouble, TransportSocket, TypedExtensionConfig
from trio_envoy.config.endpoint import ClusterLoadAssignment
from trio_envoy.config.healthcheck import HealthCheck
from trio_envoy.config.protocol import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    UpstreamHttpProtocolOptions,
)
from trio_envoy.config.types import Percent


class DiscoveryType(enum.StrEnum):
    """How the hosts are found.

    Proto: envoy.config.cluster.v3.Cluster.DiscoveryType
    """

    STATIC = "STATIC"
    STRICT_DNS = "STRICT_DNS"
    LOGICAL_DNS = "LOGICAL_DNS"
    EDS = "EDS"
    ORIGINAL_DST = "ORIGINAL_DST"


class LbPolicy(enum.StrEnum):
    """How a host is chosen.

    Proto: envoy.config.cluster.v3.Cluster.LbPolicy
    """

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    RING_HASH = "RING_HASH"
    RANDOM = "RANDOM"
    MAGLEV = "MAGLEV"
    CLUSTER_PROVIDED = "CLUSTER_PROVIDED"
    LOAD_BALANCING_POLICY_CONFIG = "LOAD_BALANCING_POLICY_CONFIG"


class DnsLookupFamily(enum.StrEnum):
    """Which addresses are asked for.

    Proto: envoy.config.cluster.v3.Cluster.DnsLookupFamily
    """

    AUTO = "AUTO"
    V4_ONLY = "V4_ONLY"
    V6_ONLY = "V6_ONLY"
    V4_PREFERRED = "V4_PREFERRED"
    ALL = "ALL"


class ClusterProtocolSelection(enum.StrEnum):
    """Deprecated: which protocol the cluster speaks.

    Proto: envoy.config.cluster.v3.Cluster.ClusterProtocolSelection
    """

    USE_CONFIGURED_PROTOCOL = "USE_CONFIGURED_PROTOCOL"
    USE_DOWNSTREAM_PROTOCOL = "USE_DOWNSTREAM_PROTOCOL"


@attrs.frozen(kw_only=True)
class RetryBudget:
    """Retries as a share of the requests.

    Attributes:
        budget_percent: of the active and pending requests; None is 20.
        min_retry_concurrency: always allowed; None is 3.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget"

    budget_percent: Percent | None = None
    min_retry_concurrency: int | None = None


@attrs.frozen(kw_only=True)
class CircuitBreakersThresholds:
    """Limits of one priority.

    Attributes:
        priority: whose.
        max_connections: None is 1024.
        max_pending_requests: None is 1024.
        max_requests: None is 1024.
        max_retries: None is 3.
        retry_budget: instead of max_retries.
        track_remaining: publish the `remaining_*` gauges.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.CircuitBreakers.Thresholds"

    priority: RoutingPriority = RoutingPriority.DEFAULT
    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None
    retry_budget: RetryBudget | None = None
    track_remaining: bool = False


@attrs.frozen(kw_only=True)
class CircuitBreakers:
    """Limits of a cluster.

    Attributes:
        thresholds: one for each priority; the first one of a priority counts.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.CircuitBreakers"

    thresholds: tuple[CircuitBreakersThresholds, ...] = ()


@attrs.frozen(kw_only=True)
class RefreshRate:
    """Back-off after a failed resolution.

    Attributes:
        base_interval: seconds, > 1 ms; required.
        max_interval: seconds, > 1 ms; None is 10 x base.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster.RefreshRate"

    base_interval: float
    max_interval: float | None = None


@attrs.frozen(kw_only=True)
class LeastRequestLbConfig:
    """Options of LEAST_REQUEST.

    Attributes:
        choice_count: hosts to compare, at least 2; None is 2.
        active_request_bias: with unequal weights: how much active requests count; None is 1.0.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig"

    choice_count: int | None = None
    active_request_bias: RuntimeDouble | None = None


@attrs.frozen(kw_only=True)
class RoundRobinLbConfig:
    """Options of ROUND_ROBIN."""

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig"


@attrs.frozen(kw_only=True)
class CommonLbConfig:
    """Options of every balancer.

    Attributes:
        healthy_panic_threshold: percent; None is 50; below it all hosts are used.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster.CommonLbConfig"

    healthy_panic_threshold: Percent | None = None


@attrs.frozen(kw_only=True)
class LoadBalancingPolicyPolicy:
    """A policy that may be taken.

    Attributes:
        typed_extension_config: the policy and its options; required.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.LoadBalancingPolicy.Policy"

    typed_extension_config: TypedExtensionConfig | None = None


@attrs.frozen(kw_only=True)
class LoadBalancingPolicy:
    """Policies in the order in which they are liked; the first one that is supported is taken.

    Attributes:
        policies: at least one.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.LoadBalancingPolicy"

    policies: tuple[LoadBalancingPolicyPolicy, ...] = ()


@attrs.frozen(kw_only=True)
class CustomClusterType:
    """A way to find hosts that is an extension.

    Attributes:
        name: free text, not empty.
        typed_config: config object of the extension.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster.CustomClusterType"

    name: str = ""
    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class UpstreamConnectionOptions:
    """Sockets to the hosts.

    Attributes:
        tcp_keepalive: probes.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.UpstreamConnectionOptions"

    tcp_keepalive: TcpKeepalive | None = None


@attrs.frozen(kw_only=True)
class Cluster:
    """A group of hosts.

    Attributes:
        name: unique, not empty.
        alt_stat_name: instead of the name in the names of the statistics.
        type: STATIC, STRICT_DNS or LOGICAL_DNS (oneof cluster_discovery_type).
        cluster_type: an extension instead (oneof cluster_discovery_type).
        connect_timeout: seconds, > 0; None is 5; includes the TLS handshake.
        per_connection_buffer_limit_bytes: soft limit; None is 1 MiB.
        lb_policy: ROUND_ROBIN, LEAST_REQUEST or RANDOM.
        load_assignment: the hosts.
        health_checks: at most one.
        max_requests_per_connection: deprecated; None or 0 is unlimited.
        circuit_breakers: None is the default limits.
        upstream_http_protocol_options: deprecated; what TLS takes from the request.
        common_http_protocol_options: deprecated; limits for every version.
        http_protocol_options: deprecated; HTTP/1.
        http2_protocol_options: deprecated; not None: HTTP/2.
        typed_extension_protocol_options: by extension name; HttpProtocolOptions among them.
        dns_refresh_rate: deprecated; seconds, > 1 ms; None is 5.
        dns_failure_refresh_rate: deprecated; None is dns_refresh_rate.
        dns_jitter: deprecated; seconds on top of the refresh rate, at random.
        respect_dns_ttl: deprecated; the TTL of the answer replaces the refresh rate.
        dns_lookup_family: AUTO asks for IPv6, then for IPv4.
        dns_resolvers: deprecated; servers to ask instead of resolv.conf's.
        use_tcp_for_dns_lookups: deprecated; ask over TCP.
        wait_for_warm_on_init: listeners wait for the first resolution; None is True.
        common_lb_config: options of every balancer.
        load_balancing_policy: instead of lb_policy and its options.
        least_request_lb_config: options of LEAST_REQUEST (oneof lb_config).
        round_robin_lb_config: options of ROUND_ROBIN.
        transport_socket: None is plain TCP.
        upstream_connection_options: sockets.
        close_connections_on_host_health_failure: those of a TCP proxy; HTTP requests run to their end anyway.
        ignore_health_on_host_removal: drop a removed host at once, healthy or not.
        protocol_selection: deprecated.
    """

    __proto__: ClassVar[str] = "envoy.config.cluster.v3.Cluster"

    name: str = ""
    alt_stat_name: str = ""
    type: DiscoveryType | None = None
    cluster_type: CustomClusterType | None = None
    connect_timeout: float | None = None
    per_connection_buffer_limit_bytes: int | None = None
    lb_policy: LbPolicy = LbPolicy.ROUND_ROBIN
    load_assignment: ClusterLoadAssignment | None = None
    health_checks: tuple[HealthCheck, ...] = ()
    max_requests_per_connection: int | None = None
    circuit_breakers: CircuitBreakers | None = None
    upstream_http_protocol_options: UpstreamHttpProtocolOptions | None = None
    common_http_protocol_options: HttpProtocolOptions | None = None
    http_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None
    typed_extension_protocol_options: Mapping[str, object] = attrs.field(factory=dict)
    dns_refresh_rate: float | None = None
    dns_failure_refresh_rate: RefreshRate | None = None
    dns_jitter: float | None = None
    respect_dns_ttl: bool = False
    dns_lookup_family: DnsLookupFamily = DnsLookupFamily.AUTO
    dns_resolvers: tuple[Address, ...] = ()
    use_tcp_for_dns_lookups: bool = False
    wait_for_warm_on_init: bool | None = None
    common_lb_config: CommonLbConfig | None = None
    load_balancing_policy: LoadBalancingPolicy | None = None
    least_request_lb_config: LeastRequestLbConfig | None = None
    round_robin_lb_config: RoundRobinLbConfig | None = None
    transport_socket: TransportSocket | None = None
    upstream_connection_options: UpstreamConnectionOptions | None = None
    close_connections_on_host_health_failure: bool = False
    ignore_health_on_host_removal: bool = False
    protocol_selection: ClusterProtocolSelection = ClusterProtocolSelection.USE_CONFIGURED_PROTOCOL
