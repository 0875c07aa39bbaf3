"""envoy.cluster.static: the hosts are those of the configuration, by IP address or pipe.

Config: envoy.config.cluster.v3.Cluster with type STATIC.
"""

from __future__ import annotations

from typing import Final

import trio

from trio_envoy.config.cluster import Cluster
from trio_envoy.config.endpoint import Endpoint, LbEndpoint
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.net.address import Address, from_config
from trio_envoy.registry import Category, register
from trio_envoy.upstream.context import ClusterContext, Update
from trio_envoy.upstream.discovery import endpoint_of, endpoints, make_host

_ADVICE: Final = ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"


class StaticDiscovery:
    """Hosts that never change; upstream.context.Discovery.

    Raises:
        ConfigError: an address that is not an IP address (a hostname), or none.
    """

    looping = False
    retains = False

    def __init__(self, config: Cluster, context: ClusterContext) -> None:
        hosts = []
        faults = Faults()
        for lb, group in endpoints(config.load_assignment):
            with faults:
                endpoint, address = _resolved(lb)
                hosts.append(make_host(lb, group, address, endpoint.hostname))
        faults.raise_all()
        self.hosts = tuple(hosts)
        context.stats.default_total_match_count += len(hosts)

    async def run(self, update: Update, *, task_status: trio.TaskStatus[None]) -> None:
        """Nothing to do."""
        update(self.hosts)
        task_status.started()


def _resolved(lb: LbEndpoint) -> tuple[Endpoint, Address]:
    try:
        endpoint = endpoint_of(lb)
        assert endpoint.address is not None, "endpoint_of() looks for it"
        return endpoint, from_config(endpoint.address)
    except ConfigError as error:
        raise ConfigError(error.text + _ADVICE, at=error.at, field=error.field) from None


@register(Category.CLUSTER, "envoy.cluster.static")
def make(config: Cluster, context: ClusterContext) -> StaticDiscovery:
    """The discovery of a cluster."""
    return StaticDiscovery(config, context)
