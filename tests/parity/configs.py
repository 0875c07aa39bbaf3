"""Configurations of cases: named bases, the parts that a case puts into them, placeholders.

`${name}` stands for a port or a path; `${to a b}`, as a whole value, for a load assignment with one
endpoint per named upstream (`a*3` gives it the weight 3).
"""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.parity.case import UpstreamScript, upstream_scripts

BASES = Path(__file__).parent / "bases"

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


def base_upstreams(base: str | None) -> dict[str, UpstreamScript]:
    """The upstreams that a base brings along."""
    if base is None:
        return {}
    return upstream_scripts(_read(base).get("upstreams", {}))


def build(base: str, *parts: Mapping[str, Any]) -> Any:
    """The base's tree with the parts put into its slots, in order.

    A mapping is merged into what stands there (null removes a key), anything else replaces it; a slot
    whose path ends in "+" appends to the list there.

    Raises:
        LookupError: the base has no such slot.
    """
    document = _read(base)
    tree = copy.deepcopy(document["config"])
    for given in parts:
        for slot, value in given.items():
            if slot not in document["slots"]:
                raise LookupError(f"base {base!r} has no slot {slot!r}")
            tree = _put(tree, document["slots"][slot], value)
    return tree


def text_of(tree: Any, values: Mapping[str, Any]) -> str:
    """The tree as a file with its placeholders filled in: JSON, whose strings every YAML reader takes as strings."""
    return json.dumps(_fill(tree, values), indent=1) + "\n"


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """A file's text with its placeholders filled in where they stand."""

    def replace(match: re.Match[str]) -> str:
        value = _value(match[1], values)
        return value if isinstance(value, str) else json.dumps(value)

    return _PLACEHOLDER.sub(replace, text)


def _read(base: str) -> Any:
    return yaml.safe_load((BASES / f"{base}.yaml").read_text())


def _put(tree: Any, path: str, value: Any) -> Any:
    if not path:
        return _merge(tree, value)
    steps = [int(step) if step.isdigit() else step for step in path.removesuffix("+").split(".")]
    node = tree
    for step in steps[:-1]:
        node = node[step]
    last: Any = steps[-1]
    held = node[last] if isinstance(node, list) else node.get(last)
    node[last] = [*(held or []), *value] if path.endswith("+") else _merge(held, value)
    return tree


def _merge(held: Any, value: Any) -> Any:
    if not (isinstance(held, dict) and isinstance(value, dict)):
        return value
    merged = {**held, **{key: _merge(held.get(key), inner) for key, inner in value.items()}}
    return {key: inner for key, inner in merged.items() if inner is not None or key not in value}


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {_fill(key, values): _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values) for value in node]
    if not isinstance(node, str):
        return node
    whole = _PLACEHOLDER.fullmatch(node)
    return _value(whole[1], values) if whole else fill_text(node, values)


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if name.startswith("to "):
        return {
            "cluster_name": "to",
            "endpoints": [{"lb_endpoints": [_endpoint(one, values) for one in name.split()[1:]]}],
        }
    if name not in values:
        raise LookupError(f"unknown placeholder ${{{name}}}; known: {', '.join(sorted(values))}")
    return values[name]


def _endpoint(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    name, _, weight = name.partition("*")
    where = {"socket_address": {"address": "127.0.0.1", "port_value": values[name]}}
    endpoint: dict[str, Any] = {"endpoint": {"address": where}}
    return {**endpoint, "load_balancing_weight": int(weight)} if weight else endpoint
