"""Leniencies of protobuf's JSON parser, measured on Envoy 1.40.0 by --mode validate and /config_dump."""

import math

import pytest

from trio_envoy.config import scalars, schema
from trio_envoy.config.findings import BAD, Findings
from trio_envoy.config.rules import compile_rule


def read(reader, raw, **options):
    """The canonical value, or the text of the fault."""
    found = Findings(**options)
    value = reader(raw, None, found)
    if value is BAD:
        return f"! {found.faults[0][1]}"
    assert found.faults == []
    return value


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("uint32", 5, 5),
        ("uint32", "5", 5),
        ("uint32", "1e3", 1000),
        ("uint32", "1.0", 1),
        ("uint32", 5.0, 5),
        ("uint32", "0x10", 16),
        ("uint32", 4294967295, 4294967295),
        ("int32", -1, -1),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("bool", True, True),
        *(("bool", word, True) for word in ("true", "TRUE", "yes", "y", "t", "1")),
        *(("bool", word, False) for word in ("false", "No", "n", "F", "0")),
        ("double", 5, 5.0),
        ("double", "1.10", 1.1),
        ("double", "Infinity", math.inf),
        ("string", "x", "x"),
        ("bytes", "aGk=", "aGk="),
        ("bytes", "aGk", "aGk="),
        ("bytes", "_-8", "/+8="),
    ],
)
def test_a_scalar_is_read(kind, raw, value):
    made = read(scalars.scalar(kind, None, keep=True), raw)

    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("uint32", -1, "integer out of range for uint32: -1"),
        ("uint32", "4294967296", "integer out of range for uint32"),
        ("int32", 2**31, "integer out of range for int32"),
        ("uint32", "1.5", "expected an integer, got '1.5'"),
        ("uint32", " 5", "expected an integer, got ' 5'"),
        ("uint32", True, "expected an integer, got true"),
        ("uint32", [5], "expected an integer, got a list"),
        ("uint32", "Infinity", "expected an integer"),
        ("bool", 1, "expected true or false, got 1"),
        ("bool", "maybe", "expected true or false, got 'maybe'"),
        ("double", "x", "expected a number, got 'x'"),
        ("string", 12345, "expected a string, got 12345: put it in quotes"),
        ("string", True, "expected a string, got true: put it in quotes"),
        ("string", ["a"], "expected a string, got a list"),
        ("bytes", "?", "expected base64 text, got '?'"),
        ("bytes", 5, "expected base64 text, got 5"),
    ],
)
def test_a_scalar_is_refused(kind, raw, text):
    assert read(scalars.scalar(kind, None, keep=True), raw).startswith(f"! {text}")


@pytest.mark.parametrize(
    ("kind", "default"), [("uint32", 0), ("bool", False), ("string", ""), ("double", 0), ("bytes", "")]
)
def test_a_default_without_presence_is_unset(kind, default):
    assert read(scalars.scalar(kind, None, keep=False), default) is None
    assert read(scalars.scalar(kind, None, keep=True), default) == default


def test_rules_are_for_complete_documents():
    reader = scalars.scalar("string", compile_rule({"string": {"max_len": 1}}), keep=True)

    assert read(reader, "ab").startswith("! value length must be at most 1 characters")
    assert read(reader, "ab", rules=False) == "ab"


def test_a_wrapper_and_its_own_form():
    reader = scalars.wrapper("uint32", compile_rule({"uint32": {"gte": 1}}))

    assert read(reader, 5) == 5
    assert read(reader, {"value": "5"}) == 5
    assert read(reader, {}) == "! value must be greater than or equal to 1, got 0"
    assert read(reader, {"other": 5}) == "! expected an integer, got a mapping"
    assert read(scalars.wrapper("bool", None), False) is False


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("STRICT_DNS", "STRICT_DNS"),
        ("strict_dns", "STRICT_DNS"),
        (1, "STRICT_DNS"),
        (1.0, "STRICT_DNS"),
        ("1", "STRICT_DNS"),
    ],
)
def test_an_enum_in_any_spelling(raw, name):
    reader = scalars.enumeration(schema.enum("envoy.config.cluster.v3.Cluster.DiscoveryType"), None, keep=True)

    assert read(reader, raw) == name


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            "STATICC",
            "unknown to Envoy: 'STATICC' is no value of envoy.config.cluster.v3.Cluster.DiscoveryType; did you mean",
        ),
        (
            "xyzzy",
            "unknown to Envoy: 'xyzzy' is no value of envoy.config.cluster.v3.Cluster.DiscoveryType, which has STATIC",
        ),
        (99, "value must be one of the defined enum values STATIC, STRICT_DNS"),
        ("99", "value must be one of the defined enum values"),
        (True, "expected one of STATIC"),
        (1.5, "expected one of STATIC"),
        ([], "expected one of STATIC"),
        ("1e0", "unknown to Envoy"),
    ],
)
def test_an_enum_value_is_refused(raw, text):
    reader = scalars.enumeration(schema.enum("envoy.config.cluster.v3.Cluster.DiscoveryType"), None, keep=True)

    assert read(reader, raw).startswith(f"! {text}")


def test_an_unknown_enum_value_may_be_allowed():
    found = Findings(allow_unknown=True)
    reader = scalars.enumeration(schema.enum("envoy.config.cluster.v3.Cluster.DiscoveryType"), None, keep=True)

    assert reader("FOO", None, found) is None
    assert found.faults == []
    assert "'FOO'" in found.warnings[0][1]


def test_a_deprecated_enum_value_is_warned_of():
    found = Findings()
    reader = scalars.enumeration(schema.enum("envoy.config.core.v3.ApiVersion"), None, keep=True)

    assert reader("v2", None, found) == "V2"
    assert found.warnings[0][1].startswith("Using deprecated value V2 for enum 'ApiVersion'")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("0.25s", "0.250s"),
        ({"seconds": 1}, "1s"),
        ({"seconds": "1", "nanos": 250000000}, "1.250s"),
        ({"nanos": None}, "0s"),
        ({}, "0s"),
        (1, "! expected a duration such as '1.5s', got 1"),
        (["1s"], "! expected a duration such as '1.5s', got a list"),
        ("1ms", "! duration must end with a single 's', got '1ms'"),
        ({"foo": 1}, "! unknown to Envoy: 'foo' is no field of google.protobuf.Duration"),
        ({"seconds": 1, "nanos": 1500000000}, "! duration out of range: 1 s and 1500000000 ns"),
        ({"seconds": "x"}, "! expected an integer, got 'x'"),
    ],
)
def test_durations(raw, value):
    assert read(scalars.duration(None), raw) == value


def test_messages_that_are_no_objects():
    assert read(scalars.struct, {"a": [1]}) == {"a": [1]}
    assert read(scalars.struct, []) == "! expected a mapping, got a list"
    assert read(scalars.list_value, [1]) == [1]
    assert read(scalars.list_value, {}) == "! expected a list, got a mapping"
    assert read(scalars.text_message, "2020-01-01T00:00:00Z") == "2020-01-01T00:00:00Z"
    assert read(scalars.text_message, 5) == "! expected a string, got 5"
