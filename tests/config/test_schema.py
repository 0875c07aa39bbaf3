import re
import subprocess
import sys

import pytest

from trio_envoy.config import schema

CLUSTER = "envoy.config.cluster.v3.Cluster"


def test_a_field_is_found_by_both_names_and_its_number():
    cluster = schema.message(CLUSTER)
    field = cluster.fields["connect_timeout"]

    assert cluster.fields["connectTimeout"] is cluster.by_number[4] is field
    assert (field.name, field.json_name, field.number) == ("connect_timeout", "connectTimeout", 4)
    assert (field.kind, field.type_name) == ("message", "google.protobuf.Duration")
    assert field.rules == {"duration": {"gt": 0.0}}
    assert not field.repeated
    assert not field.deprecated


@pytest.mark.parametrize(
    ("fqn", "name", "expected"),
    [
        (CLUSTER, "health_checks", {"repeated": True, "type_name": "envoy.config.core.v3.HealthCheck"}),
        (
            CLUSTER,
            "typed_extension_protocol_options",
            {"map_key": "string", "kind": "message", "type_name": "google.protobuf.Any", "repeated": False},
        ),
        (CLUSTER, "lb_policy", {"kind": "enum", "type_name": f"{CLUSTER}.LbPolicy"}),
        (CLUSTER, "type", {"oneof": "cluster_discovery_type"}),
        (CLUSTER, "http2_protocol_options", {"deprecated": True, "disallowed": False}),
        ("envoy.config.trace.v3.DynamicOtConfig", "library", {"deprecated": True, "disallowed": True}),
        ("envoy.config.core.v3.DataSource", "inline_bytes", {"kind": "bytes", "oneof": "specifier"}),
        ("envoy.extensions.transport_sockets.tls.v3.TlsCertificate", "private_key", {"sensitive": True}),
        ("envoy.config.route.v3.RouteMatch", "cookies", {"repeated": True}),
        ("envoy.config.listener.v3.Listener", "tcp_keepalive", {"type_name": "envoy.config.core.v3.TcpKeepalive"}),
        ("envoy.config.core.v3.SocketAddress", "port_value", {"rules": {"uint32": {"lte": 65535}}}),
        (
            "envoy.config.endpoint.v3.LocalityLbEndpoints",
            "priority",
            {"kind": "uint32", "rules": {"uint32": {"lte": 128}}},
        ),
        ("envoy.config.core.v3.HealthCheck", "timeout", {"rules": {"duration": {"gt": 0.0, "required": True}}}),
        ("envoy.config.route.v3.VirtualHost", "domains", {"kind": "string", "repeated": True}),
        ("envoy.api.v2.Cluster", "hosts", {"number": 7, "type_name": "envoy.api.v2.core.Address"}),
    ],
)
def test_what_a_field_is(fqn, name, expected):
    field = schema.message(fqn).fields[name]

    assert {key: getattr(field, key) for key in expected} == expected


def test_rules_of_the_items_of_a_list():
    rules = schema.message("envoy.config.route.v3.VirtualHost").fields["domains"].rules["repeated"]

    assert rules["min_items"] == 1
    assert rules["items"]["string"]["well_known_regex"] == "HTTP_HEADER_VALUE"


def test_oneofs():
    required, members = schema.message("envoy.config.core.v3.Address").oneofs["address"]

    assert required
    assert members[:2] == ("socket_address", "pipe")
    assert not schema.message(CLUSTER).oneofs["cluster_discovery_type"].required


def test_a_nested_message_and_its_v2_form():
    nested = schema.message("envoy.config.cluster.v3.Cluster.RingHashLbConfig")

    assert nested.previous_message_type == "envoy.api.v2.Cluster.RingHashLbConfig"
    assert schema.find_message_of_v2("envoy.api.v2.Cluster.RingHashLbConfig") == nested.fqn
    assert schema.find_message_of_v2(nested.fqn) is None


@pytest.mark.parametrize(
    "name", ["", "Cluster", "envoy", "envoy.config.cluster.v3", f"{CLUSTER}.Nothing", f"x.{CLUSTER}"]
)
def test_no_such_message_or_enum(name):
    assert schema.message(name) is None
    assert schema.enum(name) is None


def test_an_enum():
    policy = schema.enum(f"{CLUSTER}.LbPolicy")

    assert policy.values["MAGLEV"] == 5
    assert policy.numbers[5] == "MAGLEV"
    assert policy.lower["maglev"] == "MAGLEV"
    version = schema.enum("envoy.config.core.v3.ApiVersion")
    assert version.deprecated == {"V2"}
    assert schema.enum("envoy.config.core.v3.ApiConfigSource.ApiType").disallowed == {
        "DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE"
    }


def test_every_type_that_is_named_is_there():
    for fqn in schema.message_names():
        for field in schema.message(fqn).by_number.values():
            if field.kind == "message":
                assert schema.message(field.type_name), (fqn, field)
            elif field.kind == "enum":
                assert schema.enum(field.type_name), (fqn, field)


def test_message_names_of_a_package():
    names = set(schema.message_names("envoy.extensions.filters.http.buffer.v3"))

    assert names == {f"envoy.extensions.filters.http.buffer.v3.{name}" for name in ("Buffer", "BufferPerRoute")}


def test_extensions():
    buffer = schema.extension("envoy.filters.http", "envoy.filters.http.buffer")

    assert buffer.types == tuple(
        f"envoy.extensions.filters.http.buffer.v3.{name}" for name in ("Buffer", "BufferPerRoute")
    )
    assert buffer in schema.extensions_of_type(buffer.types[0])
    assert schema.extension("envoy.filters.http", "nothing") is None
    assert len(schema.extensions()) > 500


def test_every_type_of_an_extension_is_a_message():
    assert all(schema.message(fqn) for each in schema.extensions() for fqn in each.types)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("envoy.config.filter.http.router.v3.Router", "envoy.extensions.filters.http.router.v3.Router"),
        ("envoy.extensions.filters.http.buffer.v3.Bufer", "envoy.extensions.filters.http.buffer.v3.Buffer"),
        ("nothing.like.this", None),
    ],
)
def test_the_nearest_message(wrong, right):
    assert schema.nearest_message(wrong) == right


def test_the_nearest_name():
    names = schema.message(CLUSTER).fields

    assert schema.nearest("conect_timeout", names) == "connect_timeout"
    assert schema.nearest("zzz", names) is None


def test_the_version_is_the_one_of_the_oracle():
    assert re.fullmatch(r"\d+\.\d+\.\d+", schema.version())


def test_a_small_configuration_loads_its_messages_quickly():
    names = [CLUSTER, "envoy.config.bootstrap.v3.Bootstrap", "envoy.config.listener.v3.Listener"]
    names += ["envoy.config.route.v3.RouteConfiguration", "envoy.config.endpoint.v3.ClusterLoadAssignment"]
    code = (
        "import time; from trio_envoy.config import schema; begin = time.process_time()\n"
        f"assert all(map(schema.message, {names}))\n"
        "print(time.process_time() - begin)"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert float(run.stdout) < 0.1  # s; 0.004 where it was written


def test_camel():
    assert schema.camel("a_bc_2d") == "aBc2d"
