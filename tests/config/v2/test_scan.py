import pytest

from trio_envoy.config.v2.scan import may_be_v2

PREFIX = "type.googleapis.com/envoy."


@pytest.mark.parametrize(
    "part",
    [
        {"hosts": []},
        {"tlsContext": {}},
        {"config": {}},
        {"http_health_check": {"use_http2": True}},
        {"httpHealthCheck": {"serviceName": "s"}},
        {"lb_policy": "original_dst_lb"},
        {"lb_policy": 4},
        {"filter_chain_match": {"source_type": "local"}},
        {"load_balancing_policy": {"policies": [{"name": "n"}]}},
        {"typed_config": {"@type": PREFIX + "config.filter.http.router.v2.Router"}},
        {"typed_config": {"@type": PREFIX + "type.matcher.StringMatcher"}},
        {"typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct"}},
        {"name": "envoy.router"},
        {"name": "envoy.filters.http.router", "typed_config": {}},
        {"name": "tls", "typedConfig": {"sni": "a"}},
        {"patterns": [{"regex": "a"}]},
        {"service_name_matcher": {"regex": "a"}},
        {"typed_per_filter_config": {"envoy.filters.http.fault": {}}},
    ],
)
def test_calls_for_the_walk(part):
    assert may_be_v2(part)
    assert may_be_v2({"static_resources": {"listeners": [{"a": [[part]]}]}})


@pytest.mark.parametrize(
    "part",
    [
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": PREFIX + "extensions.filters.http.router.v3.Router"},
        },
        {"name": "service1"},
        {"http_health_check": {"path": "/"}},
        {"eds_cluster_config": {"service_name": "s"}},
        {"lb_policy": "ROUND_ROBIN"},
        {"safe_regex": {"regex": "a"}},
        {"regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}},
        {"stats_tags": [{"tag_name": "t", "regex": "a"}]},
        {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": "n"}}]}},
        {"typed_per_filter_config": {"envoy.filters.http.fault": {"@type": PREFIX + "config.route.v3.FilterConfig"}}},
        {"runtime_fraction": {"runtime_key": "k"}},
        {"a": {"runtime": {}}},
    ],
)
def test_needs_no_walk(part):
    assert not may_be_v2({"static_resources": {"listeners": [{"a": [[part]]}]}})


def test_runtime_at_the_top_calls_for_the_walk():
    assert may_be_v2({"runtime": {}})
    assert not may_be_v2({"runtime": None})
