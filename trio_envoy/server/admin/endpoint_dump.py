"""The endpoints of a cluster as /config_dump?include_eds shows them: what is in force, not what was configured.

Source: Envoy, config_dump_handler.cc (dumpEndpointConfigs); envoy.admin.v3.EndpointsConfigDump.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trio_envoy.server.admin.listeners import address_tree
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.host import Host

_TYPE: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_OVERPROVISIONING: Final = 140  # percent; ClusterLoadAssignment.Policy.overprovisioning_factor


def assignment(cluster: Cluster) -> dict[str, Any]:
    """The ClusterLoadAssignment of a cluster: by priority, then by locality in order of names."""
    tree: dict[str, Any] = {"@type": _TYPE, "cluster_name": cluster.name}
    places: dict[tuple[int, str, str, str], list[Host]] = {}
    for host in cluster.hosts.hosts:
        place = host.locality
        places.setdefault((host.priority, place.region, place.zone, place.sub_zone), []).append(host)
    if places:
        tree["endpoints"] = [_locality(places[place]) for place in sorted(places)]
    return tree | {"policy": {"overprovisioning_factor": _OVERPROVISIONING}}


def _locality(hosts: Iterable[Host]) -> dict[str, Any]:
    hosts = list(hosts)
    place, priority = hosts[0].locality, hosts[0].priority
    names = {"region": place.region, "zone": place.zone, "sub_zone": place.sub_zone}
    return {
        "locality": {name: value for name, value in names.items() if value},
        "lb_endpoints": [_endpoint(host) for host in hosts],
        "load_balancing_weight": 0,
        **({"priority": priority} if priority else {}),
    }


def _endpoint(host: Host) -> dict[str, Any]:
    check: dict[str, Any] = {}
    if host.health_check_address != host.address:
        check["port_value"] = getattr(host.health_check_address, "port", 0)
    if host.health_check_host:
        check["hostname"] = host.health_check_host
    endpoint: dict[str, Any] = {"address": address_tree(host.address), "health_check_config": check}
    if host.hostname:
        endpoint["hostname"] = host.hostname
    health = "HEALTHY" if host.healthy else "DEGRADED" if host.degraded else "UNHEALTHY"
    return {"endpoint": endpoint, "health_status": health, "load_balancing_weight": host.weight}
