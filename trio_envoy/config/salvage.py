"""What is left of a configuration with faults, so that what is wrong with the rest is found in the same run.

A listener or cluster at fault is replaced by one that is right and does nothing: what follows keeps its place, and
routes to the cluster still find its name. Any other part at fault is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trio_envoy.config import schema
from trio_envoy.config.bootstrap import Bootstrap, StaticResources
from trio_envoy.errors import Path

_RESOURCES: Final = ("listeners", "clusters")
_ADDRESS: Final = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}


def salvage(tree: Any, faults: Iterable[Path]) -> dict[str, Any] | None:
    """The tree without what is at fault; None when too much is.

    Args:
        tree: canonical, as far as it could be read; it isn't changed.
        faults: paths in it, in either spelling.
    """
    if not isinstance(tree, dict):
        return None
    rest = dict(tree)
    resources = tree.get("static_resources")
    if isinstance(resources, dict):
        resources = rest["static_resources"] = {
            key: list(value) if isinstance(value, list) else value for key, value in resources.items()
        }
    for path in faults:
        top, second, index = (*_named(path), None, None, None)[:3]
        if top is None:
            return None
        if top != "static_resources" or not isinstance(resources, dict):
            rest.pop(top, None)
        elif second not in _RESOURCES:
            resources.pop(second, None)
        elif not isinstance(resources.get(second), list) or len(path) < 3:
            return None
        else:
            index = index if isinstance(index, int) else 0  # a list of one may be written without its brackets
            held = resources[second][index]
            resources[second][index] = _stand_in(second, held, index)
    return rest


def _named(path: Path) -> Path:
    """The path with the first two names in snake_case."""
    names = list(path)
    for position, message in enumerate((Bootstrap.__proto__, StaticResources.__proto__)[: len(path)]):
        table = schema.message(message)
        field = table.fields.get(str(path[position])) if table is not None else None
        if field is not None:
            names[position] = field.name
    return tuple(names)


def _stand_in(kind: str, held: Any, index: int) -> Mapping[str, Any]:
    """A resource that is right, under the same name."""
    said = held.get("name") if isinstance(held, Mapping) else None
    name = said if isinstance(said, str) and said else f"at fault: {index}"
    return {"name": name} if kind == "clusters" else {"name": name, "address": _ADDRESS, "filter_chains": [{}]}
