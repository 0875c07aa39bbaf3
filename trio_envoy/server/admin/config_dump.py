"""/config_dump: the configuration as it is in force, in the sections of envoy.admin.v3.ConfigDump.

Source: Envoy, server/admin/config_dump_handler.cc; `.configs[1]` is the clusters section, as scripts rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import re2

from trio_envoy.config import schema
from trio_envoy.config.dump import ordered
from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply
from trio_envoy.server.admin.endpoint_dump import assignment
from trio_envoy.server.admin.field_mask import MaskError, trimmed, trimmed_resource
from trio_envoy.server.admin.node import node_tree

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_ADMIN: Final = "envoy.admin.v3."
_HCM: Final = "HttpConnectionManager"
_RESOURCES: Final = ("static_clusters", "static_listeners", "static_route_configs")

Keep = Callable[[str], object]
Section = tuple[str, dict[str, Any]]  # full name of the message, its fields


class _Refused(Exception):
    """The query can't be answered; the text says why."""


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def config_dump(query: Query) -> Reply:
        params = query.params
        mask = params.get("mask", "")
        try:
            keep = _name_test(params.get("name_regex", ""))
            sections = list(_sections(server, keep, endpoints_too=query.has("include_eds")))
            if resource := params.get("resource", ""):
                return _one_resource(sections, resource, mask)
            configs = list(_masked(sections, mask))
        except _Refused as error:
            return Reply(str(error), 400)
        return json_reply({"configs": configs})

    return (
        Endpoint(
            "/config_dump",
            "dump current Envoy configs",
            config_dump,
            params=(
                Param("resource", "The resource to dump", known=lambda: _RESOURCES),
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
            group="Configuration",
        ),
    )


def _name_test(pattern: str) -> Keep | None:
    if not pattern:
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        keep: Keep = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise _Refused(f"INVALID_ARGUMENT: Error while parsing name_regex from {pattern}: {reason}") from None
    return keep


def _sections(server: Server, keep: Keep | None, *, endpoints_too: bool) -> Iterator[Section]:
    """All sections of the dump, in Envoy's order; those of routes only where there is an HTTP connection manager."""
    when = _timestamp(server.started_wall)
    resources = server.loaded.tree.get("static_resources", {})

    def items(trees: list[Any], field: str, fqn: str) -> list[dict[str, Any]]:
        return [
            {field: {"@type": f"{schema.TYPE_URL_PREFIX}{fqn}"} | ordered(tree, fqn), "last_updated": when}
            for tree in trees
            if keep is None or keep(tree.get("name", ""))
        ]

    listeners = resources.get("listeners", [])
    clusters = sorted(resources.get("clusters", []), key=lambda tree: str(tree.get("name", "")))
    managers = list(_connection_managers(listeners))
    bootstrap = dict(ordered(server.loaded.tree, "envoy.config.bootstrap.v3.Bootstrap"))
    yield "BootstrapConfigDump", {"bootstrap": {**bootstrap, "node": node_tree(server)}, "last_updated": when}
    found = items(clusters, "cluster", "envoy.config.cluster.v3.Cluster")
    yield "ClustersConfigDump", {"static_clusters": found}
    if endpoints_too:
        every = server.clusters.clusters.values()
        assignments = [{"endpoint_config": assignment(one)} for one in every if keep is None or keep(one.name)]
        yield "EndpointsConfigDump", {"static_endpoint_configs": assignments}
    found = items(listeners, "listener", "envoy.config.listener.v3.Listener")
    yield "ListenersConfigDump", {"static_listeners": found}
    if managers:
        yield "ScopedRoutesConfigDump", {}
        routes = [manager["route_config"] for manager in managers if "route_config" in manager]
        found = items(routes, "route_config", "envoy.config.route.v3.RouteConfiguration")
        yield "RoutesConfigDump", {"static_route_configs": found}
    yield "SecretsConfigDump", {}


def _connection_managers(listeners: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Those of all filter chains, in the order of the listeners."""
    for listener in listeners:
        for chain in [*listener.get("filter_chains", []), listener.get("default_filter_chain", {})]:
            for entry in chain.get("filters", []):
                config = entry.get("typed_config", {})
                if str(config.get("@type", "")).endswith(_HCM):
                    yield config


def _masked(sections: list[Section], mask: str) -> Iterator[dict[str, Any]]:
    """The sections that the mask fits, cut by it; a mask that fits none is refused."""
    nothing = True
    for kind, fields in sections:
        fqn = f"{_ADMIN}{kind}"
        tree = {"@type": f"{schema.TYPE_URL_PREFIX}{fqn}"} | {name: value for name, value in fields.items() if value}
        try:
            cut = trimmed(tree, fqn, mask.split(",")) if mask else tree
        except MaskError:
            continue
        nothing = False
        yield cut
    if nothing:
        raise _Refused(f"FieldMask {mask} could not be successfully applied to any configs.")


def _one_resource(sections: list[Section], resource: str, mask: str) -> Reply:
    for kind, fields in sections:
        message = schema.message(f"{_ADMIN}{kind}")
        field = message.fields.get(resource) if message is not None else None
        if field is None:
            continue
        if not field.repeated:
            raise _Refused(f"{resource} is not a repeated field. Use ?mask={resource} to get only this field")
        items = [{"@type": f"{schema.TYPE_URL_PREFIX}{field.type_name}"} | item for item in fields.get(resource, [])]
        try:
            cut = [trimmed_resource(item, field.type_name, mask.split(",")) if mask else item for item in items]
        except MaskError:
            raise _Refused(f"FieldMask {mask} could not be successfully used.") from None
        return json_reply({"configs": cut} if cut else {})
    return Reply(f"{resource} not found in config dump", 404)


def _timestamp(wall: float) -> str:
    moment = datetime.fromtimestamp(wall, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
