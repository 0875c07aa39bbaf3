import pytest

LISTENER = "config.listener.v3.Listener"
REDIS = "extensions.filters.network.redis_proxy.v3.RedisProxy"
TCP = "extensions.filters.network.tcp_proxy.v3.TcpProxy"


@pytest.mark.parametrize(
    ("fqn", "old", "new"),
    [
        ("config.listener.v3.FilterChainMatch", {"sni_domains": ["a"]}, {"server_names": ["a"]}),
        ("config.listener.v3.FilterChainMatch", {"source_type": "local"}, {"source_type": "SAME_IP_OR_LOOPBACK"}),
        ("config.listener.v3.FilterChainMatch", {"source_type": 1}, {"source_type": 1}),
        (
            "config.listener.v3.UdpListenerConfig",
            {"udp_listener_name": "raw_udp_listener", "config": {}, "typed_config": {}},
            {},
        ),
        (
            "config.listener.v3.QuicProtocolOptions",
            {"max_concurrent_streams": 5},
            {"quic_protocol_options": {"max_concurrent_streams": 5}},
        ),
        (REDIS, {"cluster": "c"}, {"prefix_routes": {"catch_all_route": {"cluster": "c"}}}),
        (
            REDIS,
            {"cluster": "c", "prefix_routes": {"routes": [{"prefix": "a", "cluster": "d"}]}},
            {"prefix_routes": {"routes": [{"prefix": "a", "cluster": "d"}], "catch_all_route": {"cluster": "c"}}},
        ),
        (
            REDIS,
            {"prefix_routes": {"catch_all_cluster": "c"}},
            {"prefix_routes": {"catch_all_route": {"cluster": "c"}}},
        ),
        (f"{REDIS}.PrefixRoutes", {"catch_all_cluster": "", "case_insensitive": True}, {"case_insensitive": True}),
        (REDIS, {"stat_prefix": "s", "cluster": ""}, {"stat_prefix": "s"}),
        (
            "data.tap.v3.Connection",
            {"local_address": {}, "remote_address": {}},
            {"local_address": {}, "remote_address": {}},
        ),
        (TCP, {"deprecated_v1": {"routes": [{"cluster": "c"}]}}, {"cluster": "c"}),
    ],
)
def test_fields(as_v2, fqn, old, new):
    outcome = as_v2(fqn, old)

    assert outcome.new == new
    assert not outcome.faults


def test_the_quic_listener_of_v2_is_refused(as_v2):
    outcome = as_v2("config.listener.v3.UdpListenerConfig", {"udp_listener_name": "quiche_quic_listener"})

    assert outcome.faults == [
        ("udp_listener_name", "the UDP listener 'quiche_quic_listener' has no v3 form; write quic_options")
    ]


def a_tcp_listener(routes, **chain):
    tcp = {"name": "envoy.tcp_proxy", "config": {"stat_prefix": "s", "deprecated_v1": {"routes": routes}}}
    return {"filter_chains": [{**chain, "filters": [{"name": "envoy.echo"}, tcp]}, {"name": "other"}]}


ROUTES = [
    {
        "cluster": "a",
        "destination_ip_list": [{"address_prefix": "10.0.0.0", "prefix_len": 8}],
        "destination_ports": "80",
    },
    {"cluster": "b", "source_ip_list": {"address_prefix": "10.0.0.0", "prefix_len": 8}, "source_ports": "1,5-7"},
]


def test_each_tcp_route_of_v1_becomes_a_filter_chain(as_v2):
    outcome = as_v2(LISTENER, a_tcp_listener(ROUTES))

    first, second, other = outcome.new["filter_chains"]
    assert first["filter_chain_match"] == {
        "prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}],
        "destination_port": 80,
    }
    assert second["filter_chain_match"] == {
        "source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}],
        "source_ports": [1, 5, 6, 7],
    }
    assert [chain["filters"][1]["typed_config"]["cluster"] for chain in (first, second)] == ["a", "b"]
    assert first["filters"][0]["name"] == "envoy.filters.network.echo"
    assert other == {"name": "other"}
    assert not outcome.faults


@pytest.mark.parametrize(
    ("listener", "text"),
    [
        (
            a_tcp_listener([ROUTES[0] | {"destination_ports": "1-5"}]),
            "a filter chain matches one destination port only",
        ),
        (a_tcp_listener([ROUTES[1] | {"source_ports": "x"}]), "is a list of ports and ranges such as '80,100-200'"),
        (a_tcp_listener([]), "deprecated_v1 holds a list of routes"),
        (
            a_tcp_listener(ROUTES, filter_chain_match={"destination_port": 1}),
            "deprecated_v1.routes can be upgraded in a filter chain without filter_chain_match only",
        ),
    ],
)
def test_tcp_routes_that_no_filter_chain_can_say_are_refused(as_v2, listener, text):
    assert [fault for _, fault in as_v2(LISTENER, listener).faults] == [text]
