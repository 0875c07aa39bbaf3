"""Measured on Envoy 1.40.0: `-c` with `--config-yaml`, read back from /config_dump."""

import pytest

from trio_envoy.config.merge import _message, merge, origin

BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"
CLUSTER = "envoy.config.cluster.v3.Cluster"


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("node: {id: a, cluster: c}", "node: {id: b, cluster: ''}", "node: {id: b, cluster: c}"),
        ("node: {locality: {region: r}}", "node: {locality: {zone: z}}", "node: {locality: {region: r, zone: z}}"),
        ("node: {metadata: {a: {b: 1}, x: 1}}", "node: {metadata: {a: {c: 1}}}", "node: {metadata: {a: {c: 1}, x: 1}}"),
        (
            "static_resources: {clusters: [{name: a}]}",
            "static_resources: {clusters: [{name: b}]}",
            "static_resources: {clusters: [{name: a}, {name: b}]}",
        ),
        ("stats_flush_interval: 2.5s", "stats_flush_interval: 0.25s", "stats_flush_interval: 2.25s"),
        ("stats_flush_interval: 2.5s", "stats_flush_interval: 3s", "stats_flush_interval: 3.5s"),
        ("header_prefix: a", "node: {id: b}", "{header_prefix: a, node: {id: b}}"),
        (
            "admin: {address: {socket_address: {address: 1.2.3.4, port_value: 1}}}",
            "admin: {address: {pipe: {path: /x}}}",
            "admin: {address: {pipe: {path: /x}}}",
        ),
    ],
)
def test_two_bootstraps(checked, base, over, merged):
    trees = [checked(text, BOOTSTRAP) for text in (base, over, merged)]
    before = repr(trees[:2])

    assert merge(trees[0], trees[1], BOOTSTRAP) == trees[2]
    assert repr(trees[:2]) == before


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("per_connection_buffer_limit_bytes: 5", "per_connection_buffer_limit_bytes: 0", 5),
        ("per_connection_buffer_limit_bytes: 5", "per_connection_buffer_limit_bytes: 7", 7),
        ("alt_stat_name: a", "per_connection_buffer_limit_bytes: 0", 0),
    ],
)
def test_a_wrapper_of_zero_changes_nothing(checked, base, over, merged):
    trees = [checked(f"{{name: a, {text}}}", CLUSTER) for text in (base, over)]

    assert merge(*trees, CLUSTER)["per_connection_buffer_limit_bytes"] == merged


def test_an_extension_replaces_another_and_maps_are_joined(checked):
    echo = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    full = checked(f"{{name: a, transport_socket: {{name: t, typed_config: {{'@type': {tls}, sni: x}}}}}}", CLUSTER)
    bare = checked(f"{{name: a, transport_socket: {{name: t, typed_config: {{'@type': {tls}}}}}}}", CLUSTER)
    other = checked(f"{{name: a, transport_socket: {{name: t, typed_config: {{'@type': {echo}}}}}}}", CLUSTER)
    empty = checked("{name: a, transport_socket: {name: t, typed_config: {}}}", CLUSTER)

    assert merge(full, bare, CLUSTER) == full
    assert merge(full, empty, CLUSTER) == full
    assert merge(full, other, CLUSTER) == other

    one, two = ({"metadata": {"filter_metadata": {key: {"x": 1}}}} for key in "ab")
    assert merge(one, two, CLUSTER) == {"metadata": {"filter_metadata": {"a": {"x": 1}, "b": {"x": 1}}}}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("node", "id"), (1, ("node", "id"))),
        (("node", "cluster"), (0, ("node", "cluster"))),
        (("static_resources", "clusters", 0, "name"), (0, ("static_resources", "clusters", 0, "name"))),
        (("static_resources", "clusters", 1, "name"), (1, ("static_resources", "clusters", 0, "name"))),
        (("static_resources", "clusters", 1, "type"), (1, ("static_resources", "clusters", 0, "type"))),
        (("static_resources", "clusters", 0, "type"), (0, ("static_resources", "clusters", 0, "type"))),
        (("admin", "address"), (0, ("admin", "address"))),
    ],
)
def test_where_a_merged_path_comes_from(path, place):
    base = {"node": {"id": "a", "cluster": "c"}, "static_resources": {"clusters": [{"name": "x"}]}}
    over = {"node": {"id": "b"}, "static_resources": {"clusters": [{"name": "y"}]}}

    assert origin(base, over, path) == place


def test_a_text_message_is_replaced_and_a_list_value_is_joined():
    fqn = "google.protobuf.ListValue"
    mask = "google.protobuf.FieldMask"

    assert _message(fqn, [1], [2]) == [1, 2]
    assert _message(mask, "a", "b") == "b"
