"""/certs: the certificates that are in use, and how long they are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_envoy.server.admin.endpoint import Endpoint, Query, Reply, json_reply

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def certs(_: Query) -> Reply:
        found: list[dict[str, Any]] = [facts.tree() for facts in server.services.certificates]
        return json_reply({"certificates": found})

    return (Endpoint("/certs", "print certs on machine", certs, group="Configuration"),)
