import pytest

from trio_envoy.config.matcher import RegexMatcher, StringMatcher
from trio_envoy.config.route_match import (
    CookieMatcher,
    GrpcRouteMatchOptions,
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from trio_envoy.config.types import Int64Range


def test_a_route_match(structure):
    made = structure(
        """
        safe_regex: {regex: /a.*}
        case_sensitive: false
        headers: [{name: a, string_match: {exact: b}, invert_match: true}]
        query_parameters: [{name: q, present_match: false}]
        cookies: [{name: c, string_match: {prefix: d}}]
        grpc: {}
        runtime_fraction: {default_value: {numerator: 50}, runtime_key: k}
        """,
        RouteMatch,
    )

    assert made.safe_regex == RegexMatcher(regex="/a.*")
    assert made.case_sensitive is False
    assert made.headers == (HeaderMatcher(name="a", string_match=StringMatcher(exact="b"), invert_match=True),)
    assert made.query_parameters == (QueryParameterMatcher(name="q", present_match=False),)
    assert made.cookies == (CookieMatcher(name="c", string_match=StringMatcher(prefix="d")),)
    assert made.grpc == GrpcRouteMatchOptions()
    assert made.runtime_fraction.default_value.numerator == 50


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("exact_match: b", HeaderMatcher(name="a", exact_match="b")),
        ("range_match: {start: 1, end: 5}", HeaderMatcher(name="a", range_match=Int64Range(start=1, end=5))),
        ("present_match: false", HeaderMatcher(name="a", present_match=False)),
        ("treat_missing_header_as_empty: true", HeaderMatcher(name="a", treat_missing_header_as_empty=True)),
    ],
)
def test_a_header_matcher(structure, text, made):
    assert structure(f"{{name: a, {text}}}", HeaderMatcher) == made


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path_separated_prefix: /a/", "$.path_separated_prefix: value does not match regex pattern"),
        ("{prefix: /, headers: [{}]}", "$.headers[0].name: value length must be at least 1 characters"),
        ("{prefix: /, path: /}", "$.path: 'prefix' is set already, and only one of them may be"),
        ("{prefix: /, cookies: [{name: a}]}", "$.cookies[0].string_match: value is required"),
    ],
)
def test_what_a_match_may_not_be(faults, text, fault):
    (found,) = faults(text, RouteMatch.__proto__)

    assert found.startswith(fault)
