"""A JSON Schema of a message, for editors and linters: names, types, oneofs and the rules that JSON Schema can say.

It takes what Envoy takes in the form people write: field names in snake_case or lowerCamelCase, enums by name in the
case of the proto or lower, by number, a single value for a list, durations as "1.5s", 64-bit integers as strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trio_envoy.config import schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_INTEGERS: Final = {
    "int32",
    "uint32",
    "sint32",
    "fixed32",
    "sfixed32",
    "int64",
    "uint64",
    "sint64",
    "fixed64",
    "sfixed64",
}
_UNSIGNED: Final = {"uint32", "fixed32", "uint64", "fixed64"}

_WELL_KNOWN: Final[Mapping[str, Any]] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string", "pattern": "/"}},
        "required": ["@type"],
    },
    "google.protobuf.Duration": {
        "anyOf": [
            {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{0,9})?s$"},
            {"type": "object", "properties": {"seconds": {}, "nanos": {}}, "additionalProperties": False},
        ]
    },
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
}
_WRAPPED: Final = {
    "google.protobuf.BoolValue": "bool",
    "google.protobuf.BytesValue": "bytes",
    "google.protobuf.DoubleValue": "double",
    "google.protobuf.FloatValue": "float",
    "google.protobuf.Int32Value": "int32",
    "google.protobuf.Int64Value": "int64",
    "google.protobuf.StringValue": "string",
    "google.protobuf.UInt32Value": "uint32",
    "google.protobuf.UInt64Value": "uint64",
}


def json_schema(fqn: str) -> dict[str, Any]:
    """The JSON Schema of a message and of all that it can hold.

    Raises:
        KeyError: Envoy has no message of that name.
    """
    if schema.message(fqn) is None:
        raise KeyError(fqn)
    definitions: dict[str, Any] = {}
    waiting = [fqn]
    while waiting:
        name = waiting.pop()
        if name in definitions:
            continue
        definitions[name], inner = _definition(name)
        waiting.extend(inner)
    return {
        "$schema": DIALECT,
        "$id": f"urn:{fqn}",
        "$ref": f"#/$defs/{fqn}",
        "$defs": dict(sorted(definitions.items())),
    }


def _definition(name: str) -> tuple[dict[str, Any], list[str]]:
    """The definition of a message or enum, and the names that it refers to."""
    if name in _WELL_KNOWN:
        return dict(_WELL_KNOWN[name]), []
    if name in _WRAPPED:
        return _scalar(_WRAPPED[name], {}), []
    enum = schema.enum(name)
    if enum is not None:
        words = [word for each in enum.values for word in (each, each.lower())]
        return {"anyOf": [{"enum": sorted(set(words))}, {"type": "integer"}]}, []
    message = schema.message(name)
    assert message is not None, "the table holds every type that it refers to"
    properties: dict[str, Any] = {}
    for field in message.by_number.values():
        properties[field.name] = _property(field, unchecked=message.unchecked)
        if field.json_name != field.name:
            properties[field.json_name] = {"$ref": f"#/$defs/{name}/properties/{field.name}"}
    out: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if message.deprecated:
        out["deprecated"] = True
    conditions = [] if message.unchecked else _conditions(message)
    if conditions:
        out["allOf"] = conditions
    return out, [field.type_name for field in message.by_number.values() if field.type_name]


def _conditions(message: schema.Message) -> list[dict[str, Any]]:
    """What must be set: required fields, one of each required oneof; and what may not be set together."""
    conditions = [_set(field) for field in message.by_number.values() if _is_required(field)]
    for oneof in message.oneofs.values():
        choices = [_set(message.fields[member]) for member in oneof.members]
        conditions.append({"oneOf": choices if oneof.required else [*choices, {"not": {"anyOf": choices}}]})
    return conditions


def _is_required(field: schema.Field) -> bool:
    """A member of a oneof is required only if it is the one chosen."""
    kinds = ("message", "any", "duration", "timestamp")
    return not field.oneof and any(field.rules.get(kind, {}).get("required") for kind in kinds)


def _set(field: schema.Field) -> dict[str, Any]:
    names = dict.fromkeys((field.name, field.json_name))
    requirements = [{"required": [name]} for name in names]
    return requirements[0] if len(requirements) == 1 else {"anyOf": requirements}


def _property(field: schema.Field, *, unchecked: bool) -> dict[str, Any]:
    rules = {} if unchecked else field.rules
    if field.map_key:
        out: dict[str, Any] = {
            "type": "object",
            "additionalProperties": _value(field, rules.get("map", {}).get("values", {})),
        }
        _bounds(out, rules.get("map", {}), {"min_pairs": "minProperties", "max_pairs": "maxProperties"})
    elif field.repeated:
        item = _value(field, rules.get("repeated", {}).get("items", {}))
        array = {"type": "array", "items": item}
        _bounds(
            array,
            rules.get("repeated", {}),
            {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"},
        )
        out = {"anyOf": [array, item]}
    else:
        out = _value(field, rules)
    return out | {"deprecated": True} if field.deprecated else out


def _value(field: schema.Field, rules: Mapping[str, Any]) -> dict[str, Any]:
    if field.type_name:
        return {"$ref": f"#/$defs/{field.type_name}"}
    return _scalar(field.kind, rules.get(field.kind, {}))


def _scalar(kind: str, rules: Mapping[str, Any]) -> dict[str, Any]:
    """A scalar with its rules; numbers and booleans may be written as strings."""
    if kind == "bool":
        return {"enum": [True, False, "true", "false"]}
    if kind == "bytes":
        return {"type": "string", "contentEncoding": "base64"}
    if kind == "string":
        out: dict[str, Any] = {"type": "string"}
        _bounds(out, rules, {"min_len": "minLength", "max_len": "maxLength", "in": "enum", "const": "const"})
        return out
    number: dict[str, Any] = {"type": "integer" if kind in _INTEGERS else "number"}
    if kind in _UNSIGNED:
        number["minimum"] = 0
    names = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
    _bounds(number, rules, names)
    return {"anyOf": [number, {"type": "string", "pattern": r"^[-+]?[0-9.eE+-]+$"}]}


def _bounds(out: dict[str, Any], rules: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Write the rules that JSON Schema has a word for."""
    for ours, theirs in names.items():
        if ours in rules and not rules.get("ignore_empty"):
            out[theirs] = rules[ours]
