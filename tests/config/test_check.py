"""What is accepted and refused, measured on Envoy 1.40.0 by --mode validate and /config_dump."""

import pytest

from trio_envoy.config.check import check, special_reader
from trio_envoy.config.findings import Findings

BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"
CLUSTER = "envoy.config.cluster.v3.Cluster"
ROUTE = "envoy.config.route.v3.Route"
FILTER = "envoy.config.listener.v3.Filter"
MATCH = "envoy.config.listener.v3.FilterChainMatch"
ECHO = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def test_the_canonical_tree(checked):
    tree = checked(
        """
        name: a
        type: strict_dns
        lbPolicy: 1
        connectTimeout: {seconds: 1, nanos: 500000000}
        per_connection_buffer_limit_bytes: "32768"
        load_assignment:
          clusterName: a
          endpoints: {lbEndpoints: {endpoint: {address: {socket_address: {address: b, port_value: "80"}}}}}
        """,
        CLUSTER,
    )

    assert tree == {
        "name": "a",
        "type": "STRICT_DNS",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1.500s",
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {
            "cluster_name": "a",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "b", "port_value": 80}}}}]}
            ],
        },
    }


def test_the_canonical_tree_checks_to_itself(checked):
    found = Findings()
    tree = checked("{name: a, type: 0, connect_timeout: 3s, metadata: {filter_metadata: {b: {c: 1}}}}", CLUSTER)

    assert check(tree, CLUSTER, found) == tree
    assert found.faults == []


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("{name: a, alt_stat_name: '', lb_policy: ROUND_ROBIN, respect_dns_ttl: false}", {"name": "a"}),
        ("{name: a, type: STATIC, per_connection_buffer_limit_bytes: 0}", None),
        ("{name: a, load_assignment: ~, health_checks: [], typed_extension_protocol_options: {}}", {"name": "a"}),
        ("{name: a, circuit_breakers: {thresholds: []}}", {"name": "a", "circuit_breakers": {}}),
    ],
)
def test_what_counts_as_set(checked, text, tree):
    kept = {"name": "a", "type": "STATIC", "per_connection_buffer_limit_bytes": 0}

    assert checked(text, CLUSTER) == (tree or kept)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("server_names: a.com", {"server_names": ["a.com"]}),
        ("server_names: [a, null, b]", {"server_names": ["a", "", "b"]}),
        ("server_names: [[a], [[c]], b]", {"server_names": ["a", "c", "b"]}),
        ("source_ports: [[1, 2], 3]", {"source_ports": [1, 2, 3]}),
        ("prefix_ranges: {address_prefix: 10.0.0.0, prefix_len: 8}", None),
    ],
)
def test_lists_without_brackets_nested_and_with_null(checked, text, tree):
    assert checked(text, MATCH) == (tree or {"prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name: a\nconect_timeout: 1s",
            f"$.conect_timeout: unknown to Envoy: 'conect_timeout' is no field of {CLUSTER};"
            " did you mean 'connect_timeout'?",
        ),
        ("name: a\nxyzzy: ~", f"$.xyzzy: unknown to Envoy: 'xyzzy' is no field of {CLUSTER}"),
        ("name: a\nConnectTimeout: 1s", "$.ConnectTimeout: unknown to Envoy: 'ConnectTimeout'"),
        ("name: a\n<<: {type: STATIC}", "merge keys aren't supported by Envoy either"),
        (
            "name: a\nload_assignment: x",
            "$.load_assignment: expected a mapping (envoy.config.endpoint.v3.ClusterLoadAssign",
        ),
        ("name: a\nload_assignment: []", "$.load_assignment: expected a mapping"),
        ("name: a\nhealth_checks: 5", "$.health_checks[0]: expected a mapping"),
        (
            "name: a\ntyped_extension_protocol_options: []",
            "$.typed_extension_protocol_options: expected a mapping, got a list",
        ),
        ("name: a\nconnect_timeout: 0s", "$.connect_timeout: value must be greater than 0s, got 0s"),
        ("{}", "$.name: value length must be at least 1 characters"),
        ("name: ''", "$.name: value length must be at least 1 characters"),
        ("name: a\nleast_request_lb_config: {choice_count: 1}", "value must be greater than or equal to 2, got 1"),
        ("name: a\ndns_failure_refresh_rate: {}", "$.dns_failure_refresh_rate.base_interval: value is required"),
        (
            "name: a\ntype: STATIC\ncluster_type: {name: x}",
            "$.cluster_type: 'type' is set already, and only one of them",
        ),
        (
            "name: a\nmetadata: {filter_metadata: {'': {}}}",
            "$.metadata.filter_metadata.: key: value length must be at least 1",
        ),
        ("name: a\nmetadata: {filter_metadata: {b: 5}}", "$.metadata.filter_metadata.b: expected a mapping, got 5"),
    ],
)
def test_a_fault_in_a_cluster(faults, text, expected):
    found = faults(text, CLUSTER)

    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "match: {prefix: /}",
            ["$: one of route, redirect, direct_response, filter_action, non_forwarding_action is required (action)"],
        ),
        ("match: {}\nredirect: {}", ["$.match: one of prefix, path, safe_regex, connect_matcher"]),
        ("redirect: {}", ["$.match: value is required"]),
        (
            "match: {prefix: /}\ndirect_response: {}",
            ["$.direct_response.status: value must be inside range [200, 600), got 0"],
        ),
        (
            "match: {prefix: /}\nredirect: {https_redirect: true, scheme_redirect: x}",
            ["'https_redirect' is set already"],
        ),
        (
            'match: {prefix: /}\nredirect: {host_redirect: "a\\nb"}',
            ["$.redirect.host_redirect: value is not a valid header"],
        ),
        (
            "match: {prefix: /}\nredirect: {}\nrequest_headers_to_add: [{}, {header: {key: ''}}]",
            [
                "$.request_headers_to_add[0].header: value is required",
                "$.request_headers_to_add[1].header.key: value length must be at least 1 characters",
            ],
        ),
        (
            "match: {prefix: /}\nredirect: {}\nrequest_headers_to_remove: ['']",
            ["$.request_headers_to_remove[0]: value length"],
        ),
    ],
)
def test_faults_in_a_route(faults, text, expected):
    found = faults(text, ROUTE)

    assert len(found) == len(expected)
    for fault, beginning in zip(found, expected, strict=True):
        assert beginning in fault


