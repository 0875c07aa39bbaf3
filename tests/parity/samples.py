"""Values for a field of a message: good ones, bad ones, and those around the limits of its validation rules."""

import random
from collections.abc import Iterator
from typing import Any

from trio_envoy.config import schema
from trio_envoy.config.scalars import WRAPPERS

ANY = "google.protobuf.Any"
DURATION = "google.protobuf.Duration"
PLAIN = frozenset(("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"))

_TEXTS = (
    *(
        "",
        "x",
        "up",
        "local",
        "a.com",
        "*",
        "*.a.com",
        "a.*",
        "*a*",
        "/",
        "/x",
        "/x?y=1",
        "/x#y",
        "x-a",
        ":path",
        "host",
    ),
    *(
        "127.0.0.1",
        "10.0.0.0",
        "::1",
        "localhost",
        "a b",
        "a\nb",
        "a\0b",
        "\u00e9",
        "A",
        "(",
        "[a-z]+",
        "(a)|b",
        "\\1",
        "\\9",
    ),
    *(
        "%",
        "%%",
        "%REQ(X-A)%",
        "%PROTOCOL%",
        "%NO_SUCH%",
        "%START_TIME(%s)%",
        "%REQ(",
        "200",
        "5xx",
        "http",
        "1s",
        "h2,http/1.1",
    ),
    *("envoy.filters.http.router", "dir/no-such-file", "@abstract", "/nowhere/no-such-file", "x" * 300, "x" * 70000),
)
_INTEGERS = (0, 1, 2, 3, -1, 7, 99, 100, 101, 199, 200, 404, 599, 600, 1000, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_INTEGERS_BEYOND = (
    2**32,
    2**53 + 1,
    2**63,
    2**64,
    -(2**31) - 1,
    1.0,
    1.5,
    1e30,
    "1",
    "-1",
    "0x10",
    " 1",
    "1.0",
    "x",
    "",
)
_FLOATS = (
    0,
    1,
    -1,
    0.5,
    1.5,
    99.999,
    100,
    100.5,
    1e-9,
    1e38,
    1e300,
    "1",
    "1e3",
    "NaN",
    "Infinity",
    "-Infinity",
    "x",
    "",
)
_DURATIONS = (
    *("0s", "1s", "-1s", "0.5s", "0.001s", "0.0009s", "0.000001s", "0.000000001s", "0.0000000001s", "60s", "86400s"),
    *("4294967s", "4294968s", "2147483648s", "9223372036s", "9223372037s", "315576000000s", "315576000001s"),
    *("1", "1m", "1 s", "1.s", ".5s", "s", "", "1e3s", 1, 0, {"seconds": 1}),
)
_WRONG: tuple[Any, ...] = (None, True, 7, "x", [], {}, [[]], {"x": 1}, ["x"], [None])
_TYPE_URL = schema.TYPE_URL_PREFIX


def single(field: schema.Field) -> Iterator[Any]:
    """Values for one value of a field that is no message of fields."""
    rules = _rules_of_one(field)
    kind = WRAPPERS.get(field.type_name, field.kind)
    if field.type_name == DURATION:
        yield from _DURATIONS
        yield from _seconds_around(rules.get("duration", {}))
    elif kind == "enum":
        yield from _names(field.type_name)
    elif kind == "string":
        yield from _TEXTS
        yield from _texts_around(rules.get("string", {}))
    elif kind == "bytes":
        yield from ("", "eA==", "eA", "!", "eHh4eHh4eHg=", "x" * 4000)
    elif kind == "bool":
        yield from (True, False, "true", "false", "x", 1, 0)
    elif kind in ("double", "float"):
        yield from _FLOATS
        yield from _numbers_around(rules.get(kind, {}), (0.5, 1e-6))
    elif kind != "message":
        yield from (*_INTEGERS, *_INTEGERS_BEYOND)
        yield from _numbers_around(rules.get(kind, {}), (1,))


def wrong(field: schema.Field) -> Iterator[Any]:
    """Values of every shape; for most fields a wrong one."""
    yield from _WRONG
    if field.type_name in WRAPPERS:
        yield {"value": 1}


def extensions(config_types: frozenset[str]) -> Iterator[Any]:
    """Values for an Any: no type, unknown types, and types of all places."""
    yield from ({}, {"@type": ""}, {"@type": "x"}, {"@type": f"{_TYPE_URL}no.Such"}, {"x": 1})
    yield {"@type": f"{_TYPE_URL}envoy.extensions.filters.http.lua.v3.Lua"}
    yield {"@type": f"{_TYPE_URL}google.protobuf.Struct", "value": {}}
    yield {"@type": f"{_TYPE_URL}google.protobuf.Empty"}
    for name in sorted(config_types):
        yield {"@type": _TYPE_URL + name}


def plausible(field: schema.Field, rng: random.Random, depth: int = 0) -> Any:
    """A value that most likely fits: what a message must have is in it."""
    if field.map_key:
        return {"x": plausible_one(field, rng, depth)}
    if field.repeated:
        least = _rules_of_all(field).get("min_items", 1) or 1
        return [plausible_one(field, rng, depth) for _ in range(least)]
    return plausible_one(field, rng, depth)


def plausible_one(field: schema.Field, rng: random.Random, depth: int = 0) -> Any:
    """The same for one item of a list or a map."""
    kind = WRAPPERS.get(field.type_name, field.kind)
    if field.type_name == DURATION:
        return "1s"
    if field.type_name in PLAIN:
        return {"x": "y"} if field.type_name.endswith("Struct") else []
    if field.type_name == ANY:
        return {"@type": f"{_TYPE_URL}google.protobuf.Empty"}
    if kind == "message":
        return message(field.type_name, rng, depth + 1)
    if kind == "enum":
        enum = schema.enum(field.type_name)
        return rng.choice(list(enum.values)) if enum else 0
    if kind == "string":
        return _fitting_text(field)
    if kind == "bytes":
        return "eA=="
    if kind == "bool":
        return True
    rules = _rules_of_one(field).get(kind, {})
    return max(rules.get("gte", 1), rules.get("gt", 0) + 1)


def message(fqn: str, rng: random.Random, depth: int = 0) -> Any:
    """A message with what it must have: required fields, one member of each required oneof."""
    known = schema.message(fqn)
    if known is None or depth > 6:
        return {}
    made: dict[str, Any] = {}
    for field in known.by_number.values():
        if not field.oneof and _is_needed(field):
            made[field.name] = plausible(field, rng, depth)
    for oneof in known.oneofs.values():
        if oneof.required:
            name = rng.choice(oneof.members)
            made[name] = plausible(known.fields[name], rng, depth)
    return made


def _is_needed(field: schema.Field) -> bool:
    rules = field.rules
    if any(rules.get(group, {}).get("required") for group in ("message", "duration", "any")):
        return True
    if _rules_of_all(field).get("min_items") or _rules_of_all(field).get("min_pairs"):
        return True
    return bool(rules.get("string", {}).get("min_len")) and not rules["string"].get("ignore_empty")


def _rules_of_all(field: schema.Field) -> Any:
    return field.rules.get("map" if field.map_key else "repeated", {})


def _rules_of_one(field: schema.Field) -> Any:
    if field.map_key:
        return field.rules.get("map", {}).get("values", {})
    return field.rules.get("repeated", {}).get("items", {}) if field.repeated else field.rules


def _fitting_text(field: schema.Field) -> str:
    rules = _rules_of_one(field).get("string", {})
    if "in" in rules:
        return str(rules["in"][0])
    if field.name in ("address", "address_prefix"):
        return "127.0.0.1"
    text = "/x" if "path" in field.name or "prefix" in field.name else "x"
    return f"{rules.get('prefix', '')}{text * max(1, rules.get('min_len', 1))}{rules.get('suffix', '')}"


def _numbers_around(rules: Any, steps: tuple[float, ...]) -> Iterator[Any]:
    for name in ("gt", "gte", "lt", "lte"):
        if name in rules:
            yield rules[name]
            for step in steps:
                yield rules[name] + step
                yield rules[name] - step


def _seconds_around(rules: Any) -> Iterator[str]:
    for name in ("gt", "gte", "lt", "lte"):
        if name in rules:
            nanoseconds = round(rules[name] * 1e9)
            for each in (nanoseconds - 1, nanoseconds, nanoseconds + 1):
                sign, (seconds, rest) = "-" if each < 0 else "", divmod(abs(each), 10**9)
                yield f"{sign}{seconds}.{rest:09}s"


def _texts_around(rules: Any) -> Iterator[str]:
    for name in ("min_len", "max_len", "min_bytes", "max_bytes"):
        if name in rules:
            for length in (rules[name] - 1, rules[name], rules[name] + 1):
                yield "x" * length
                yield "\u00e9" * length
    yield from rules.get("in", ())
    for name in ("prefix", "suffix"):
        if name in rules:
            yield rules[name]
            yield f"x{rules[name]}x"
    if "well_known_regex" in rules:
        yield from (":", "x:y", "x y", "x\ty", "x\x7f", "x\r", "x\x01", "x\n")


def _names(fqn: str) -> Iterator[Any]:
    enum = schema.enum(fqn)
    assert enum is not None, f"{fqn} is in no table"
    yield from enum.values
    yield from enum.numbers
    first = next(iter(enum.values))
    yield from (first.lower(), f"{first}X", first[:-1], f" {first}", "", "0", -1, 99, 1.0, 1.5, 2**32)


def lengths(field: schema.Field, items: list[Any]) -> Iterator[list[Any]]:
    """Lists around the limits of a repeated field, made of the items that are there."""
    rules = _rules_of_all(field)
    for name in ("min_items", "max_items"):
        for length in (rules.get(name, 0) - 1, rules.get(name, 0), rules.get(name, 0) + 1) if name in rules else ():
            if items and 0 <= length <= 2000:
                yield [items[index % len(items)] for index in range(length)]
