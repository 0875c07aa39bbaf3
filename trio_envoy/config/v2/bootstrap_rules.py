"""Fields of the bootstrap, of nodes, of xDS sources, of secrets and of tracers that v3 hasn't."""

from __future__ import annotations

from typing import Any

from trio_envoy.config import schema
from trio_envoy.config.v2.run import At
from trio_envoy.config.v2.walk import FINISH, Era, Node, rule

_SAN_TYPES = ("DNS", "URI", "IP_ADDRESS", "EMAIL")


@rule("config.bootstrap.v2.Bootstrap", "runtime")
def runtime(node: Node, name: str, value: Any) -> None:
    """`runtime` -> layered_runtime: base, disk, the disk layer of the service cluster, admin."""
    path = node.at(name)
    node.take(name)
    if not isinstance(value, dict):
        node.run.fault(path, "runtime is a message with symlink_root, subdirectory, override_subdirectory, base")
        return
    if node.get("layered_runtime") is not None:
        node.run.fault(path, "stands beside layered_runtime; only one of them can be set")
        return

    def field(key: str) -> At | None:
        spelling = key if key in value else schema.camel(key)
        return At(value[spelling], (*path, spelling)) if value.get(spelling) is not None else None

    base, root = field("base"), field("symlink_root")
    subdirectory, override = field("subdirectory"), field("override_subdirectory")
    layers: list[Any] = [] if base is None else [{"name": "base", "static_layer": base}]
    if root is not None:
        disk: dict[str, Any] = {"symlink_root": root} | ({} if subdirectory is None else {"subdirectory": subdirectory})
        layers.append({"name": "root", "disk_layer": disk})
        if override is not None:
            disk = {"symlink_root": root, "subdirectory": override, "append_service_cluster": True}
            layers.append({"name": "override", "disk_layer": disk})
    layers.append({"name": "admin", "admin_layer": {}})
    node.put("layered_runtime", {"layers": layers}, path)
    node.run.change(path, "runtime becomes layered_runtime")


@rule("api.v2.core.Node", "build_version")
@rule("admin.v2alpha.CommandLineOptions", "max_stats", "max_obj_name_len")
@rule("api.v2.auth.CertificateValidationContext", "require_ocsp_staple")
@rule("config.filter.fault.v2.FaultDelay", "type")
@rule("config.filter.http.ext_authz.v2.ExtAuthz", "use_alpha")
def dropped(node: Node, name: str, value: Any) -> None:
    """Fields that did nothing, or (`use_alpha`) nothing that there is any more."""
    node.drop(name, "it does nothing")


@rule("api.v2.auth.CertificateValidationContext", "verify_subject_alt_name")
def verify_subject_alt_name(node: Node, name: str, value: Any) -> None:
    """`verify_subject_alt_name` -> match_typed_subject_alt_names: v2 compared with names of every type."""
    path = node.at(name)
    matchers: list[Any] = [
        At(node.run.place({"san_type": san_type, "matcher": {"exact": each}}, each.path), each.path)
        for each in node.strings(name)
        for san_type in _SAN_TYPES
    ]
    others = node.get("match_subject_alt_names")  # Envoy refuses this field beside the typed one
    if others is not None:
        where = node.at("match_subject_alt_names")
        upgraded = node.upgraded("match_subject_alt_names", others, where)
        node.take("match_subject_alt_names")
        node.new.pop(node.key("match_subject_alt_names"), None)
        for index, each in enumerate(upgraded if isinstance(upgraded, list) else [upgraded]):
            place = (*where, index) if isinstance(upgraded, list) else where
            matchers += [
                At(node.run.place({"san_type": san_type, "matcher": At(each, place)}, place), place)
                for san_type in _SAN_TYPES
            ]
    node.append("match_typed_subject_alt_names", matchers, path)
    node.run.change(path, "verify_subject_alt_name becomes match_typed_subject_alt_names, one for each type of name")


@rule("api.v2.core.ApiConfigSource", "transport_api_version")
@rule("api.v2.core.ConfigSource", "resource_api_version")
def api_version(node: Node, name: str, value: Any) -> None:
    """V2 -> V3: Envoy speaks no other."""
    path, key = node.at(name), node.key(name)
    if str(value).upper() not in ("V2", "1"):
        node.keep(key, value)
    elif node.era is Era.V2 or node.run.is_v2:
        node.put(key, "V3", path)
        node.run.change(path, "V2 becomes V3: the management server is asked for v3 resources")
    else:
        node.run.depends()
        node.keep(key, value)


@rule("api.v2.DiscoveryResponse", "type_url")
def type_url(node: Node, name: str, value: Any) -> None:
    """The type of the resources of a discovery response."""
    prefix, slash, fqn = str(value).rpartition("/")
    new = schema.find_message_of_v2(fqn)
    if new is None:
        node.keep(node.key(name), value)
    else:
        node.put(node.key(name), f"{prefix}{slash}{new}", node.at(name))
        node.change(name, f"{fqn} is now {new}")


def _zipkin(node: Node) -> None:
    """HTTP_JSON_V1 was the default up to 1.17 and is no longer spoken."""
    if node.era is not Era.V2:
        return
    version = node.get("collector_endpoint_version")
    if version is not None and str(version).upper() not in ("HTTP_JSON_V1", "0"):
        return
    where = node.at("collector_endpoint_version") if version is not None else node.path
    node.put(node.key("collector_endpoint_version"), "HTTP_JSON", where)
    node.run.change(where, "collector_endpoint_version: HTTP_JSON is written: Envoy speaks the first version no longer")
    endpoint = node.get("collector_endpoint")
    if isinstance(endpoint, str) and endpoint.endswith("/api/v1/spans"):
        path = node.at("collector_endpoint")
        node.put(node.key("collector_endpoint"), endpoint.removesuffix("v1/spans") + "v2/spans", path)
        node.run.change(path, "/api/v1/spans becomes /api/v2/spans")


FINISH["envoy.config.trace.v3.ZipkinConfig"] = _zipkin