def test_all_faults_come_at_once(faults):
    found = faults("static_resources: {clusters: [{nam: a, type: x}, {name: b, lb_policy: 99}]}\nadmn: {}", BOOTSTRAP)

    assert [fault.partition(": ")[0] for fault in found] == [
        "$.static_resources.clusters[0].nam",
        "$.static_resources.clusters[0].type",
        "$.static_resources.clusters[0].name",
        "$.static_resources.clusters[1].lb_policy",
        "$.admn",
    ]


def test_without_rules_only_the_form_is_checked(faults):
    assert faults("{}", CLUSTER, rules=False) == []
    assert len(faults("{foo: 1}", CLUSTER, rules=False)) == 1


def test_unknown_fields_may_be_allowed(faults, warnings):
    assert faults("name: a\nfoo: 1", CLUSTER, allow_unknown=True) == []
    assert warnings("name: a\nfoo: 1", CLUSTER, allow_unknown=True)[0].startswith("$.foo: unknown to Envoy")


def test_a_deprecated_field_is_warned_of_when_it_is_set(warnings):
    found = warnings("{name: a, respect_dns_ttl: true, use_tcp_for_dns_lookups: false}", CLUSTER)

    assert len(found) == 1
    assert found[0].startswith(
        f"$.respect_dns_ttl: Using deprecated option '{CLUSTER}.respect_dns_ttl'. This configuration"
    )


def test_a_default_that_is_deprecated_is_warned_of(warnings):
    found = warnings("{transport_api_version: V3, cluster_names: [a]}", "envoy.config.core.v3.ApiConfigSource")

    assert found[0].startswith(
        "$.api_type: Using the default now-deprecated value DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE"
    )


def test_work_in_progress_is_warned_of(warnings):
    one = warnings("allow_custom_methods: true", "envoy.config.core.v3.Http1ProtocolOptions")
    assert one[0].startswith(
        "$.allow_custom_methods: field 'envoy.config.core.v3.Http1ProtocolOptions.allow_custom_methods' is"
    )
    other = warnings("{}", "envoy.extensions.filters.http.custom_response.v3.CustomResponse")
    assert other[0].startswith(
        "$: message 'envoy.extensions.filters.http.custom_response.v3.CustomResponse' is marked as"
    )


def test_a_field_in_two_spellings_is_warned_of(warnings, checked):
    text = "name: a\nconnect_timeout: 1s\nconnectTimeout: 2s"

    assert "set twice" in warnings(text, CLUSTER)[0]
    assert checked(text, CLUSTER)["connect_timeout"] == "2s"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{name: a, transport_socket_matches: [], transportSocketMatches: [{name: x}]}", ""),
        ("{name: a, health_checks: [], load_assignment: {cluster_name: x}, loadAssignment: {}}", "load_assignment"),
        ("{name: a, cluster_type: {name: x}, clusterType: {name: y}}", "cluster_type"),
        ("{name: a, dns_resolvers: [{pipe: {path: /x}}], dnsResolvers: [{pipe: {path: /y}}]}", "dns_resolvers"),
    ],
)
def test_what_envoy_refuses_or_joins_is_in_one_spelling(faults, text, name):
    found = [fault for fault in faults(text, CLUSTER) if "in another spelling" in fault]

    assert len(found) == bool(name)
    assert all(f"{name!r} is set already" in fault for fault in found)


