"""/clusters: the hosts of each cluster, as text or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import re2

from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply
from trio_envoy.upstream.report import as_json, as_text

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_QUIET: Final = re2.Options()
_QUIET.log_errors = False


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def clusters(query: Query) -> Reply:
        await server.collect()
        found = list(server.clusters.clusters.values())
        pattern = query.params.get("filter", "")
        if pattern:
            try:
                search = re2.compile(pattern, _QUIET).search
            except re2.error:
                return Reply("Invalid re2 regex", 400)
            found = [cluster for cluster in found if search(cluster.name)]
        if query.params.get("format") == "json":
            return json_reply({"cluster_statuses": [as_json(cluster) for cluster in found]} if found else {})
        return Reply("".join([as_text(cluster) for cluster in found]))

    return (
        Endpoint(
            "/clusters",
            "upstream cluster status",
            clusters,
            params=(
                Param(
                    "filter",
                    "Regular expression (Google re2) for filtering clusters by name",
                    known=lambda: server.clusters.clusters,
                ),
                Param("format", "File format to use", ("text", "json")),
            ),
            group="Traffic",
        ),
    )
