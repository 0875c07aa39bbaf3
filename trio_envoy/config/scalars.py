"""Readers of scalar fields: from what YAML or JSON gave to the one canonical value of the field's type.

A reader gets (value, at, findings) and gives the canonical value, None for "unset" or BAD for a fault. Canonical are:
int for integers of any width, float, bool, str, base64 text for bytes, the name of an enum value, `1.500s` for
durations. Leniencies are those of protobuf's JSON parser (json/internal/parser.cc) as measured on Envoy 1.40.0:
numbers and booleans as strings, enum names in any case, {seconds, nanos} for a duration, {value} for a wrapper.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any, Final

from trio_envoy.config import durations, schema
from trio_envoy.config.findings import At, Findings, show
from trio_envoy.config.rules import Rule

Reader = Callable[[Any, At, Findings], Any]

_TRUE: Final = frozenset(("true", "t", "yes", "y", "1"))  # absl::SimpleAtob
_FALSE: Final = frozenset(("false", "f", "no", "n", "0"))
_NUMBER: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?0[xX][0-9a-fA-F]+")
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_RANGES: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_RANGE_OF: Final = {
    **_RANGES,
    "sint32": _RANGES["int32"],
    "sfixed32": _RANGES["int32"],
    "fixed32": _RANGES["uint32"],
    "sint64": _RANGES["int64"],
    "sfixed64": _RANGES["int64"],
    "fixed64": _RANGES["uint64"],
}
DEFAULTS: Final[dict[str, Any]] = {
    "string": "",
    "bytes": "",
    "bool": False,
    "double": 0.0,
    "float": 0.0,
} | dict.fromkeys(_RANGE_OF, 0)

WRAPPERS: Final = {
    "google.protobuf.BoolValue": "bool",
    "google.protobuf.StringValue": "string",
    "google.protobuf.BytesValue": "bytes",
    "google.protobuf.Int32Value": "int32",
    "google.protobuf.UInt32Value": "uint32",
    "google.protobuf.Int64Value": "int64",
    "google.protobuf.UInt64Value": "uint64",
    "google.protobuf.FloatValue": "float",
    "google.protobuf.DoubleValue": "double",
}
"""Wrapper messages and the kind of their value; on the wire of JSON they are that value."""


def scalar(kind: str, rule: Rule | None, *, keep: bool) -> Reader:
    """Reader of a scalar kind.

    Args:
        kind: as in `schema.Field.kind`, not "message" or "enum".
        rule: its validation rules.
        keep: a default value is kept, because the presence of the field counts.
    """
    if kind == "string":
        return _string(rule, keep)
    convert = _CONVERT[kind] if kind in _CONVERT else _integer(kind)
    default = DEFAULTS[kind]

    def read(raw: Any, at: At, found: Findings) -> Any:
        try:
            value = convert(raw)
        except ValueError as wrong:
            return found.fault(at, str(wrong))
        if value == default and not keep:
            return None
        return _ruled(value, value, rule, at, found)

    return read


def wrapper(kind: str, rule: Rule | None) -> Reader:
    """Reader of a wrapper message; also in its own form, {value: ...}."""
    inner = scalar(kind, rule, keep=True)

    def read(raw: Any, at: At, found: Findings) -> Any:
        if raw.__class__ is dict and raw.keys() <= {"value"}:
            at, raw = (at, "value"), raw.get("value", DEFAULTS[kind])
        return inner(raw, at, found)

    return read


def enumeration(enum: schema.Enum, rule: Rule | None, *, keep: bool) -> Reader:
    """Reader of an enum: a name in any case or a number."""
    lower, values, numbers = enum.lower, enum.values, enum.numbers
    short = enum.fqn.rpartition(".")[2]

    def read(raw: Any, at: At, found: Findings) -> Any:
        number: int | None = values.get(raw) if raw.__class__ is str else None
        if number is None:
            number = _enum_number(raw)
        if number is None and isinstance(raw, str):
            name = lower.get(raw.lower())
            if name is None:
                return _unknown_value(enum, raw, at, found)
            number = values[name]
        if number is None:
            return found.fault(at, f"expected one of {', '.join(values)}, got {show(raw)}")
        if number == 0 and not keep:
            return None
        name = numbers.get(number)
        if name is None:
            return found.fault(at, f"value must be one of the defined enum values {', '.join(values)}, got {number}")
        if name in enum.deprecated:
            found.warn(at, f"Using deprecated value {name} for enum '{short}'. {REMOVED_SOON}")
        return _ruled(number, name, rule, at, found)

    return read


def _enum_number(raw: Any) -> int | None:
    if raw.__class__ is int or (raw.__class__ is float and raw.is_integer()):
        return int(raw)
    if isinstance(raw, str) and _DECIMAL.fullmatch(raw):
        return int(raw)
    return None


def _unknown_value(enum: schema.Enum, raw: str, at: At, found: Findings) -> Any:
    near = schema.nearest(raw.upper(), enum.values)
    text = f"unknown to Envoy: {raw!r} is no value of {enum.fqn}"
    text += f"; did you mean {near}?" if near else f", which has {', '.join(enum.values)}"
    if found.allow_unknown:
        found.warn(at, text)
        return None
    return found.fault(at, text)


def duration(rule: Rule | None) -> Reader:
    """Reader of google.protobuf.Duration."""

    def read(raw: Any, at: At, found: Findings) -> Any:
        try:
            if raw.__class__ is str:
                nanoseconds = durations.parse(raw)
            elif raw.__class__ is dict:
                nanoseconds = _duration_fields(raw)
            else:
                raise ValueError(f"expected a duration such as '1.5s', got {show(raw)}")
        except ValueError as wrong:
            return found.fault(at, str(wrong))
        return _ruled(nanoseconds, durations.render(nanoseconds), rule, at, found)

    return read


def _duration_fields(raw: dict[str, Any]) -> int:
    unknown = raw.keys() - {"seconds", "nanos"}
    if unknown:
        raise ValueError(f"unknown to Envoy: {min(unknown)!r} is no field of google.protobuf.Duration")
    seconds, nanos = (raw.get(name) or 0 for name in ("seconds", "nanos"))
    return durations.of(_integer("int64")(seconds), _integer("int32")(nanos))


def struct(raw: Any, at: At, found: Findings) -> Any:
    """Reader of google.protobuf.Struct: any mapping."""
    return raw if raw.__class__ is dict else found.fault(at, f"expected a mapping, got {show(raw)}")


def list_value(raw: Any, at: At, found: Findings) -> Any:
    """Reader of google.protobuf.ListValue: any list."""
    return raw if raw.__class__ is list else found.fault(at, f"expected a list, got {show(raw)}")


def text_message(raw: Any, at: At, found: Findings) -> Any:
    """Reader of messages that are a string in JSON: Timestamp, FieldMask."""
    return raw if raw.__class__ is str else found.fault(at, f"expected a string, got {show(raw)}")


def _ruled(value: Any, canonical: Any, rule: Rule | None, at: At, found: Findings) -> Any:
    if rule is not None and found.rules:
        wrong = rule(value)
        if wrong is not None:
            return found.fault(at, wrong)
    return canonical


def _string(rule: Rule | None, keep: bool) -> Reader:
    def read(raw: Any, at: At, found: Findings) -> Any:
        if raw.__class__ is not str:
            hint = ": put it in quotes" if isinstance(raw, int | float) else ""
            return found.fault(at, f"expected a string, got {show(raw)}{hint}")
        if not raw and not keep:
            return None
        return raw if rule is None else _ruled(raw, raw, rule, at, found)

    return read


def _integer(kind: str) -> Callable[[Any], int]:
    low, high = _RANGE_OF[kind]

    def convert(raw: Any) -> int:
        value = raw if raw.__class__ is int else _whole(raw)
        if low <= value <= high:
            return int(value)
        raise ValueError(f"integer out of range for {kind}: {show(raw)}")

    return convert


def _whole(raw: Any) -> int:
    if isinstance(raw, str) and _DECIMAL.fullmatch(raw):
        return int(raw)
    value = _floating(raw, "an integer")
    if not value.is_integer():
        raise ValueError(f"expected an integer, got {show(raw)}")
    return int(value)


def _floating(raw: Any, wanted: str = "a number") -> float:
    if raw.__class__ is float or raw.__class__ is int:
        return float(raw)
    if isinstance(raw, str):
        if raw in _SPECIAL and wanted == "a number":
            return _SPECIAL[raw]
        if _NUMBER.fullmatch(raw):
            return float.fromhex(raw) if "x" in raw.lower() else float(raw)
    raise ValueError(f"expected {wanted}, got {show(raw)}")


def _boolean(raw: Any) -> bool:
    if raw.__class__ is bool:
        return bool(raw)
    if isinstance(raw, str):
        word = raw.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    raise ValueError(f"expected true or false, got {show(raw)}")


def _bytes(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"expected base64 text, got {show(raw)}")
    text = raw.translate({ord("-"): "+", ord("_"): "/"})
    try:
        data = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error:
        raise ValueError(f"expected base64 text, got {show(raw)}") from None
    return base64.b64encode(data).decode()


_CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": _boolean,
    "double": _floating,
    "float": _floating,
    "bytes": _bytes,
}

REMOVED_SOON: Final = (
    "This configuration will be removed from Envoy soon. Please see "
    "https://www.envoyproxy.io/docs/envoy/latest/version_history/version_history for details. If continued use of "
    "this field is absolutely necessary, see https://www.envoyproxy.io/docs/envoy/latest/configuration/operations/"
    "runtime#using-runtime-overrides-for-deprecated-features for how to apply a temporary and highly discouraged "
    "override."
)
