"""The bootstrap part of a real Envoy 1.40.0's /config_dump under data/rich.yaml is data/rich.json."""

import json
from pathlib import Path

import pytest

from trio_envoy.config.dump import ordered, to_json

DATA = Path(__file__).parent / "data"
BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"
CLUSTER = "envoy.config.cluster.v3.Cluster"


def same_order(ours, theirs, path="$"):
    """Equal, and keys in the same order; of a Struct's keys Envoy's order is that of a hash table."""
    if isinstance(theirs, dict):
        if "static_layer" in theirs:
            assert ours["static_layer"] == theirs["static_layer"]
            ours, theirs = ({**each, "static_layer": None} for each in (ours, theirs))
        assert list(ours) == list(theirs), path
        for key, value in theirs.items():
            same_order(ours[key], value, f"{path}.{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), path
        for index, (mine, their) in enumerate(zip(ours, theirs, strict=True)):
            same_order(mine, their, f"{path}[{index}]")
    else:
        assert (type(ours), ours) == (type(theirs), theirs), path


def test_the_bootstrap_is_printed_as_envoy_prints_it(checked):
    tree = checked((DATA / "rich.yaml").read_text(), BOOTSTRAP)

    printed = ordered(tree, BOOTSTRAP)

    same_order(printed, json.loads((DATA / "rich.json").read_text()))


def test_the_text_is_protobufs(checked):
    recorded = (DATA / "rich.json").read_text()

    assert to_json(json.loads(recorded)) + "\n" == recorded


def test_odd_characters_are_escaped_and_empty_things_stay_short():
    shown = to_json({"a": "<b>&'\"\\/é\u2028\x01\x7f\t\U0001f600", "l": [], "m": {}})

    assert shown == (
        '{\n "a": "\\u003cb\\u003e&\'\\"\\\\/é\\u2028\\u0001\\u007f\\t\U0001f600",\n "l": [],\n "m": {}\n}'
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect_timeout: 0.0001s", {"connect_timeout": "0.000100s"}),
        (
            "common_lb_config: {healthy_panic_threshold: {value: 1e1}}",
            {"common_lb_config": {"healthy_panic_threshold": {"value": 10}}},
        ),
        (
            "common_lb_config: {healthy_panic_threshold: {value: .1}}",
            {"common_lb_config": {"healthy_panic_threshold": {"value": 0.1}}},
        ),
        ("per_connection_buffer_limit_bytes: 0", {"per_connection_buffer_limit_bytes": 0}),
        ("ring_hash_lb_config: {minimum_ring_size: 64}", {"ring_hash_lb_config": {"minimum_ring_size": "64"}}),
        (
            "metadata: {filter_metadata: {b: {x: 1.5}, a: {}}}",
            {"metadata": {"filter_metadata": {"a": {}, "b": {"x": "1.5"}}}},
        ),
    ],
)
def test_how_values_are_printed(checked, text, shown):
    printed = ordered(checked(f"name: a\n{text}", CLUSTER), CLUSTER)

    assert printed == {"name": "a", **shown}


def test_fields_come_by_number_whatever_the_order_of_the_file(checked):
    tree = checked("{lb_policy: RANDOM, connect_timeout: 1s, type: STATIC, name: a}", CLUSTER)

    assert list(ordered(tree, CLUSTER)) == ["name", "type", "connect_timeout", "lb_policy"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{filename: /k}", {"filename": "[redacted]"}),
        ("{inline_string: k}", {"inline_string": "[redacted]"}),
        ("{inline_bytes: aGk=}", {"inline_bytes": "W3JlZGFjdGVkXQ=="}),
    ],
)
def test_secrets_are_redacted(checked, source, shown):
    fqn = "envoy.extensions.transport_sockets.tls.v3.TlsCertificate"
    tree = checked(f"{{certificate_chain: {{filename: /c}}, private_key: {source}}}", fqn)

    assert ordered(tree, fqn) == {"certificate_chain": {"filename": "/c"}, "private_key": shown}


def test_typed_structs_and_special_messages_keep_their_shape(checked):
    fqn = "envoy.config.listener.v3.Filter"
    echo = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"
    struct = {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": echo, "value": {}}
    special = {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": [1, "b", None, True]}}

    for config in (struct, special, {}):
        tree = checked(json.dumps({"name": "a", "typed_config": config}), fqn)
        assert ordered(tree, fqn) == {"name": "a", "typed_config": config}


@pytest.mark.parametrize(
    ("text", "shown"), [("Infinity", "Infinity"), ("-Infinity", "-Infinity"), ("NaN", "NaN"), ("1e20", 1e20)]
)
def test_odd_doubles(checked, text, shown):
    fqn = "envoy.config.core.v3.RuntimeDouble"

    assert ordered(checked(f"{{default_value: {text}, runtime_key: k}}", fqn), fqn)["default_value"] == shown


def test_numbers_within_a_secret_go_away(checked):
    fqn = "envoy.config.core.v3.TypedExtensionConfig"
    url = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider"
    struct = "type.googleapis.com/google.protobuf.Struct"
    text = f"""
    name: a
    typed_config:
      '@type': {url}
      provider_name: p
      typed_config: {{'@type': {struct}, value: {{key: k, size: 5, list: [k, {{a: true}}]}}}}
    """

    assert ordered(checked(text, fqn), fqn)["typed_config"] == {
        "@type": url,
        "provider_name": "p",
        "typed_config": {
            "@type": struct,
            "value": {"key": "[redacted]", "size": 5, "list": ["[redacted]", {"a": True}]},
        },
    }
