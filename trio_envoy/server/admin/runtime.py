"""/runtime and /runtime_modify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_USAGE: Final = (
    "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n"
    "       or send the parameters as form values\n"
    "use an empty value to remove a previously added override"
)
_KEY: Final = ":key"  # fields of the home page's form: a page without scripts can't name a field as its user likes
_VALUE: Final = ":value"


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoints of this file."""

    async def runtime(_: Query) -> Reply:
        snapshot = server.services.runtime.snapshot
        entries = {}
        for key in sorted(snapshot.entries):
            layers = [entries_of.get(key) for _, entries_of in snapshot.layers]
            entries[key] = {
                "final_value": snapshot.entries[key].text,
                "layer_values": ["" if entry is None else entry.text for entry in layers],
            }
        return json_reply({"entries": entries, "layers": [name for name, _ in snapshot.layers]})

    async def modify(query: Query) -> Reply:
        changes = dict(query.params)
        if _KEY in changes:
            changes[changes.pop(_KEY)] = changes.pop(_VALUE, "")
        if not changes or "" in changes:
            return Reply(_USAGE, 400)
        if not server.services.runtime.modify(changes):
            return Reply("No admin layer specified", 503)
        return Reply("OK\n")

    return (
        Endpoint("/runtime", "print runtime values", runtime, group="Configuration"),
        Endpoint(
            "/runtime_modify",
            "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an "
            "empty string as the value. Note that deletion only applies to overrides added via this endpoint; values "
            "loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...",
            modify,
            mutates=True,
            group="Configuration",
            form=(
                Param(_KEY, "Name of the runtime value", known=lambda: server.services.runtime.snapshot.entries),
                Param(_VALUE, "Its value; nothing removes the override"),
            ),
        ),
    )
