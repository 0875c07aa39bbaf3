"""Is anything in this document v2? A cheap look at keys, names and @types that says no only when that is certain.

Almost every document is v3 from end to end and must not pay for the walk: this looks once at each dict. What only v2
has and stands below an @type is found by that @type (v2's are all other ones), so of field names only those count that
can stand in the untyped part: the bootstrap, its clusters, its listeners without their filters, secrets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_envoy.config import aliases, schema

TYPED_STRUCTS: Final = ("udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct")


def _spellings(*names: str) -> frozenset[str]:
    return frozenset(spelling for name in names for spelling in (name, schema.camel(name)))


_SUSPECT: Final = _spellings(
    "build_version",
    "config",
    "disable_overprovisioning",
    "drain_connections_on_host_removal",
    "extension_protocol_options",
    "hosts",
    "regex_match",
    "require_ocsp_staple",
    "sni_domains",
    "tls_context",
    "udp_listener_name",
    "verify_subject_alt_name",
)
"""Keys that call for the walk by themselves."""

_SUSPECT_HEALTH_CHECK: Final = _spellings("service_name", "use_http2")
_LB_POLICY: Final = _spellings("typed_extension_config")
_HOLD_REGEX: Final = _spellings("safe_regex", "safe_regex_match", "pattern", "tag_name")
"""In v3 `regex` stands below one of the first three (RegexMatcher) or beside the last (TagSpecifier)."""


_CONTAINERS: Final = (dict, list)


@functools.cache
def _names() -> frozenset[str]:
    return aliases.known_names()


def may_be_v2(tree: Any) -> bool:
    """Whether the walk has to look at this document (which may still find nothing to do)."""
    if not isinstance(tree, dict):
        return False
    if tree.get("runtime") is not None:  # Bootstrap.runtime; elsewhere v3 has fields of that name
        return True
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            for each in node:
                if isinstance(each, _CONTAINERS):
                    waiting.append(each)
                    if "regex" in each and _HOLD_REGEX.isdisjoint(each):
                        return True
            continue
        for key, value in node.items():
            if key in _TELLING and _TELLING[key](node, value):
                return True
            if isinstance(value, _CONTAINERS):
                waiting.append(value)
                if "regex" in value and key not in _HOLD_REGEX:
                    return True
    return False


def _value(node: Mapping[str, Any], name: str) -> Any:
    return node[name] if name in node else node.get(schema.camel(name))


def _is_typed(config: Any) -> bool:
    return isinstance(config, dict) and "@type" in config


# --- keys that tell: (the dict, the key's value) -> does it call for the walk?


def _always(node: Mapping[str, Any], value: Any) -> bool:
    return True


def is_v2(fqn: str) -> bool:
    """Whether a message that Envoy knows is of the v2 API."""
    return fqn.startswith("envoy.") and not any(part.startswith("v3") for part in fqn.split("."))


@functools.cache
def _type_is_v2(url: str) -> bool:
    fqn = url.rpartition("/")[2]
    return fqn in TYPED_STRUCTS or is_v2(fqn)


def _type(node: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, str) and _type_is_v2(value)


def _bare_name(node: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, str) and value in _names() and not _is_typed(_value(node, "typed_config"))


def _health_check(node: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, dict) and not _SUSPECT_HEALTH_CHECK.isdisjoint(value)


def _lb_policy(node: Mapping[str, Any], value: Any) -> bool:
    return value in ("ORIGINAL_DST_LB", "4", 4) or str(value).upper() == "ORIGINAL_DST_LB"


def _source_type(node: Mapping[str, Any], value: Any) -> bool:
    return str(value).upper() == "LOCAL"


def _lb_extensions(node: Mapping[str, Any], value: Any) -> bool:
    policies = value.get("policies") if isinstance(value, dict) else None
    return any(isinstance(each, dict) and _LB_POLICY.isdisjoint(each) for each in policies or ())


def _overrides(node: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, dict) and not all(_is_typed(each) for each in value.values())


_TELLING: Final[dict[str, Callable[[Mapping[str, Any], Any], bool]]] = dict.fromkeys(_SUSPECT, _always) | {
    spelling: check
    for name, check in (
        ("@type", _type),
        ("http_health_check", _health_check),
        ("lb_policy", _lb_policy),
        ("load_balancing_policy", _lb_extensions),
        ("name", _bare_name),
        ("provider_name", _bare_name),
        ("source_type", _source_type),
        ("typed_per_filter_config", _overrides),
    )
    for spelling in _spellings(name)
}
