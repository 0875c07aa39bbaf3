"""Clusters as `/clusters` shows them: text and JSON, in Envoy's order and words.

Source: Envoy, server/admin/clusters_handler.cc; envoy.admin.v3.ClusterStatus. Numbers that are 0 are left out of JSON.
"""

from __future__ import annotations

from typing import Any, Final

from trio_envoy.net.address import Address, IpAddress
from trio_envoy.upstream.breakers import Breakers
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.host import HealthFlag, Host

# What is counted for a host: in the text all by name, in JSON counters first.
_COUNTERS: Final = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
_GAUGES: Final = ("cx_active", "rq_active", "rq_pending_active")
_ALL: Final = tuple(sorted(_COUNTERS + _GAUGES))
_PRIORITIES: Final = ("default", "high")
_FLAGS_BEFORE_EDS: Final = (("failed_active_health_check", HealthFlag.FAILED_ACTIVE_HC),)
_FLAGS_AFTER_EDS: Final = (
    ("failed_active_degraded_check", HealthFlag.DEGRADED_ACTIVE_HC),
    ("pending_dynamic_removal", HealthFlag.PENDING_DYNAMIC_REMOVAL),
    ("pending_active_hc", HealthFlag.PENDING_ACTIVE_HC),
    ("excluded_via_immediate_hc_fail", HealthFlag.EXCLUDED_VIA_IMMEDIATE_HC_FAIL),
    ("active_hc_timeout", HealthFlag.ACTIVE_HC_TIMEOUT),
)


def as_text(cluster: Cluster) -> str:
    """The lines of a cluster, each with a newline."""
    name = cluster.name
    lines = [f"observability_name::{cluster.observability_name}"]
    for priority, breakers in zip(_PRIORITIES, cluster.breakers, strict=True):
        lines += [f"{priority}_priority::{key}::{value}" for key, value in _limits(breakers).items()]
    lines.append("added_via_api::false")
    for host in cluster.hosts.hosts:
        lines += _host_lines(host)
    return "".join([f"{name}::{line}\n" for line in lines])


def as_json(cluster: Cluster) -> dict[str, Any]:
    """The ClusterStatus of a cluster."""
    status: dict[str, Any] = {"name": cluster.name}
    if cluster.hosts.hosts:
        status["host_statuses"] = [_host_status(host) for host in cluster.hosts.hosts]
    default, high = cluster.breakers
    status["circuit_breakers"] = {"thresholds": [_limits(default), {"priority": "HIGH", **_limits(high)}]}
    status["observability_name"] = cluster.observability_name
    return status


def _limits(breakers: Breakers) -> dict[str, int]:
    return {
        "max_connections": breakers.connections.limit,
        "max_pending_requests": breakers.pending.limit,
        "max_requests": breakers.requests.limit,
        "max_retries": breakers.retries.limit,
    }


def _host_lines(host: Host) -> list[str]:
    address, locality = str(host.address), host.locality
    values: dict[str, object] = {name: getattr(host, name) for name in _ALL}
    values |= {
        "hostname": host.hostname,
        "health_flags": host.flags_text(),
        "weight": host.weight,
        "region": locality.region,
        "zone": locality.zone,
        "sub_zone": locality.sub_zone,
        "canary": "true" if host.canary else "false",
        "priority": host.priority,
        "success_rate": -1,  # of outlier detection
        "local_origin_success_rate": -1,
    }
    return [f"{address}::{name}::{value}" for name, value in values.items()]


def _host_status(host: Host) -> dict[str, Any]:
    status: dict[str, Any] = {
        "address": _address(host.address),
        "stats": [
            *[_metric(name, getattr(host, name), {}) for name in _COUNTERS],
            *[_metric(name, getattr(host, name), {"type": "GAUGE"}) for name in _GAUGES],
        ],
        "health_status": _health(host),
        "weight": host.weight,
    }
    if host.hostname:
        status["hostname"] = host.hostname
    if host.priority:
        status["priority"] = host.priority
    locality = host.locality
    places = {"region": locality.region, "zone": locality.zone, "sub_zone": locality.sub_zone}
    status["locality"] = {name: place for name, place in places.items() if place}
    return status


def _metric(name: str, value: int, kind: dict[str, str]) -> dict[str, str]:
    return {**kind, **({"value": str(value)} if value else {}), "name": name}


def _health(host: Host) -> dict[str, Any]:
    status: dict[str, Any] = {name: True for name, flag in _FLAGS_BEFORE_EDS if host.flags & flag}
    if host.flags & HealthFlag.FAILED_EDS_HEALTH:
        status["eds_health_status"] = "UNHEALTHY"
    elif host.flags & HealthFlag.EDS_STATUS_DRAINING:
        status["eds_health_status"] = "DRAINING"
    elif host.flags & HealthFlag.DEGRADED_EDS_HEALTH:
        status["eds_health_status"] = "DEGRADED"
    else:
        status["eds_health_status"] = "HEALTHY"
    status.update((name, True) for name, flag in _FLAGS_AFTER_EDS if host.flags & flag)
    return status


def _address(address: Address) -> dict[str, Any]:
    if isinstance(address, IpAddress):
        return {"socket_address": {"address": address.host, "port_value": address.port}}
    return {"pipe": {"path": address.path}}
