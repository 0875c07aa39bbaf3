"""envoy.cluster.strict_dns: each address that a name has is a host.

Config: envoy.config.cluster.v3.Cluster with type STRICT_DNS; docs: intro/arch_overview/upstream/service_discovery.
"""

from __future__ import annotations

from trio_envoy.config.cluster import Cluster
from trio_envoy.registry import Category, register
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.resolved import DnsHosts
from trio_envoy.upstream.resolving import DnsSettings


@register(Category.CLUSTER, "envoy.cluster.strict_dns")
def make(config: Cluster, context: ClusterContext) -> DnsHosts:
    """The discovery of a cluster."""
    return DnsHosts(config, DnsSettings.of_cluster(config, context), context, single=False)
