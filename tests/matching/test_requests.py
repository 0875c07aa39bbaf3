"""Query parameters, cookies, gRPC; the tables are what Envoy 1.40.0 answered (Y matches, n does not)."""

import pytest

from tests.messages import a_request, a_runtime, from_yaml
from trio_envoy.config.route_match import CookieMatcher, QueryParameterMatcher
from trio_envoy.matching.requests import cookie_test, is_grpc, query_test

PATHS = (
    "/", "/?a", "/?a=", "/?a=1", "/?a=1&a=2", "/?A=1", "/?b=1&a=2", "/?a=%31", "/?%61=1", "/?a=1;b=2", "/?x&a=1",
    "/?&a=1", "/?a=1=2", "/?a=+", "/?a=%zz", "/?=1", "/??a=1",
)  # fmt: skip

COOKIES = (
    (), ("s=1",), ('s="1"',), ("t=0; s=1",), ("t=0;s=1",), ("s=2; s=1",), ("a=1", "s=1"), ("S=1",), ("s",), ("s=",),
    ("s = 1",), ("s=1=2",), ("s=1, t=2",), ("s=1 ;t=2",), ("t=2;  s=1",), ("s=1;",), (";;s=1",), ("t=2\t;\ts=1",),
    ('s="1',), ('s="',), ('s=""',), ("s=2", "s=1"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ("{name: a}", "nYYYYnYYnYYYYYYnn"),
        ("{name: a, present_match: true}", "nYYYYnYYnYYYYYYnn"),
        ("{name: a, present_match: false}", "YnnnnYnnYnnnnnnYY"),
        ("{name: a, string_match: {exact: '1'}}", "nnnYYnnnnnYYnnnnn"),
        ("{name: a, string_match: {exact: '2'}}", "nnnnnnYnnnnnnnnnn"),
        ("{name: a, string_match: {exact: ''}}", "nYYnnnnnnnnnnnnnn"),
        ("{name: a, string_match: {prefix: '1'}}", "nnnYYnnnnYYYYnnnn"),
        ("{name: a, string_match: {safe_regex: {regex: '[0-9]'}}}", "nnnYYnYnnnYYnnnnn"),
        ("{name: a, string_match: {exact: '%31'}}", "nnnnnnnYnnnnnnnnn"),
        ("{name: a, string_match: {exact: '1=2'}}", "nnnnnnnnnnnnYnnnn"),
        ("{name: a, string_match: {exact: '+'}}", "nnnnnnnnnnnnnYnnn"),
        ("{name: '%61'}", "nnnnnnnnYnnnnnnnn"),
        ("{name: '?a'}", "nnnnnnnnnnnnnnnnY"),
    ],
)
def test_query_parameters(matcher, expected):
    test = query_test([from_yaml(matcher, QueryParameterMatcher)], a_runtime())

    assert "".join("Y" if test(a_request(path)) else "n" for path in PATHS) == expected


def test_all_query_parameters_must_match():
    wanted = [from_yaml(text, QueryParameterMatcher) for text in ("{name: a}", "{name: b, string_match: {exact: x}}")]
    test = query_test(wanted, a_runtime())

    assert test(a_request("/?b=x&a"))
    assert not test(a_request("/?b=x"))
    assert not test(a_request("/?a"))


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ("{name: s, string_match: {exact: '1'}}", "nYYYYnYnnnnnnnYYYnnnnn"),
        ("{name: s, string_match: {exact: '1'}, invert_match: true}", "YnnnnYnYYYYYYYnnnYYYYY"),
        ("{name: s, string_match: {exact: ''}}", "nnnnnnnnnYnnnnnnnnnnYn"),
        ("{name: s, string_match: {prefix: '1'}}", "nYYYYnYnnnnYYYYYYnnnnn"),
        ("{name: s, string_match: {safe_regex: {regex: '.*'}}}", "nYYYYYYnnYnYYYYYYnYYYY"),
        ("{name: s, string_match: {exact: '\"1'}}", "nnnnnnnnnnnnnnnnnnYnnn"),
        ("{name: s, string_match: {exact: '1=2'}}", "nnnnnnnnnnnYnnnnnnnnnn"),
        ("{name: s, string_match: {exact: '2'}}", "nnnnnYnnnnnnnnnnnnnnnY"),
    ],
)
def test_cookies(matcher, expected):
    test = cookie_test(from_yaml(matcher, CookieMatcher), a_runtime())
    requests = [a_request("/", *(("cookie", value) for value in values)) for values in COOKIES]

    assert "".join("Y" if test(request) else "n" for request in requests) == expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, False),
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc-web", False),
        ("application/grpc;x", False),
        ("Application/grpc", False),
        ("application/grpcx", False),
    ],
)
def test_grpc_is_told_by_the_content_type(content_type, expected):
    headers = () if content_type is None else (("content-type", content_type),)

    assert is_grpc(a_request("/", *headers)) is expected
