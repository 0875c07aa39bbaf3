"""The node as /server_info and /config_dump show it: who we are, and which extensions are in use.

Source: envoy.config.core.v3.Node; Envoy, local_info_impl.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_envoy import registry
from trio_envoy.server.version import ENVOY_VERSION, own_version

if TYPE_CHECKING:
    from trio_envoy.server.server import Server


def node_tree(server: Server, *, with_defaults: bool = False) -> dict[str, Any]:
    """The Node message.

    Args:
        server: whose.
        with_defaults: fields that are not set are there too, as /server_info prints them.
    """
    options = server.services.options
    given = server.loaded.tree.get("node", {})
    tree: dict[str, Any] = {"id": options.service_node, "cluster": options.service_cluster}
    if "metadata" in given:
        tree["metadata"] = given["metadata"]
    locality = dict(given.get("locality", {}))
    if options.service_zone:
        locality["zone"] = options.service_zone
    if locality:
        names = ("region", "zone", "sub_zone")
        tree["locality"] = {name: locality.get(name, "") for name in names if with_defaults or locality.get(name)}
    major, minor, patch = (int(part) for part in ENVOY_VERSION.split("."))
    version = {"major_number": major, "minor_number": minor, "patch": patch}
    tree["user_agent_name"] = "envoy"
    tree["user_agent_build_version"] = {
        "version": version if with_defaults else {name: number for name, number in version.items() if number},
        "metadata": {"trio_envoy": own_version(), "build.type": "RELEASE"},
    }
    tree["extensions"] = [_extension(extension, with_defaults) for extension in registry.registered()]
    if with_defaults:
        tree |= {"client_features": [], "listening_addresses": [], "dynamic_parameters": {}}
    return tree if with_defaults else {name: value for name, value in tree.items() if value}


def _extension(extension: registry.Extension, with_defaults: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": extension.name, "category": str(extension.category)}
    if with_defaults:
        tree |= {"type_descriptor": "", "disabled": False}
    urls = [extension.config.__proto__] if extension.config is not None else []
    return tree | {"type_urls": urls} if urls or with_defaults else tree
