"""Fields of clusters, endpoints, health checks and load balancing that v3 hasn't."""

from __future__ import annotations

from typing import Any

from trio_envoy.config import schema
from trio_envoy.config.v2.run import At, is_true, listed
from trio_envoy.config.v2.walk import FINISH, Era, Node, rule, upgrade_any, upgrade_message
from trio_envoy.errors import Path

ADDRESS = "envoy.config.core.v3.Address"
UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


@rule("api.v2.Cluster", "hosts")
def hosts(node: Node, name: str, value: Any) -> None:
    """`hosts` -> load_assignment with one endpoint for each; where both are set, Envoy took hosts."""
    path = node.at(name)
    addresses = list(listed(value, path))
    if not addresses:
        node.drop(name, "it is empty")
        return
    node.take(name)
    if node.get("load_assignment") is not None:
        node.drop("load_assignment", "hosts counts where both are set")
        node.new.pop(node.key("load_assignment"), None)
    endpoints = [_lb_endpoint(node, address, where) for address, where in addresses]
    cluster_name = At(node.get("name") or "", node.at("name"))
    literal = {"cluster_name": cluster_name, "endpoints": [{"lb_endpoints": endpoints}]}
    node.put("load_assignment", literal, path)
    node.run.change(path, "hosts becomes load_assignment")


def _lb_endpoint(node: Node, address: Any, path: Path) -> At:
    new = upgrade_message(node.run, address, path, ADDRESS, Era.V2, node)
    return At(node.run.place({"endpoint": {"address": At(new, path)}}, path), path)


@rule("api.v2.Cluster", "tls_context")
def cluster_tls(node: Node, name: str, value: Any) -> None:
    """`tls_context` -> a TLS transport socket; `{}` means TLS that verifies nothing."""
    tls_context(node, name, value, UPSTREAM_TLS)


@rule("api.v2.listener.FilterChain", "tls_context")
def filter_chain_tls(node: Node, name: str, value: Any) -> None:
    """The same on a listener."""
    tls_context(node, name, value, DOWNSTREAM_TLS)


def tls_context(node: Node, name: str, value: Any, fqn: str) -> None:
    """Make a transport socket of a TLS context; where both are set, Envoy took the transport socket."""
    path = node.at(name)
    if node.get("transport_socket") is not None:
        node.drop(name, "transport_socket counts where both are set")
        return
    node.take(name)
    new = upgrade_message(node.run, value, path, fqn, Era.V2, node, schema.TYPE_URL_PREFIX + fqn)
    node.put("transport_socket", {"name": "envoy.transport_sockets.tls", "typed_config": At(new, path)}, path)
    node.run.change(path, "tls_context becomes transport_socket")


@rule("api.v2.Cluster", "lb_policy")
def lb_policy(node: Node, name: str, value: Any) -> None:
    """ORIGINAL_DST_LB -> CLUSTER_PROVIDED: a cluster of type ORIGINAL_DST brings its own balancer."""
    path = node.at(name)
    if str(value).upper() in ("ORIGINAL_DST_LB", "4"):
        node.put(node.key(name), "CLUSTER_PROVIDED", path)
        node.run.change(path, f"{value} becomes CLUSTER_PROVIDED")
    else:
        node.keep(node.key(name), value)


@rule("api.v2.ClusterLoadAssignment.Policy", "disable_overprovisioning")
def disable_overprovisioning(node: Node, name: str, value: Any) -> None:
    """`true` -> overprovisioning_factor 100 (hosts count as they are)."""
    path = node.at(name)
    if not is_true(value):
        node.drop(name, "it is off")
        return
    node.take(name)
    node.take("overprovisioning_factor")
    node.new.pop(node.key("overprovisioning_factor"), None)
    node.put("overprovisioning_factor", 100, path)
    node.run.change(path, "disable_overprovisioning becomes overprovisioning_factor: 100")


@rule("api.v2.LoadBalancingPolicy.Policy", "name", "config", "typed_config")
def lb_extension(node: Node, name: str, value: Any) -> None:
    """{name, typed_config} -> typed_extension_config."""
    path = node.at(name)
    label, typed, struct = node.take("name"), node.get("typed_config"), node.get("config")
    config: dict[str, Any] = {"name": At(label or "", node.at("name"))}
    if typed is not None:
        config["typed_config"] = At(
            upgrade_any(node.run, typed, node.at("typed_config"), node.era, node), node.at("typed_config")
        )
    elif struct is not None:
        node.fault("config", f"the load balancing policy {label!r} can't be upgraded: v2 had none in Envoy itself")
    node.take("typed_config")
    node.take("config")
    node.put("typed_extension_config", config, path)
    node.run.change(path, "name and typed_config become typed_extension_config")


@rule("api.v2.core.HealthCheck.HttpHealthCheck", "service_name")
def service_name(node: Node, name: str, value: Any) -> None:
    """`service_name` -> service_name_matcher: Envoy compared it as a prefix."""
    path = node.at(name)
    node.take(name)
    node.put("service_name_matcher", {"prefix": value}, path)
    node.run.change(path, "service_name becomes service_name_matcher.prefix")


@rule("api.v2.core.HealthCheck.HttpHealthCheck", "use_http2")
def use_http2(node: Node, name: str, value: Any) -> None:
    """`use_http2` -> codec_client_type."""
    path = node.at(name)
    node.take(name)
    codec = "HTTP2" if is_true(value) else "HTTP1"
    node.put("codec_client_type", codec, path)
    node.run.change(path, f"use_http2 becomes codec_client_type: {codec}")


@rule("api.v2.core.HealthCheck.HttpHealthCheck", "receive")
def receive(node: Node, name: str, value: Any) -> None:
    """One payload -> a list of payloads."""
    key, path = node.key(name), node.at(name)
    new = node.upgraded(name, value, path)
    if isinstance(value, list):
        node.keep(key, new)
    else:
        node.put(key, [At(new, path)], path)
        node.run.change(path, "receive is a list now")


def _outlier_detection(node: Node) -> None:
    """Up to 1.17 one host at least could always be ejected, whatever max_ejection_percent said."""
    if node.get("always_eject_one_host") is not None or node.get("max_ejection_percent") == 0:
        return
    if node.era is not Era.V2 and not node.run.is_v2:
        node.run.depends()
        return
    node.put("always_eject_one_host", True, node.path)
    node.run.change(node.path, "always_eject_one_host: true is written: up to 1.17 Envoy did so", v2=False)


def _health_check(node: Node) -> None:
    """Where a cluster has several health checks Envoy wants a name for each now, which v2's could not have."""
    checks = node.parent.get("health_checks") if node.parent is not None else None
    if not isinstance(checks, list) or len(checks) < 2 or node.get("name"):
        return
    if node.era is not Era.V2 and not node.run.is_v2:
        node.run.depends()
        return
    name = f"health_check_{node.path[-1]}"
    node.put("name", name, node.path)
    node.run.change(node.path, f"name: {name} is written: each of several health checks must have one", v2=False)


FINISH["envoy.config.cluster.v3.OutlierDetection"] = _outlier_detection
FINISH["envoy.config.core.v3.HealthCheck"] = _health_check
