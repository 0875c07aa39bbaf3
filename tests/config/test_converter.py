from collections.abc import Mapping

import attrs
import pytest

from trio_envoy.config import cluster, core, hcm, listener, route
from trio_envoy.config.converter import ConfigConverter
from trio_envoy.config.findings import BAD

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


@pytest.fixture
def converter(resolve):
    return ConfigConverter(resolve)


def test_every_kind_of_field_gets_its_type(structure):
    made = structure(
        """
        name: a
        type: STATIC
        connect_timeout: 1.5s
        per_connection_buffer_limit_bytes: 0
        common_lb_config: {healthy_panic_threshold: {value: 1e1}}
        circuit_breakers: {thresholds: [{priority: HIGH, track_remaining: true}]}
        health_checks:
        - {timeout: 1s, interval: 1s, healthy_threshold: 1, unhealthy_threshold: 1,
           tcp_health_check: {send: {binary: aGk=}}}
        """,
        cluster.Cluster,
    )

    assert made.type is cluster.DiscoveryType.STATIC
    assert made.connect_timeout == 1.5
    assert made.per_connection_buffer_limit_bytes == 0
    assert made.common_lb_config.healthy_panic_threshold.value == 10.0
    assert made.circuit_breakers.thresholds == (
        cluster.CircuitBreakersThresholds(priority=core.RoutingPriority.HIGH, track_remaining=True),
    )
    assert made.health_checks[0].tcp_health_check.send.binary == b"hi"
    assert made.lb_policy is cluster.LbPolicy.ROUND_ROBIN
    assert made.dns_refresh_rate is None
    assert made.typed_extension_protocol_options == {}


def test_an_any_becomes_the_config_of_its_extension(structure):
    plain = structure(f"{{name: t, typed_config: {{'@type': {TLS}, sni: x}}}}", core.TransportSocket)
    struct = "type.googleapis.com/xds.type.v3.TypedStruct"
    typed = structure(
        f"{{name: t, typed_config: {{'@type': {struct}, type_url: {TLS}, value: {{sni: x}}}}}}", core.TransportSocket
    )

    assert plain.typed_config.sni == "x"
    assert plain == typed


@pytest.mark.parametrize(("text", "key"), [("{name: x}", "name"), ("{name: x, typed_config: {}}", "typed_config")])
def test_a_holder_of_an_extension_says_which_one(converter, checked, text, key):
    tree = checked(text, core.TransportSocket.__proto__)

    converter.structure(tree, core.TransportSocket)
    converter.survey(tree, core.TransportSocket)

    assert [(complaint.key, complaint.text) for complaint in converter.faults] == [
        (key, "didn't find a registered implementation for 'x' with type URL '': '@type' is missing")
    ] * 2


def test_the_wrapper_that_switches_a_filter_on_a_route_is_known_without_a_registry(structure):
    url = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    made = structure(
        f"{{name: v, domains: ['*'], typed_per_filter_config: {{f: {{'@type': {url}, disabled: true}}}}}}",
        route.VirtualHost,
    )

    assert made.typed_per_filter_config == {"f": route.FilterConfig(disabled=True)}


def test_what_the_class_lacks_is_refused_by_name(converter, checked):
    tree = checked(
        "{name: a, lb_subset_config: {}, outlier_detection: {}, alt_stat_name: b}", "envoy.config.cluster.v3.Cluster"
    )

    converter.structure(tree, cluster.Cluster)

    assert [complaint.text for complaint in converter.faults] == [
        "known to Envoy, not supported here: 'lb_subset_config' of envoy.config.cluster.v3.Cluster",
        "known to Envoy, not supported here: 'outlier_detection' of envoy.config.cluster.v3.Cluster",
    ]
    assert all(complaint.node is tree for complaint in converter.faults)


def test_an_extension_that_is_not_here_is_refused_by_name(converter, checked):
    tree = checked(f"{{name: lua, typed_config: {{'@type': {LUA}}}}}", hcm.HttpFilter.__proto__)

    made = converter.structure(tree, hcm.HttpFilter)

    assert made.typed_config is None
    assert converter.faults[0].key == "@type"
    assert converter.faults[0].text.startswith(
        "known to Envoy, not supported here: envoy.extensions.filters.http.lua.v3.Lua"
    )


