"""Fields of the HTTP connection manager and of HTTP filters that v3 hasn't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trio_envoy.config import schema
from trio_envoy.config.v2.run import At, Run
from trio_envoy.config.v2.walk import REPLACED, Era, Node, rule, upgrade_message
from trio_envoy.errors import Path

_HCM = "config.filter.network.http_connection_manager.v2.HttpConnectionManager"
_LISTENER = "envoy.config.listener.v3.Listener"
_COMPRESSOR = "envoy.extensions.filters.http.compressor.v3.Compressor"
_GZIP_LIBRARY = "envoy.extensions.compression.gzip.compressor.v3.Gzip"


@rule(_HCM, "idle_timeout")
def idle_timeout(node: Node, name: str, value: Any) -> None:
    """`idle_timeout` -> common_http_protocol_options.idle_timeout, which counted where both are set."""
    path = node.at(name)
    node.take(name)
    node.merge("common_http_protocol_options", {"idle_timeout": At(value, path)}, path)
    node.run.change(path, "idle_timeout becomes common_http_protocol_options.idle_timeout")


@rule(f"{_HCM}.Tracing", "operation_name")
def operation_name(node: Node, name: str, value: Any) -> None:
    """INGRESS, EGRESS -> the listener's traffic_direction, INBOUND or OUTBOUND."""
    path = node.at(name)
    direction = "OUTBOUND" if str(value).upper() in ("EGRESS", "1") else "INBOUND"
    listener = node.ancestor(_LISTENER)
    if listener is None or listener.get("traffic_direction") is not None:
        node.drop(name, "the listener's traffic_direction says it")
        return
    node.take(name)

    def direct() -> None:
        if "traffic_direction" not in listener.new:
            listener.put("traffic_direction", direction, path)

    listener.last.append(direct)
    node.run.change(path, f"operation_name becomes traffic_direction: {direction} of the listener")


@rule(f"{_HCM}.Tracing", "request_headers_for_tags")
def request_headers_for_tags(node: Node, name: str, value: Any) -> None:
    """`request_headers_for_tags` -> custom_tags, each called like its header."""
    path = node.at(name)
    tags = [
        At(node.run.place({"tag": each, "request_header": {"name": each}}, each.path), each.path)
        for each in node.strings(name)
    ]
    node.append("custom_tags", tags, path)
    node.run.change(path, "request_headers_for_tags becomes custom_tags")


@rule("config.filter.fault.v2.FaultDelay", "percent")
@rule("config.filter.http.fault.v2.FaultAbort", "percent")
def fault_percent(node: Node, name: str, value: Any) -> None:
    """Drafts before 1.9: percent -> percentage."""
    path = node.at(name)
    node.take(name)
    node.put("percentage", {"numerator": At(value, path), "denominator": "HUNDRED"}, path)
    node.run.change(path, "percent becomes percentage")


_LEVELS = {"DEFAULT": "DEFAULT_COMPRESSION", "BEST": "BEST_COMPRESSION", "SPEED": "BEST_SPEED"}
_STRATEGIES = {"DEFAULT": "DEFAULT_STRATEGY", "FILTERED": "FILTERED", "HUFFMAN": "HUFFMAN_ONLY", "RLE": "RLE"}
_BY_NUMBER = {"0": "DEFAULT", "1": "BEST", "2": "SPEED"}
_STRATEGY_BY_NUMBER = {"0": "DEFAULT", "1": "FILTERED", "2": "HUFFMAN", "3": "RLE"}


def gzip(run: Run, old: Mapping[str, Any], path: Path, parent: Node | None) -> dict[str, Any]:
    """The gzip filter -> the compressor filter with the gzip library."""
    v2 = schema.message("envoy.config.filter.http.gzip.v2.Gzip")
    assert v2 is not None, "the table has it"
    fields: dict[str, At] = {}
    unknown: dict[str, At] = {}
    for key, value in old.items():
        field = v2.fields.get(key)
        if field is None:
            unknown[key] = At(value, (*path, key))
        elif value is not None:
            fields[field.name] = At(value, (*path, key))
    if "compressor" in fields:  # since 1.14; its fields counted in place of the old ones beside it
        inner = fields.pop("compressor")
        for key, value in (inner.value if isinstance(inner.value, dict) else {}).items():
            fields[_snake(key)] = At(value, (*inner.path, key))
    run.change(path, "the gzip filter becomes the compressor filter with the gzip library")
    library: dict[str, Any] = {key: fields[key] for key in ("memory_level", "window_bits") if key in fields}
    library |= _named(fields, "compression_level", _BY_NUMBER, _LEVELS)
    library |= _named(fields, "compression_strategy", _STRATEGY_BY_NUMBER, _STRATEGIES)
    new: dict[str, Any] = {
        "@type": schema.TYPE_URL_PREFIX + _COMPRESSOR,
        "compressor_library": {
            "name": "envoy.compression.gzip.compressor",
            "typed_config": {"@type": schema.TYPE_URL_PREFIX + _GZIP_LIBRARY} | library,
        },
    }
    response = _response_direction(run, fields, parent)
    placed = run.place(new | ({"response_direction_config": response} if response else {}) | unknown, path)
    assert isinstance(placed, dict), "a dict was placed"
    return placed


def _response_direction(run: Run, fields: Mapping[str, At], parent: Node | None) -> dict[str, Any]:
    common = {
        new: fields[old]
        for old, new in (("content_length", "min_content_length"), ("content_type", "content_type"))
        if old in fields
    }
    if "runtime_enabled" in fields:
        value, where = fields["runtime_enabled"]
        new = upgrade_message(run, value, where, "envoy.config.core.v3.RuntimeFeatureFlag", Era.V2, parent)
        common["enabled"] = At(new, where)
    direction: dict[str, Any] = {"common_config": common} if common else {}
    for name in ("disable_on_etag_header", "remove_accept_encoding_header"):
        if name in fields:
            direction[name] = fields[name]
    return direction


def _named(fields: Mapping[str, At], name: str, numbers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """An enum of the old filter in the new library's words; a word it doesn't know stays, and is refused later."""
    if name not in fields:
        return {}
    value, path = fields[name]
    word = str(value).upper()
    return {name: At(names.get(numbers.get(word, word), value), path)}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


REPLACED["envoy.config.filter.http.gzip.v2.Gzip"] = gzip