def test_a_field_that_envoy_refuses(faults):
    found = faults("{name: a, library: /x.so}", "envoy.config.trace.v3.DynamicOtConfig")

    assert any("is deprecated and refused by Envoy" in fault for fault in found)


def test_an_any_is_checked_by_its_type(checked, faults):
    text = f"{{name: x, typed_config: {{statPrefix: p, '@type': {TCP}, cluster: c, max_connect_attempts: '3'}}}}"

    assert list(checked(text, FILTER)["typed_config"].items()) == [
        ("@type", TCP),
        ("stat_prefix", "p"),
        ("cluster", "c"),
        ("max_connect_attempts", 3),
    ]
    assert faults(f"{{name: x, typed_config: {{'@type': {TCP}, foo: 1, stat_prefix: p}}}}", FILTER) == [
        "$.typed_config.foo: unknown to Envoy: 'foo' is no field of"
        " envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "$.typed_config: one of cluster, weighted_clusters is required (cluster_specifier)",
    ]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("{a: 1}", "$.typed_config: '@type' is missing"),
        ("x", "$.typed_config: expected a mapping with an '@type', got 'x'"),
        (
            "{'@type': envoy.extensions.filters.network.echo.v3.Echo}",
            "$.typed_config.@type: expected type.googleapis.com/",
        ),
        ("{'@type': 5}", "$.typed_config.@type: expected type.googleapis.com/ and the name of a message, got 5"),
        (
            "{'@type': type.googleapis.com/envoy.extensions.filters.network.ehco.v3.Echo}",
            "$.typed_config.@type: unknown to Envoy: there is no message"
            " 'envoy.extensions.filters.network.ehco.v3.Echo'; did you mean"
            " 'envoy.extensions.filters.network.echo.v3.Echo'?",
        ),
        (
            "{'@type': type.googleapis.com/google.protobuf.Struct}",
            "expected '@type' and 'value' for google.protobuf.Struct",
        ),
        ("{'@type': type.googleapis.com/xds.type.v3.TypedStruct}", "$.typed_config: 'type_url' is missing"),
        (
            "{'@type': type.googleapis.com/xds.type.v3.TypedStruct, x: 1}",
            "$.typed_config.x: unknown to Envoy: TypedStruct has",
        ),
        (
            "{'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: a/envoy.foo.Bar}",
            "$.typed_config.type_url: unknown to Envoy: there is no message 'envoy.foo.Bar'",
        ),
        (
            f"{{'@type': type.googleapis.com/xds.type.v3.TypedStruct, typeUrl: {ECHO}, value: {{a: 1}}}}",
            "$.typed_config.value.a: unknown to Envoy: 'a' is no field of"
            " envoy.extensions.filters.network.echo.v3.Echo",
        ),
    ],
)
def test_a_fault_in_an_any(faults, config, fault):
    found = faults(f"{{name: x, typed_config: {config}}}", FILTER)

    assert len(found) == 1
    assert fault in found[0]


def test_an_empty_any_and_a_strange_host_are_fine(checked):
    assert checked("{name: x, typed_config: {}}", FILTER) == {"name": "x", "typed_config": {}}
    assert checked("{name: x, typed_config: {'@type': foo.bar/google.protobuf.Duration, value: 1.5s}}", FILTER) == {
        "name": "x",
        "typed_config": {"@type": "foo.bar/google.protobuf.Duration", "value": "1.500s"},
    }


def test_a_typed_struct_is_checked_as_what_it_stands_for(checked):
    url = "type.googleapis.com/xds.type.v3.TypedStruct"
    value = "{statPrefix: a, cluster: c, idleTimeout: 1s}"
    text = f"{{name: x, typed_config: {{'@type': {url}, type_url: {TCP}, value: {value}}}}}"

    assert checked(text, FILTER)["typed_config"] == {
        "@type": url,
        "type_url": TCP,
        "value": {"stat_prefix": "a", "cluster": "c", "idle_timeout": "1s"},
    }


def test_a_struct_is_left_as_it_is(checked):
    text = "name: a\nlayer: {x: 1.50, y: ~, z: [1, {a: 10000000000}]}"
    tree = checked(text.replace("layer", "static_layer"), "envoy.config.bootstrap.v3.RuntimeLayer")

    assert tree["static_layer"] == {"x": "1.50", "y": None, "z": [1, {"a": "10000000000"}]}


def test_messages_that_are_no_objects_in_json():
    assert special_reader("google.protobuf.UInt32Value")("5", None, Findings()) == 5
    assert special_reader("google.protobuf.Any")({}, None, Findings()) == {}
    assert special_reader("google.protobuf.FieldMask") is not None
    assert special_reader(CLUSTER) is None


def test_a_list_that_is_too_long(faults):
    text = "name: r\nrequest_headers_to_add: [" + "{header: {key: a}}, " * 1001 + "]"

    assert faults(text, "envoy.config.route.v3.RouteConfiguration") == [
        "$.request_headers_to_add: value must contain no more than 1000 item(s), got 1001"
    ]