def test_an_optional_extension_that_is_not_here_is_left_out_with_a_warning(converter, checked):
    tree = checked(f"{{name: lua, is_optional: true, typed_config: {{'@type': {LUA}}}}}", hcm.HttpFilter.__proto__)

    made = converter.structure(tree, hcm.HttpFilter)

    assert made == hcm.HttpFilter(name="lua", is_optional=True)
    assert converter.faults == []
    assert "left out, as is_optional asks: envoy.extensions.filters.http.lua.v3.Lua" in converter.warnings[0].text


def test_an_optional_extension_may_be_without_its_type(converter, checked):
    for text, expected in (("{name: x, is_optional: true}", []), ("{name: x}", ["name"])):
        converter.faults.clear()
        tree = checked(text, hcm.HttpFilter.__proto__)

        converter.structure(tree, hcm.HttpFilter)
        converter.survey(tree, hcm.HttpFilter)

        assert [complaint.key for complaint in converter.faults] == expected * 2


def test_a_map_of_extensions_wants_a_type_for_each(converter, checked):
    tree = checked("{name: a, typed_extension_protocol_options: {b: {}}}", "envoy.config.cluster.v3.Cluster")

    converter.structure(tree, cluster.Cluster)

    assert [(complaint.key, complaint.text) for complaint in converter.faults] == [("b", "'@type' is missing")]


def test_a_survey_finds_the_same_in_a_tree_with_other_faults(converter, checked):
    tree = checked(
        f"""
        name: l
        tcp_fast_open_queue_length: 5
        address: {{socket_address: {{address: 127.0.0.1, port_value: 0, resolver_name: x}}}}
        filter_chains:
        - filters:
          - name: h
            typed_config:
              '@type': {HCM}
              stat_prefix: a
              append_local_overload: true
              route_config:
                virtual_hosts:
                - {{name: v, domains: ['*'], typed_per_filter_config: {{l: {{'@type': {LUA}}}}}}}
              http_filters: [{{name: l, typed_config: {{'@type': {LUA}}}}}, {{name: e, typed_config: {{}}}}]
        """,
        listener.Listener.__proto__,
    )
    converter.structure(tree, listener.Listener)
    expected = [complaint.text for complaint in converter.faults]
    converter.faults.clear()
    tree["per_connection_buffer_limit_bytes"] = BAD
    tree["filter_chains"].append(BAD)

    converter.survey(tree, listener.Listener)

    assert len(expected) == 6
    assert sorted(complaint.text for complaint in converter.faults) == sorted(expected)


def test_two_converters_do_not_share_what_they_resolve(checked):
    @attrs.frozen
    class One:
        __proto__ = "envoy.extensions.filters.http.lua.v3.Lua"

    tree = checked(f"{{name: lua, typed_config: {{'@type': {LUA}}}}}", hcm.HttpFilter.__proto__)

    assert ConfigConverter({One.__proto__: One}.get).structure(tree, hcm.HttpFilter).typed_config == One()
    assert ConfigConverter({}.get).structure(tree, hcm.HttpFilter).typed_config is None


def test_an_optional_extension_that_is_here_stays(structure):
    routes = "route_config: {name: r}"
    made = structure(
        f"{{name: h, is_optional: true, typed_config: {{'@type': {HCM}, stat_prefix: a, {routes}}}}}", hcm.HttpFilter
    )

    assert made.typed_config.stat_prefix == "a"


def test_maps_of_scalars_and_of_messages(checked):
    @attrs.frozen
    class MimeTypes:
        __proto__ = "envoy.extensions.filters.http.file_server.v3.FileServerConfig"
        content_types: Mapping[str, str] = attrs.field(factory=dict)

    @attrs.frozen
    class Inner:
        __proto__ = "envoy.config.rbac.v3.Policy"

    @attrs.frozen
    class Rules:
        __proto__ = "envoy.config.rbac.v3.RBAC"
        policies: Mapping[str, Inner] = attrs.field(factory=dict)

    globals().update(Inner=Inner)
    converter = ConfigConverter({}.get)

    assert converter.structure({"content_types": {"txt": "text/plain"}}, MimeTypes).content_types == {
        "txt": "text/plain"
    }
    assert converter.structure({"policies": {"a": {}}}, Rules).policies == {"a": Inner()}
    assert converter.faults == []
