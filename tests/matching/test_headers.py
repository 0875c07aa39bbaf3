"""Header matchers; the tables are what Envoy 1.40.0 answered (Y matches, n does not)."""

import pytest

from tests.messages import a_request, a_response, a_runtime, from_yaml
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.route_match import HeaderMatcher
from trio_envoy.errors import ConfigError
from trio_envoy.http.headers import Headers
from trio_envoy.matching.headers import request_test, response_test

X = (None, "", "a", "A", "abc", ("a", "b"), "5", "5x", "-3", "+5", "10")
"""Values of the field x: missing, one, or several."""

MEASURED = [
    ("{name: x}", "nYYYYYYYYYY"),
    ("{name: x, present_match: true}", "nYYYYYYYYYY"),
    ("{name: x, present_match: false}", "Ynnnnnnnnnn"),
    ("{name: x, present_match: true, invert_match: true}", "Ynnnnnnnnnn"),
    ("{name: x, present_match: false, invert_match: true}", "nYYYYYYYYYY"),
    ("{name: x, invert_match: true}", "Ynnnnnnnnnn"),
    ("{name: x, present_match: true, treat_missing_header_as_empty: true}", "YYYYYYYYYYY"),
    ("{name: x, present_match: false, treat_missing_header_as_empty: true}", "nnnnnnnnnnn"),
    ("{name: x, treat_missing_header_as_empty: true}", "YYYYYYYYYYY"),
    ("{name: x, string_match: {exact: a}}", "nnYnnYnnnnn"),
    ("{name: x, string_match: {exact: ''}}", "nYnnnnnnnnn"),
    ("{name: x, string_match: {exact: a, ignore_case: true}}", "nnYYnYnnnnn"),
    ("{name: x, string_match: {prefix: a}}", "nnYnYYnnnnn"),
    ("{name: x, string_match: {prefix: A, ignore_case: true}}", "nnYYYYnnnnn"),
    ("{name: x, string_match: {suffix: b}}", "nnnnnYnnnnn"),
    ("{name: x, string_match: {contains: B, ignore_case: true}}", "nnnnYYnnnnn"),
    ("{name: x, string_match: {safe_regex: {regex: '[a-c]+'}}}", "nnYnYYnnnnn"),
    ("{name: x, string_match: {safe_regex: {regex: 'a,b'}}}", "nnnnnnnnnnn"),
    ("{name: x, string_match: {exact: 'a,b'}}", "nnnnnnnnnnn"),
    ("{name: x, exact_match: a}", "nnYnnYnnnnn"),
    ("{name: x, exact_match: ''}", "nYYYYYYYYYY"),
    ("{name: x, prefix_match: a}", "nnYnYYnnnnn"),
    ("{name: x, suffix_match: c}", "nnnnYnnnnnn"),
    ("{name: x, contains_match: b}", "nnnnYYnnnnn"),
    ("{name: x, safe_regex_match: {regex: 'a.*'}}", "nnYnYYnnnnn"),
    ("{name: x, range_match: {start: -3, end: 10}}", "nnnnnnYnYYn"),
    ("{name: x, range_match: {start: 0, end: 11}}", "nnnnnnYnnYY"),
    ("{name: x, range_match: {start: 5, end: 5}}", "nnnnnnnnnnn"),
    ("{name: x, string_match: {exact: a}, invert_match: true}", "nYnYYnYYYYY"),
    ("{name: x, string_match: {exact: a}, treat_missing_header_as_empty: true}", "nnYnnYnnnnn"),
    ("{name: x, string_match: {exact: ''}, treat_missing_header_as_empty: true}", "YYnnnnnnnnn"),
    ("{name: x, string_match: {exact: a}, invert_match: true, treat_missing_header_as_empty: true}", "YYnYYnYYYYY"),
    ("{name: x, range_match: {start: 0, end: 10}, invert_match: true}", "nYYYYYnYYnY"),
    ("{name: x, range_match: {end: 10}, treat_missing_header_as_empty: true, invert_match: true}", "YYYYYYnYYnY"),
]  # fmt: skip


def with_x(values):
    if values is None:
        return ()
    return tuple(("x", value) for value in (values if isinstance(values, tuple) else (values,)))


def asks(text):
    return request_test(from_yaml(text, HeaderMatcher), a_runtime())


@pytest.mark.parametrize(("matcher", "expected"), MEASURED)
def test_a_field_matches_as_in_envoy(matcher, expected):
    test = asks(matcher)

    assert "".join("Y" if test(a_request("/", *with_x(values))) else "n" for values in X) == expected


@pytest.mark.parametrize(("matcher", "expected"), MEASURED)
def test_a_response_field_matches_by_the_same_rules(matcher, expected):
    test = response_test(from_yaml(matcher, HeaderMatcher), a_runtime())

    assert "".join("Y" if test(a_response(200, *with_x(values))) else "n" for values in X) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("20", "5"), True),
        (("5", "20"), True),
        (("9223372036854775807",), False),
        (("9223372036854775808",), False),
        (("0x5",), False),
        (("1_0",), False),
        (("007",), True),
        (("9" * 5000,), False),
    ],
)
def test_one_of_several_numbers_in_the_range_is_enough(values, expected):
    test = asks("{name: x, range_match: {start: 0, end: 10}}")

    assert test(a_request("/", *with_x(values))) is expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (":path", "/q?x=1", True),
        (":method", "GET", True),
        (":authority", "A.com", True),
        ("host", "A.com", True),
        ("Host", "a.com", False),
        (":scheme", "http", True),
        ("X-Up", "1", True),
        ("user-agent", "a,b", True),  # kept once: joined before it is compared
        (":protocol", "x", False),
    ],
)
def test_pseudo_headers_have_names(name, value, expected):
    request = a_request("/q?x=1", ("x-up", "1"), ("user-agent", "a"), ("user-agent", "b"), host="A.com")
    matcher = HeaderMatcher(name=name, string_match=StringMatcher(exact=value))

    assert request_test(matcher, a_runtime())(request) is expected


def test_the_status_is_a_field_of_a_response():
    test = response_test(
        from_yaml("{name: ':status', range_match: {start: 500, end: 600}}", HeaderMatcher), a_runtime()
    )

    assert test(a_response(503))
    assert not test(a_response(404))


def test_a_field_kept_once_is_missing_when_it_is_not_there():
    test = asks("{name: user-agent, string_match: {exact: ''}, treat_missing_header_as_empty: true}")

    assert test(a_request("/"))
    assert not test(a_request("/", ("user-agent", "x")))


def test_values_are_compared_as_bytes():
    request = a_request("/")
    request.headers = Headers([(b"x", b"\xe9")])

    assert not asks("{name: x, string_match: {exact: é}}")(request)
    assert asks("{name: x, string_match: {safe_regex: {regex: '.'}}}")(request)


def test_a_bad_regex_is_refused():
    with pytest.raises(ConfigError, match=r"missing \): a\("):
        asks("{name: x, string_match: {safe_regex: {regex: 'a('}}}")
