"""Is anything in this document v2? A cheap look at keys, names and @types that says no only when that is certain.

Almost every document is v3 from end to end and must not pay for the walk: this looks once at each dict. What only v2
has and stands below an @type is found by that @type (v2's are all other ones), so of field names only those count that
can stand in the untyped part: the bootstrap, its clusters, its listeners without their filters, secrets.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from trio_envoy.config import aliases, schema
from trio_envoy.config.v2.walk import TYPED_STRUCTS, is_v2


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

_CLOSER: Final = _spellings(
    "@type",
    "http_health_check",
    "lb_policy",
    "load_balancing_policy",
    "name",
    "provider_name",
    "source_type",
    "typed_per_filter_config",
)
"""Keys whose value tells."""

_SUSPECT_HEALTH_CHECK: Final = _spellings("service_name", "use_http2")
_LB_POLICY: Final = _spellings("typed_extension_config")
_HOLD_REGEX: Final = _spellings("safe_regex", "safe_regex_match", "pattern", "tag_name")
"""In v3 `regex` stands below one of the first three (RegexMatcher) or beside the last (TagSpecifier)."""


@functools.cache
def _names() -> frozenset[str]:
    return aliases.known_names()


@functools.cache
def _type_is_v2(url: str) -> bool:
    fqn = url.rpartition("/")[2]
    return fqn in TYPED_STRUCTS or is_v2(fqn)


def may_be_v2(tree: Any) -> bool:
    """Whether the walk has to look at this document (which may still find nothing to do)."""
    if not isinstance(tree, dict):
        return False
    if tree.get("runtime") is not None:  # Bootstrap.runtime; elsewhere v3 has fields of that name
        return True
    waiting: list[dict[str, Any] | list[Any]] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            for each in node:
                if isinstance(each, dict | list):
                    waiting.append(each)
                    if "regex" in each and _HOLD_REGEX.isdisjoint(each):
                        return True
            continue
        if not _SUSPECT.isdisjoint(node) or (not _CLOSER.isdisjoint(node) and _looks_v2(node)):
            return True
        for key, value in node.items():
            if isinstance(value, dict | list):
                waiting.append(value)
                if "regex" in value and key not in _HOLD_REGEX:
                    return True
    return False


def _looks_v2(node: Mapping[str, Any]) -> bool:
    """A closer look at a dict with one of the keys whose value tells."""
    url = node.get("@type")
    if isinstance(url, str) and _type_is_v2(url):
        return True
    name = _value(node, "name", "provider_name")
    if isinstance(name, str) and name in _names() and not _is_typed(_value(node, "typed_config")):
        return True
    check = _value(node, "http_health_check")
    if isinstance(check, dict) and not _SUSPECT_HEALTH_CHECK.isdisjoint(check):
        return True
    if str(_value(node, "lb_policy")).upper() in ("ORIGINAL_DST_LB", "4"):
        return True
    if str(_value(node, "source_type")).upper() == "LOCAL":
        return True
    balancing = _value(node, "load_balancing_policy")
    policies = balancing.get("policies") if isinstance(balancing, dict) else None
    if any(isinstance(each, dict) and _LB_POLICY.isdisjoint(each) for each in policies or ()):
        return True
    overrides = _value(node, "typed_per_filter_config")
    return isinstance(overrides, dict) and not all(_is_typed(each) for each in overrides.values())


def _value(node: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        for spelling in (name, schema.camel(name)):
            if spelling in node:
                return node[spelling]
    return None


def _is_typed(config: Any) -> bool:
    return isinstance(config, dict) and "@type" in config
