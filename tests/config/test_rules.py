"""The words are those of Envoy 1.40.0's "Proto constraint validation failed" messages."""

import math

import pytest

from trio_envoy.config import schema
from trio_envoy.config.rules import compile_rule, is_required


@pytest.mark.parametrize(
    ("rules", "good", "bad", "text"),
    [
        ({"uint32": {"gte": 200, "lt": 600}}, [200, 599], 600, "value must be inside range [200, 600), got 600"),
        ({"double": {"gt": 0.0, "lte": 1.0}}, [0.5, 1.0], 0.0, "value must be inside range (0.0, 1.0], got 0.0"),
        ({"double": {"gte": 0.0}}, [0.0], math.nan, "value must be greater than or equal to 0.0, got nan"),
        ({"uint32": {"gt": 0}}, [1], 0, "value must be greater than 0, got 0"),
        ({"int64": {"gte": 2}}, [2], 1, "value must be greater than or equal to 2, got 1"),
        ({"uint32": {"lt": 5}}, [4], 5, "value must be less than 5, got 5"),
        ({"uint64": {"lte": 5}}, [5], 6, "value must be less than or equal to 5, got 6"),
        ({"duration": {"gt": 0.0}}, [1], 0, "value must be greater than 0s, got 0s"),
        ({"duration": {"gte": 0.001}}, [10**6], 10**5, "value must be greater than or equal to 0.001s, got 0.000100s"),
        ({"string": {"min_len": 1}}, ["a"], "", "value length must be at least 1 characters"),
        ({"string": {"max_len": 2}}, ["éé"], "abc", "value length must be at most 2 characters, got 3"),
        ({"string": {"min_bytes": 3}}, ["éé"], "ab", "value length must be at least 3 bytes"),
        ({"string": {"max_bytes": 3}}, ["abc"], "éé", "value length must be at most 3 bytes, got 4"),
        ({"bytes": {"min_len": 1}}, ["aA=="], "", "value length must be at least 1 bytes"),
        ({"string": {"pattern": "^[a-z]+$"}}, ["ab"], "ab\n", "value does not match regex pattern '^[a-z]+$'"),
        ({"string": {"prefix": "%"}}, ["%a"], "a", "value does not have prefix '%'"),
        ({"string": {"suffix": "%"}}, ["a%"], "a", "value does not have suffix '%'"),
        ({"string": {"in": ["http", "https"]}}, ["http"], "ftp", "value must be in list ['http', 'https'], got 'ftp'"),
        (
            {"string": {"well_known_regex": "HTTP_HEADER_NAME"}},
            ["x-a", ":path"],
            "a b",
            "value is not a valid header name",
        ),
        (
            {"string": {"well_known_regex": "HTTP_HEADER_VALUE"}},
            ["a b", ""],
            "a\x00",
            "value is not a valid header value",
        ),
        (
            {"string": {"well_known_regex": "HTTP_HEADER_NAME", "strict": False}},
            ["a b"],
            "a\nb",
            "value is not a valid header name, got 'a\\nb'",
        ),
        ({"repeated": {"min_items": 1}}, [[1]], [], "value must contain at least 1 item(s)"),
        ({"repeated": {"max_items": 1}}, [[1]], [1, 2], "value must contain no more than 1 item(s), got 2"),
        ({"repeated": {"unique": True}}, [[1, 2]], [1, 1], "value must contain unique items"),
        ({"map": {"min_pairs": 1}}, [{"a": 1}], {}, "value must contain at least 1 pair(s)"),
        ({"bool": {"const": True}}, [True], False, "value must equal true"),
        ({"string": {"min_len": 1, "max_len": 2}}, ["a"], "abc", "value length must be at most 2 characters, got 3"),
        (
            {"string": {"min_len": 2, "ignore_empty": True}},
            ["", "ab"],
            "a",
            "value length must be at least 2 characters",
        ),
    ],
)
def test_a_rule(rules, good, bad, text):
    rule = compile_rule(rules)

    for value in good:
        assert rule(value) is None, value
    assert text in rule(bad)


def test_an_enum_value_that_may_not_be():
    method = schema.enum("envoy.config.core.v3.RequestMethod")
    rule = compile_rule({"enum": {"defined_only": True, "not_in": [6]}}, method)

    assert rule(1) is None
    assert rule(6) == "value must not be CONNECT"


def test_no_rules_make_no_rule():
    assert compile_rule({}) is None
    assert compile_rule({"message": {"required": True}}) is None
    assert compile_rule({"enum": {"defined_only": True}}, schema.enum("envoy.config.core.v3.RequestMethod")) is None


@pytest.mark.parametrize(
    ("rules", "required"),
    [
        ({}, False),
        ({"message": {"required": True}}, True),
        ({"duration": {"required": True, "gt": 0.0}}, True),
        ({"any": {"required": True}}, True),
        ({"duration": {"gt": 0.0}}, False),
    ],
)
def test_what_is_required(rules, required):
    assert is_required(rules) is required
