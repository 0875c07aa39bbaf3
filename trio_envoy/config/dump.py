"""A checked tree as Envoy prints it in /config_dump: fields by number, secrets "[redacted]", protobuf's JSON.

Source: MessageUtil::redact and getJsonStringFromMessage (source/common/protobuf/utility.cc), measured on 1.40.0. The
order of a Struct's keys is the one of the file; Envoy's is that of a hash table.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_envoy.config import schema
from trio_envoy.config.check import TYPED_STRUCTS, special_reader
from trio_envoy.config.scalars import WRAPPERS

REDACTED: Final = "[redacted]"
_REDACTED_BYTES: Final = "W3JlZGFjdGVkXQ=="
_WIDE: Final = frozenset(("int64", "uint64", "sint64", "fixed64", "sfixed64"))
_FREE: Final = frozenset(("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"))
_ESCAPED: Final = {
    code: f"\\u{code:04x}" for code in (0x3C, 0x3E, *range(0x7F, 0xA0), 0xAD, 0x200B, 0x2028, 0x2029, 0xFEFF)
}
_EXACT: Final = 1e15  # whole doubles below it are printed without an exponent

Printer = Callable[[Any, bool], Any]
"""Gives what `json` should print for a value; True: it lies within a sensitive field."""


def ordered(tree: Mapping[str, Any], fqn: str) -> dict[str, Any]:
    """A checked tree ready for `to_json`: fields in the order of their numbers, secrets redacted.

    Args:
        tree: canonical, as `check` gives it; it isn't changed.
        fqn: full name of its message.
    """
    printed: dict[str, Any] = _message_printer(fqn)(tree, False)
    return printed


def to_json(tree: Any) -> str:
    """JSON as Envoy's admin interface writes it: an indent of one space, `<`, `>` and odd characters escaped."""
    return json.dumps(tree, indent=1, ensure_ascii=False).translate(_ESCAPED)


@functools.cache
def _message_printer(fqn: str) -> Printer:
    message = schema.message(fqn)
    assert message is not None, f"{fqn} is in no table, but was checked"
    fields = {field.name: field for field in message.by_number.values()}
    printers: dict[str, Printer] = {}

    def printer_of(name: str) -> Printer:
        found = printers.get(name)
        if found is None:
            found = printers[name] = _field_printer(fields[name])
        return found

    def show(node: Any, secret: bool) -> Any:
        out: dict[str, Any] = {}
        for name in sorted((key for key in node if key != "@type"), key=lambda key: fields[key].number):
            value = printer_of(name)(node[name], secret or fields[name].sensitive)
            if value is not None:
                out[name] = value
        return out

    return show


def _field_printer(field: schema.Field) -> Printer:
    single = _value_printer(field)
    if field.map_key:
        return lambda node, secret: {key: single(node[key], secret) for key in sorted(node)}
    if field.repeated:
        return lambda items, secret: [shown for item in items if (shown := single(item, secret)) is not None] or None
    return single


def _value_printer(field: schema.Field) -> Printer:
    kind = WRAPPERS.get(field.type_name, field.kind)
    if kind == "message":
        if field.type_name == "google.protobuf.Any":
            return _any
        if field.type_name in _FREE:
            return _free
        return _hidden if special_reader(field.type_name) is not None else _message_printer(field.type_name)
    if kind == "string":
        return lambda value, secret: REDACTED if secret else value
    if kind == "bytes":
        return lambda value, secret: _REDACTED_BYTES if secret else value
    if kind in _WIDE:
        return lambda value, secret: None if secret else str(value)
    if kind in ("double", "float"):
        return lambda value, secret: None if secret else _number(value)
    return _hidden


def _hidden(value: Any, secret: bool) -> Any:
    """What is neither text nor a message of fields goes away when it is a secret."""
    return None if secret else value


def _free(value: Any, secret: bool) -> Any:
    """Struct, Value and ListValue: texts are redacted one by one."""
    if isinstance(value, dict):
        return {key: _free(each, secret) for key, each in value.items()}
    if isinstance(value, list):
        return [_free(each, secret) for each in value]
    if isinstance(value, str):
        return REDACTED if secret else value
    return _number(value) if isinstance(value, float) else value


def _any(node: Any, secret: bool) -> Any:
    """`@type`, then the message itself; a TypedStruct keeps its shape."""
    url = node.get("@type")
    if url is None:
        return {}
    fqn = url.rpartition("/")[2]
    if fqn in TYPED_STRUCTS:
        inner = _message_printer(node["type_url"].rpartition("/")[2])(node["value"], secret)
        return {"@type": url, "type_url": node["type_url"], "value": inner}
    if special_reader(fqn) is not None:
        return {"@type": url, "value": _free(node["value"], secret)}
    return {"@type": url, **_message_printer(fqn)(node, secret)}


def _number(value: float) -> Any:
    """A double as protobuf writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value == int(value) and abs(value) < _EXACT else value
