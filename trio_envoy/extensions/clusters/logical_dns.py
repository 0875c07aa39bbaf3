"""envoy.cluster.logical_dns: one host, at the first address that a name has.

Config: envoy.config.cluster.v3.Cluster with type LOGICAL_DNS; docs: intro/arch_overview/upstream/service_discovery.
"""

from __future__ import annotations

from trio_envoy.config.cluster import Cluster
from trio_envoy.registry import Category, register
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.resolved import DnsHosts
from trio_envoy.upstream.resolving import DnsSettings


@register(Category.CLUSTER, "envoy.cluster.logical_dns")
def make(config: Cluster, context: ClusterContext) -> DnsHosts:
    """The discovery of a cluster."""
    return DnsHosts(config, DnsSettings.of_cluster(config, context), context, single=True)
