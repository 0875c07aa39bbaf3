"""/listeners: names and addresses, as text or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_envoy.net.address import Address, IpAddress
from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def listeners(query: Query) -> Reply:
        rows = [
            (listener.name, address) for listener in server.listeners.listeners for address in listener.addresses[:1]
        ]
        if query.params.get("format") == "json":
            statuses = [{"name": name, "local_address": address_tree(address)} for name, address in rows]
            return json_reply({"listener_statuses": statuses} if statuses else {})
        return Reply("".join([f"{name}::{address}\n" for name, address in rows]))

    return (
        Endpoint(
            "/listeners",
            "print listener info",
            listeners,
            params=(Param("format", "File format to use", ("text", "json")),),
            group="Traffic",
        ),
    )


def address_tree(address: Address) -> dict[str, Any]:
    """envoy.config.core.v3.Address as JSON."""
    if isinstance(address, IpAddress):
        socket_address: dict[str, Any] = {"address": address.host}
        if address.port:
            socket_address["port_value"] = address.port
        return {"socket_address": socket_address}
    return {"pipe": {"path": address.path}}
