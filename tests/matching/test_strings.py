"""String matchers."""

import pytest

from tests.messages import a_runtime, from_yaml
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.errors import ConfigError
from trio_envoy.matching.strings import string_test


@pytest.mark.parametrize(
    ("matcher", "yes", "no"),
    [
        ("{exact: aB}", [b"aB"], [b"ab", b"aBc", b""]),
        ("{exact: ''}", [b""], [b"a"]),
        ("{exact: aB, ignore_case: true}", [b"ab", b"AB"], [b"a"]),
        ("{prefix: aB}", [b"aB", b"aBc"], [b"ab", b"xaB"]),
        ("{prefix: aB, ignore_case: true}", [b"AbC"], [b"xab"]),
        ("{suffix: aB}", [b"aB", b"caB"], [b"aBc"]),
        ("{suffix: aB, ignore_case: true}", [b"cAb"], [b"abc"]),
        ("{contains: aB}", [b"xaBx"], [b"xabx"]),
        ("{contains: aB, ignore_case: true}", [b"xAbx"], [b"ax"]),
        ("{safe_regex: {regex: 'a+'}}", [b"a", b"aaa"], [b"ab", b"", b"A"]),
        ("{exact: é, ignore_case: true}", ["é".encode()], ["É".encode()]),
    ],
)
def test_values(matcher, yes, no):
    test = string_test(from_yaml(matcher, StringMatcher), a_runtime())

    assert [value for value in yes if not test(value)] == []
    assert [value for value in no if test(value)] == []


def test_ignore_case_is_refused_for_a_regex():
    matcher = from_yaml("{safe_regex: {regex: a}, ignore_case: true}", StringMatcher)

    with pytest.raises(ConfigError, match=r"ignore_case has no effect for safe_regex\.") as caught:
        string_test(matcher, a_runtime())

    assert caught.value.at is matcher


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(ConfigError, match="needs one of"):
        string_test(StringMatcher(), a_runtime())
