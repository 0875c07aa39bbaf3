import pytest

from trio_envoy.config.v2.walk import Era

MATCH = "config.route.v3.RouteMatch"
HEADER = "config.route.v3.HeaderMatcher"
QUERY = "config.route.v3.QueryParameterMatcher"
CORS = "config.route.v3.CorsPolicy"
ACTION = "config.route.v3.RouteAction"
MIRROR = "config.route.v3.RouteAction.RequestMirrorPolicy"
CLUSTER = "config.route.v3.VirtualCluster"


def percent(numerator):
    return {"default_value": {"numerator": numerator, "denominator": "HUNDRED"}}


@pytest.mark.parametrize(
    ("fqn", "old", "new"),
    [
        (ACTION, {"host_rewrite": "h"}, {"host_rewrite_literal": "h"}),
        (ACTION, {"hostRewrite": "h"}, {"hostRewriteLiteral": "h"}),
        (ACTION, {"auto_host_rewrite_header": "h"}, {"host_rewrite_header": "h"}),
        (
            "extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig",
            {"host_rewrite": "h"},
            {"host_rewrite_literal": "h"},
        ),
        (
            "extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig",
            {"auto_host_rewrite_header": "h"},
            {"host_rewrite_header": "h"},
        ),
        (
            "service.ratelimit.v3.RateLimitResponse",
            {"headers": [{"key": "a"}]},
            {"response_headers_to_add": [{"key": "a"}]},
        ),
        (MATCH, {"regex": "/a.*"}, {"safe_regex": {"regex": "/a.*"}}),
        ("type.matcher.v3.StringMatcher", {"regex": "a"}, {"safe_regex": {"regex": "a"}}),
        (HEADER, {"name": "n", "regex_match": "a"}, {"name": "n", "string_match": {"safe_regex": {"regex": "a"}}}),
        (HEADER, {"name": "n", "value": "v"}, {"name": "n", "string_match": {"exact": "v"}}),
        (HEADER, {"name": "n", "value": "v", "regex": False}, {"name": "n", "string_match": {"exact": "v"}}),
        (
            HEADER,
            {"regex": True, "name": "n", "value": "v"},
            {"name": "n", "string_match": {"safe_regex": {"regex": "v"}}},
        ),
        (HEADER, {"name": "n", "regex": True}, {"name": "n", "present_match": True}),
        (HEADER, {"name": "n"}, {"name": "n"}),
        (QUERY, {"name": "n", "value": "v"}, {"name": "n", "string_match": {"exact": "v"}}),
        (
            QUERY,
            {"name": "n", "value": "v", "regex": "true"},
            {"name": "n", "string_match": {"safe_regex": {"regex": "v"}}},
        ),
        (QUERY, {"name": "n", "value": ""}, {"name": "n", "present_match": True}),
        (QUERY, {"name": "n", "regex": True}, {"name": "n", "present_match": True}),
        (CORS, {"allow_origin": ["*", "a"]}, {"allow_origin_string_match": [{"exact": "*"}, {"exact": "a"}]}),
        (CORS, {"allow_origin": "*"}, {"allow_origin_string_match": [{"exact": "*"}]}),
        (CORS, {"allow_origin_regex": ["a.*"]}, {"allow_origin_string_match": [{"safe_regex": {"regex": "a.*"}}]}),
        (
            CORS,
            {"allow_origin": ["a"], "allow_origin_string_match": [{"regex": "b"}], "allow_origin_regex": ["c"]},
            {
                "allow_origin_string_match": [
                    {"safe_regex": {"regex": "b"}},
                    {"exact": "a"},
                    {"safe_regex": {"regex": "c"}},
                ]
            },
        ),
        (CORS, {"enabled": True}, {"filter_enabled": percent(100)}),
        (CORS, {"enabled": False}, {"filter_enabled": percent(0)}),
        (CORS, {"enabled": False, "filter_enabled": percent(7)}, {"filter_enabled": percent(7)}),
        (ACTION, {"request_mirror_policy": {"cluster": "m"}}, {"request_mirror_policies": [{"cluster": "m"}]}),
        (
            MIRROR,
            {"cluster": "m", "runtime_key": "k"},
            {"cluster": "m", "runtime_fraction": {**percent(0), "runtime_key": "k"}},
        ),
        (MIRROR, {"runtime_key": "k", "runtime_fraction": percent(1)}, {"runtime_fraction": percent(1)}),
        (MIRROR, {"cluster": "m", "runtime_key": ""}, {"cluster": "m"}),
        (
            CLUSTER,
            {"pattern": "/u", "method": "POST", "name": "u"},
            {
                "headers": [
                    {"name": ":path", "string_match": {"safe_regex": {"regex": "/u"}}},
                    {"name": ":method", "string_match": {"exact": "POST"}},
                ],
                "name": "u",
            },
        ),
        (CLUSTER, {"name": "u", "method": "METHOD_UNSPECIFIED"}, {"name": "u"}),
        (ACTION, {"use_websocket": True}, {"upgrade_configs": [{"upgrade_type": "websocket"}]}),
        (ACTION, {"cluster": "c", "use_websocket": False}, {"cluster": "c"}),
    ],
)
def test_fields(as_v2, fqn, old, new):
    outcome = as_v2(fqn, old)

    assert outcome.new == new
    assert not outcome.faults
    if outcome.new is old:
        assert not outcome.changes


def test_a_mirror_runtime_key_says_that_it_counts_otherwise(as_v2):
    assert as_v2(MIRROR, {"runtime_key": "k"}).changes == [
        ("runtime_key", "runtime_key becomes runtime_fraction: its value counts in percent now, not in 1/100 percent")
    ]


@pytest.mark.parametrize("pattern", ["a(?=b)", "(?<!x)y", r"(a)\1", "("])
def test_a_regular_expression_that_re2_does_not_take_is_refused(as_v2, pattern):
    outcome = as_v2(MATCH, {"regex": pattern})

    ((path, text),) = outcome.faults
    assert path == "regex"
    assert text.startswith(f"the regular expression {pattern!r} isn't one of RE2, which v3 takes: ")


def test_only_one_form_of_mirror_policy_may_be_set(as_v2):
    outcome = as_v2(ACTION, {"request_mirror_policy": {"cluster": "a"}, "request_mirror_policies": [{"cluster": "b"}]})

    assert outcome.faults == [
        ("request_mirror_policy", "stands beside request_mirror_policies; only one of them can be set")
    ]
    assert outcome.new == {"request_mirror_policies": [{"cluster": "b"}]}


def test_host_rewrite_below_a_v3_type_is_the_field_of_v3(as_v2):
    old = {"host_rewrite": "%REQ(x)%"}

    assert as_v2(ACTION, old, Era.V3).new is old
    assert as_v2(ACTION, old, Era.EITHER).new == old
