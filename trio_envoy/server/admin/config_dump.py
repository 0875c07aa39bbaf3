"""/config_dump: the configuration as it is in force, in the sections of envoy.admin.v3.ConfigDump.

Source: Envoy, server/admin/config_dump_handler.cc; `.configs[1]` is the clusters section, as scripts rely on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import re2

from trio_envoy.config.dump import ordered
from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply
from trio_envoy.server.admin.info import node_tree

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_ADMIN: Final = "type.googleapis.com/envoy.admin.v3."
_HCM: Final = "HttpConnectionManager"
_MASK: Final = re.compile(r"[a-z_][a-z0-9_.]*(,[a-z_][a-z0-9_.]*)*", re.ASCII)


class _Section:
    """One section of the dump, with the repeated fields that `resource` may name."""

    def __init__(self, kind: str, item: str, fields: Mapping[str, list[dict[str, Any]]], message: str) -> None:
        self.kind = kind
        self.item = item  # message of the items, as StaticCluster
        self.fields = fields
        self.message = message  # the field of an item that holds the configuration

    def tree(self) -> dict[str, Any]:
        return {"@type": f"{_ADMIN}{self.kind}"} | {name: items for name, items in self.fields.items() if items}


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def config_dump(query: Query) -> Reply:
        params = query.params
        mask = params.get("mask", "")
        if mask and not _MASK.fullmatch(mask):
            return Reply(f"FieldMask {mask} could not be successfully used.", 400)
        keep = None
        if pattern := params.get("name_regex", ""):
            try:
                keep = re2.compile(pattern).search
            except re2.error as error:
                return Reply(f"Error while parsing name_regex from /config_dump?name_regex={pattern}: {error}", 400)
        sections = _sections(server, keep)
        resource = params.get("resource", "")
        if resource:
            return _resource(sections, resource, mask)
        configs = [_bootstrap(server), *(section.tree() for section in sections)]
        if mask:
            configs = [masked for tree in configs if (masked := _masked(tree, mask)).keys() - {"@type"}]
        return json_reply({"configs": configs})

    return (
        Endpoint(
            "/config_dump",
            "dump current Envoy configs",
            config_dump,
            params=(
                Param("resource", "The resource to dump"),
                Param(
                    "mask",
                    "The mask to apply. When both resource and mask are specified, the mask is applied to every "
                    "element in the desired repeated field so that only a subset of fields are returned. The mask "
                    "is parsed as a Protobuf::FieldMask",
                ),
                Param(
                    "name_regex",
                    "Dump only the currently loaded configurations whose names match the specified regex. Can be used "
                    "with both resource and mask query parameters.",
                ),
                Param(
                    "include_eds",
                    "Dump currently loaded configuration including EDS. See the response definition for more "
                    "information",
                    flag=True,
                ),
            ),
            group="Config",
        ),
    )


def _bootstrap(server: Server) -> dict[str, Any]:
    tree = dict(ordered(server.loaded.tree, "envoy.config.bootstrap.v3.Bootstrap"))
    return {
        "@type": f"{_ADMIN}BootstrapConfigDump",
        "bootstrap": {"node": node_tree(server)} | {name: value for name, value in tree.items() if name != "node"},
        "last_updated": _timestamp(server.started_wall),
    }


def _sections(server: Server, keep: Any) -> list[_Section]:
    when = _timestamp(server.started_wall)
    resources = server.loaded.tree.get("static_resources", {})

    def items(trees: list[Any], field: str, fqn: str) -> list[dict[str, Any]]:
        return [
            {field: {"@type": f"type.googleapis.com/{fqn}"} | ordered(tree, fqn), "last_updated": when}
            for tree in trees
            if keep is None or keep(tree.get("name", ""))
        ]

    listeners = resources.get("listeners", [])
    clusters = sorted(resources.get("clusters", []), key=lambda tree: str(tree.get("name", "")))
    routes = list(_route_configs(listeners))
    return [
        _Section(
            "ClustersConfigDump",
            "StaticCluster",
            {"static_clusters": items(clusters, "cluster", "envoy.config.cluster.v3.Cluster")},
            "cluster",
        ),
        _Section(
            "ListenersConfigDump",
            "StaticListener",
            {"static_listeners": items(listeners, "listener", "envoy.config.listener.v3.Listener")},
            "listener",
        ),
        _Section("ScopedRoutesConfigDump", "InlineScopedRouteConfigs", {}, "scoped_route_configs"),
        _Section(
            "RoutesConfigDump",
            "StaticRouteConfig",
            {"static_route_configs": items(routes, "route_config", "envoy.config.route.v3.RouteConfiguration")},
            "route_config",
        ),
        _Section("SecretsConfigDump", "StaticSecret", {}, "secret"),
    ]


def _route_configs(listeners: list[Any]) -> Any:
    """The inline route tables, in the order of the listeners."""
    for listener in listeners:
        for chain in [*listener.get("filter_chains", []), listener.get("default_filter_chain", {})]:
            for entry in chain.get("filters", []):
                config = entry.get("typed_config", {})
                if str(config.get("@type", "")).endswith(_HCM) and "route_config" in config:
                    yield config["route_config"]


def _resource(sections: list[_Section], resource: str, mask: str) -> Reply:
    for section in sections:
        if resource in section.fields:
            kind = f"{_ADMIN}{section.kind}.{section.item}"
            items = [{"@type": kind} | item for item in section.fields[resource]]
            if mask:
                items = [_masked(item, mask) for item in items]
            return json_reply({"configs": items} if items else {})
    return Reply(f"{resource} not found in config dump", 404)


def _masked(tree: Mapping[str, Any], mask: str) -> dict[str, Any]:
    """Only the named fields (and @type); a path goes through lists, as protobuf's FieldMask does for the dump."""
    wanted: dict[str, list[str]] = {}
    for path in mask.split(","):
        first, _, rest = path.partition(".")
        wanted.setdefault(first, []).append(rest)
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name == "@type":
            found[name] = value
        elif name in wanted:
            inner = [rest for rest in wanted[name] if rest]
            found[name] = value if len(inner) < len(wanted[name]) else _deeper(value, ",".join(inner))
    return found


def _deeper(value: Any, mask: str) -> Any:
    if isinstance(value, Mapping):
        return _masked(value, mask)
    if isinstance(value, list):
        return [_deeper(item, mask) for item in value]
    return value


def _timestamp(wall: float) -> str:
    moment = datetime.fromtimestamp(wall, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
