"""envoy.cluster.dns: a DNS cluster as an extension: every address a host, or all addresses in one.

Config: envoy.extensions.clusters.dns.v3.DnsCluster; the same as STRICT_DNS and LOGICAL_DNS otherwise.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.cluster import DnsLookupFamily as ClusterFamily
from trio_envoy.registry import Category, message_class, register
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.resolved import DnsHosts
from trio_envoy.upstream.resolving import DEFAULT_REFRESH_RATE, DnsSettings, failure_bounds


class DnsLookupFamily(enum.StrEnum):
    """Which addresses are asked for; UNSPECIFIED is AUTO.

    Proto: envoy.extensions.clusters.common.dns.v3.DnsLookupFamily
    """

    UNSPECIFIED = "UNSPECIFIED"
    AUTO = "AUTO"
    V4_ONLY = "V4_ONLY"
    V6_ONLY = "V6_ONLY"
    V4_PREFERRED = "V4_PREFERRED"
    ALL = "ALL"


@message_class
@attrs.frozen(kw_only=True)
class RefreshRate:
    """Back-off after a failed resolution.

    Proto: envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate

    Attributes:
        base_interval: seconds, > 1 ms; required.
        max_interval: seconds, > 1 ms; None is 10 x base.
    """

    __proto__: ClassVar[str] = "envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate"

    base_interval: float
    max_interval: float | None = None


@attrs.frozen(kw_only=True)
class DnsCluster:
    """How names are asked for.

    Proto: envoy.extensions.clusters.dns.v3.DnsCluster

    Attributes:
        dns_refresh_rate: seconds, > 1 ms; None is 5.
        dns_failure_refresh_rate: None is dns_refresh_rate.
        respect_dns_ttl: the TTL of the answer replaces the refresh rate.
        dns_jitter: seconds on top of the refresh rate, at random.
        dns_lookup_family: AUTO asks for IPv6, then for IPv4.
        all_addresses_in_single_endpoint: one host, as LOGICAL_DNS has it.
    """

    __proto__: ClassVar[str] = "envoy.extensions.clusters.dns.v3.DnsCluster"

    dns_refresh_rate: float | None = None
    dns_failure_refresh_rate: RefreshRate | None = None
    respect_dns_ttl: bool = False
    dns_jitter: float | None = None
    dns_lookup_family: DnsLookupFamily = DnsLookupFamily.UNSPECIFIED
    all_addresses_in_single_endpoint: bool = False


@register(Category.CLUSTER, "envoy.cluster.dns", config=DnsCluster)
def make(config: DnsCluster, context: ClusterContext) -> DnsHosts:
    """The discovery of a cluster."""
    family = config.dns_lookup_family
    settings = DnsSettings(
        ClusterFamily.AUTO if family is DnsLookupFamily.UNSPECIFIED else ClusterFamily(family.value),
        config.dns_refresh_rate or DEFAULT_REFRESH_RATE,
        failure_bounds(config.dns_failure_refresh_rate, config),
        config.respect_dns_ttl,
        config.dns_jitter or 0.0,
    )
    return DnsHosts(context.config, settings, context, single=config.all_addresses_in_single_endpoint)
