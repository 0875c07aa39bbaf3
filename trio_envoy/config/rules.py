"""Validation rules of fields (protoc-gen-validate), compiled to functions that say what is wrong.

The words are those of Envoy's error messages ("value must be greater than 0s"), then the value. Rules come from
`config.schema`: {"uint32": {"gte": 1}}, {"string": {"min_len": 1}}, {"duration": {"gt": 0.0}} (in seconds).
Source: validate/validate.proto and the C++ templates of protoc-gen-validate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_envoy.config import durations, schema

Rule = Callable[[Any], str | None]
"""Gives what is wrong with a value (a duration: in nanoseconds, an enum: its number), None if nothing is."""

_NUMBERS: Final = frozenset(
    ("float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64")
)
_HEADER_NAME: Final = re.compile(r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HEADER_LOOSE: Final = re.compile(r"[^\x00\n\r]*")


def compile_rule(rules: Mapping[str, Any], enum: schema.Enum | None = None) -> Rule | None:
    """One function for the rules of a value, None when there are none.

    Args:
        rules: of a field, of the items of a list, or of the keys or values of a map.
        enum: the type, for enums.
    """
    tests: list[Rule] = []
    for group, wanted in rules.items():
        if group in _NUMBERS:
            tests += _bounds(wanted, _same, str)
        elif group == "duration":
            tests += _bounds(wanted, _nanoseconds, durations.render)
        elif group == "string":
            tests += _string(wanted)
        elif group == "bytes":
            tests += _length(wanted, "min_len", "max_len", len, "bytes")
        elif group == "enum" and enum is not None:
            tests += _enum(wanted, enum)
        elif group == "bool" and "const" in wanted:
            tests.append(_constant(wanted["const"]))
        elif group == "repeated":
            tests += _length(wanted, "min_items", "max_items", len, "item(s)")
            if wanted.get("unique"):
                tests.append(_must(lambda value: len(set(value)) == len(value), "value must contain unique items"))
        elif group == "map":
            tests += _length(wanted, "min_pairs", "max_pairs", len, "pair(s)")
    if not tests:
        return None
    if any(isinstance(wanted, Mapping) and wanted.get("ignore_empty") for wanted in rules.values()):
        return _unless_empty(_all(tests))
    return _all(tests)


def is_required(rules: Mapping[str, Any]) -> bool:
    """Whether a message must be there."""
    return any(rules.get(group, {}).get("required", False) for group in ("message", "duration", "any"))


def _all(tests: list[Rule]) -> Rule:
    if len(tests) == 1:
        return tests[0]

    def every(value: Any) -> str | None:
        for test in tests:
            wrong = test(value)
            if wrong is not None:
                return wrong
        return None

    return every


def _unless_empty(rule: Rule) -> Rule:
    return lambda value: rule(value) if value else None


def _must(holds: Callable[[Any], bool], text: str) -> Rule:
    return lambda value: None if holds(value) else text


def _constant(wanted: bool) -> Rule:
    return _must(lambda value: value is wanted, f"value must equal {str(wanted).lower()}")


def _same(value: Any) -> Any:
    return value


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _bounds(wanted: Mapping[str, Any], read: Callable[[Any], Any], show: Callable[[Any], str]) -> list[Rule]:
    """gt, gte, lt, lte; both ends make a range, as in `value must be inside range [200, 600)`."""
    low = next((name for name in ("gt", "gte") if name in wanted), None)
    high = next((name for name in ("lt", "lte") if name in wanted), None)
    least = read(wanted[low]) if low else None
    most = read(wanted[high]) if high else None

    def holds(value: Any) -> bool:
        if value != value:  # NaN; Envoy lets it pass, and counts with it
            return False
        if least is not None and (value <= least if low == "gt" else value < least):
            return False
        return most is None or not (value >= most if high == "lt" else value > most)

    if low and high:
        left, right = "(["[low == "gte"], ")]"[high == "lte"]
        text = f"value must be inside range {left}{show(least)}, {show(most)}{right}"
    elif low:
        text = f"value must be greater than {'or equal to ' if low == 'gte' else ''}{show(least)}"
    elif high:
        text = f"value must be less than {'or equal to ' if high == 'lte' else ''}{show(most)}"
    else:
        return []
    return [lambda value: None if holds(value) else f"{text}, got {show(value)}"]


def _length(wanted: Mapping[str, Any], least: str, most: str, measure: Callable[[Any], int], unit: str) -> list[Rule]:
    """At least, at most: of characters, bytes, items or pairs."""
    what = "contain" if unit.endswith("(s)") else "be"
    tests: list[Rule] = []
    subject = "value must" if what == "contain" else "value length must"
    if least in wanted:
        low = wanted[least]
        tests.append(_must(lambda value: measure(value) >= low, f"{subject} {what} at least {low} {unit}"))
    if most in wanted:
        high = wanted[most]
        words = "no more than" if what == "contain" else "at most"
        text = f"{subject} {what} {words} {high} {unit}"
        tests.append(lambda value: None if measure(value) <= high else f"{text}, got {measure(value)}")
    return tests


def _string(wanted: Mapping[str, Any]) -> list[Rule]:
    tests = _length(wanted, "min_len", "max_len", len, "characters")
    tests += _length(wanted, "min_bytes", "max_bytes", lambda value: len(value.encode()), "bytes")
    if "pattern" in wanted:
        # RE2's `$` is the very end; a Python `$` also stands before a last newline.
        pattern = re.compile(re.sub(r"\$$", r"\\Z", wanted["pattern"]))
        text = f"value does not match regex pattern {wanted['pattern']!r}"
        tests.append(lambda value: None if pattern.search(value) else f"{text}, got {value!r}")
    if "prefix" in wanted:
        prefix = wanted["prefix"]
        tests.append(_must(lambda value: value.startswith(prefix), f"value does not have prefix {prefix!r}"))
    if "suffix" in wanted:
        suffix = wanted["suffix"]
        tests.append(_must(lambda value: value.endswith(suffix), f"value does not have suffix {suffix!r}"))
    if "in" in wanted:
        allowed = list(wanted["in"])
        tests.append(lambda value: None if value in allowed else f"value must be in list {allowed}, got {value!r}")
    if "well_known_regex" in wanted:
        tests.append(_header(wanted["well_known_regex"], strict=wanted.get("strict", True)))
    return tests


def _header(kind: str, *, strict: bool) -> Rule:
    pattern = _HEADER_LOOSE if not strict else _HEADER_NAME if kind == "HTTP_HEADER_NAME" else _HEADER_VALUE
    thing = "header name" if kind == "HTTP_HEADER_NAME" else "header value"
    return lambda value: None if pattern.fullmatch(value) else f"value is not a valid {thing}, got {value!r}"


def _enum(wanted: Mapping[str, Any], enum: schema.Enum) -> list[Rule]:
    """not_in; that a value is defined is seen when it is read."""
    tests: list[Rule] = []
    if "not_in" in wanted:
        refused = frozenset(wanted["not_in"])
        names = ", ".join(enum.numbers[number] for number in sorted(refused))
        tests.append(_must(lambda value: value not in refused, f"value must not be {names}"))
    return tests
