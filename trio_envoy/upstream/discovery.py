"""How the hosts of a cluster are found, and how a host is made from what a configuration says of an endpoint.

Proto: envoy.config.cluster.v3.Cluster.DiscoveryType, envoy.config.endpoint.v3. The ways themselves are extensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from trio_envoy import registry
from trio_envoy.config.cluster import DiscoveryType
from trio_envoy.config.endpoint import (
    ClusterLoadAssignment,
    Endpoint,
    HealthCheckConfig,
    LbEndpoint,
    LocalityLbEndpoints,
)
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import Address, IpAddress, from_config
from trio_envoy.registry import Category
from trio_envoy.upstream.context import ClusterContext, Discovery
from trio_envoy.upstream.host import NO_LOCALITY, Host

_MODULES: Final = {
    DiscoveryType.STATIC: "static",
    DiscoveryType.STRICT_DNS: "strict_dns",
    DiscoveryType.LOGICAL_DNS: "logical_dns",
}
_NO_CONFIG: Final = HealthCheckConfig()


def make_discovery(context: ClusterContext) -> Discovery:
    """The discovery of a cluster.

    Raises:
        ConfigError: a type that is not supported, or endpoints that do not fit it.
    """
    config = context.config
    if config.cluster_type is not None:
        typed = config.cluster_type.typed_config
        extension = registry.extension_for(Category.CLUSTER, typed)
        if extension is None:
            raise ConfigError(
                f"Didn't find a registered cluster factory implementation for name: '{config.cluster_type.name}'",
                at=config.cluster_type,
            )
        return cast(Discovery, extension.factory(typed, context))
    kind = config.type or DiscoveryType.STATIC
    module = _MODULES.get(kind)
    if module is None:
        raise ConfigError(f"type {kind} is not supported here", at=config, field="type")
    extension = registry.built_in(Category.CLUSTER, f"envoy.cluster.{module}", f"clusters.{module}")
    return cast(Discovery, extension.factory(config, context))


def endpoints(assignment: ClusterLoadAssignment | None) -> Iterator[tuple[LbEndpoint, LocalityLbEndpoints]]:
    """All endpoints in order, each with the group that it is in."""
    for group in assignment.endpoints if assignment is not None else ():
        for endpoint in group.lb_endpoints:
            yield endpoint, group


def endpoint_of(lb: LbEndpoint) -> Endpoint:
    """The endpoint with an address that there must be.

    Raises:
        ConfigError: there is none.
    """
    if lb.endpoint is None or lb.endpoint.address is None:
        raise ConfigError("Address must be set", at=lb)
    return lb.endpoint


def make_host(lb: LbEndpoint, group: LocalityLbEndpoints, address: Address, hostname: str) -> Host:
    """A host for an endpoint; default.total_match_count is the caller's.

    Args:
        lb: what the configuration says of it.
        group: where it is; its priority.
        address: its address, as configured or resolved.
        hostname: its name, "" for none.

    Raises:
        ConfigError: a health check port for a pipe, a bad health check address.
    """
    host = Host(
        address,
        hostname=hostname,
        weight=lb.load_balancing_weight or 1,
        locality=group.locality or NO_LOCALITY,
        priority=group.priority,
        canary=lb.metadata is not None and lb.metadata.filter_metadata.get("envoy.lb", {}).get("canary") is True,
        status=lb.health_status,
    )
    config = lb.endpoint.health_check_config if lb.endpoint is not None else None
    if config is not None:
        host.health_check_host = config.hostname
        host.checked = not config.disable_active_health_check
        host.health_check_address = check_address(config, address)
    return host


def check_address(config: HealthCheckConfig | None, address: Address) -> Address:
    """Where a host with this address is checked.

    Raises:
        ConfigError: see make_host().
    """
    config = config or _NO_CONFIG
    base = address if config.address is None else from_config(config.address)
    if not config.port_value:
        return base
    if not isinstance(base, IpAddress):
        raise ConfigError("Invalid host configuration: non-zero port for non-IP address", at=config, field="port_value")
    return base.with_port(config.port_value)
