import pytest

from trio_envoy.config.v2.run import At
from trio_envoy.config.v2.walk import Era, upgrade_any

PREFIX = "type.googleapis.com/"
TCP_V2 = "envoy.config.filter.network.tcp_proxy.v2.TcpProxy"
TCP_V3 = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
FILTER = "config.listener.v3.Filter"


def test_a_part_without_change_is_the_same_object(as_v2):
    old = {"metadata": {"filter_metadata": {"a": {"hosts": [1]}}}, "tls_context": {}, "upstream_bind_config": {}}

    new = as_v2("config.cluster.v3.Cluster", old).new

    assert new["metadata"] is old["metadata"]
    assert new["upstream_bind_config"] is old["upstream_bind_config"]


def test_unknown_keys_and_nulls_pass(as_v2):
    old = {"hosts_": [1], "load_assignment": None, "type": 3}

    assert as_v2("config.cluster.v3.Cluster", old).new is old


def test_what_is_no_message_passes(as_v2):
    old = {"health_checks": "text", "load_assignment": [1]}

    assert as_v2("config.cluster.v3.Cluster", old).new is old
    assert as_v2("config.cluster.v3.Cluster", "text").new == "text"


def test_a_removed_field_set_to_null_is_dropped(as_v2):
    outcome = as_v2("config.cluster.v3.Cluster", {"name": "c", "tls_context": None})

    assert outcome.new == {"name": "c"}
    assert outcome.changes == [("tls_context", "tls_context is dropped: it isn't set")]


def test_v3_names_count_below_a_v2_type(as_v2):
    old = {"@type": PREFIX + TCP_V2, "cluster": "c", "max_connect_attempts": 2, "proxy_protocol_tlvs": []}

    new = as_v2(FILTER, {"name": "f", "typed_config": old}).new

    assert new["typed_config"] == old | {"@type": PREFIX + TCP_V3}


def test_any_prefix_of_a_type_url_is_kept(as_v2):
    new = as_v2(FILTER, {"name": "f", "typed_config": {"@type": f"a.b/{TCP_V2}"}}).new

    assert new["typed_config"] == {"@type": f"a.b/{TCP_V3}"}


@pytest.mark.parametrize("wrapper", ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"])
def test_a_typed_struct_says_its_v3_type(as_v2, wrapper):
    old = {"@type": PREFIX + wrapper, "type_url": PREFIX + TCP_V2, "value": {"cluster": "c", "stat_prefix": "s"}}

    outcome = as_v2(FILTER, {"name": "f", "typed_config": old})

    assert outcome.new["typed_config"] == {"@type": PREFIX + TCP_V3, "cluster": "c", "stat_prefix": "s"}
    assert outcome.changes == [("typed_config.type_url", f"{TCP_V2} is now {TCP_V3}")]


def test_a_typed_struct_of_v3_stays_one(as_v2):
    value = {"access_log": [{"name": "envoy.access_loggers.stdout"}]}
    old = {"@type": PREFIX + "xds.type.v3.TypedStruct", "type_url": PREFIX + TCP_V3, "value": value}

    new = as_v2(FILTER, {"name": "f", "typed_config": old}).new["typed_config"]

    assert new["@type"] == old["@type"]
    assert new["value"]["access_log"][0]["typed_config"] == {
        "@type": PREFIX + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    }


@pytest.mark.parametrize("fields", [{}, {"type_url": 5}, {"type_url": PREFIX + TCP_V2, "value": "text"}])
def test_a_typed_struct_that_says_nothing_passes(as_v2, fields):
    old = {"name": "f", "typed_config": {"@type": PREFIX + "xds.type.v3.TypedStruct", **fields}}

    assert as_v2(FILTER, old).new is old


def test_a_typed_struct_of_v3_without_change_is_the_same_object(as_v2):
    inner = {"type_url": PREFIX + TCP_V3, "value": {"cluster": "c"}}
    old = {"name": "f", "typed_config": {"@type": PREFIX + "xds.type.v3.TypedStruct", **inner}}

    assert as_v2(FILTER, old).new is old


def test_a_map_or_word_that_is_none_passes(as_v2):
    old = {"source_type": "odd", "filter_chain_match": 3}

    assert as_v2("config.listener.v3.FilterChainMatch", old).new is old
    assert as_v2("config.core.v3.Metadata", {"typed_filter_metadata": 3}).new == {"typed_filter_metadata": 3}


def test_an_unknown_type_passes(as_v2):
    old = {"name": "f", "typed_config": {"@type": PREFIX + "mine.Own", "hosts": []}}

    assert as_v2(FILTER, old, Era.EITHER).new is old


def test_an_any_without_type_passes(as_v2):
    run = as_v2(FILTER, {}).run

    assert upgrade_any(run, {"a": 1}, (), Era.V2, None) == {"a": 1}
    assert upgrade_any(run, None, (), Era.V2, None) is None


def test_place_notes_where_each_part_stood(as_v2):
    run = as_v2(FILTER, {}).run

    placed = run.place({"a": [At({"b": 1}, ("x", 0))], "c": 2}, ("y",))

    assert placed == {"a": [{"b": 1}], "c": 2}
    assert run.moved[id(placed), "a"] == run.moved[id(placed), "c"] == ("y",)
    assert run.moved[id(placed["a"]), 0] == ("x", 0)
