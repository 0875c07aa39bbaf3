import gc

import pytest

from trio_envoy.config import hcm
from trio_envoy.config.loader import load
from trio_envoy.errors import ConfigError, ConfigErrors

CLUSTERS = """\
static_resources:
  clusters:
  - name: a
    type: STATIC
  - name: b
    connectTimeout: 1s
"""
LISTENER = """\
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
      filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: x
          route_config:
            virtual_hosts:
            - name: v
              domains: "*"
              routes:
              - match: {prefix: /}
                route: {cluster: c, host_rewrite: h}
"""


@pytest.fixture
def file(tmp_path):
    """(text, name) -> the name of a file with it."""

    def write(text, name="envoy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def errors(resolve, lines):
    """Arguments of load -> what was wrong."""

    def run(config_path="", config_yaml="", **options):
        with pytest.raises(ConfigErrors) as caught:
            load(config_path, config_yaml, resolve=resolve, **options)
        return lines(caught.value)

    return run


def test_a_file_becomes_objects_and_a_tree(resolve, file):
    loaded = load(file(CLUSTERS), "", resolve=resolve)

    assert [cluster.name for cluster in loaded.bootstrap.static_resources.clusters] == ["a", "b"]
    assert loaded.tree["static_resources"]["clusters"][1] == {"name": "b", "connect_timeout": "1s"}
    assert loaded.warnings == ()
    assert loaded.changes == ()


@pytest.mark.parametrize("name", ["envoy.json", "envoy.conf", "envoy"])
def test_other_names_are_read_as_json(resolve, file, errors, name):
    assert load(file('{"node": {"id": "a"}}', name), "", resolve=resolve).bootstrap.node.id == "a"
    assert "a file whose name doesn't end in .yaml or .yml is read as JSON" in errors(file("node: {}", name))[0]


@pytest.mark.parametrize("name", ["envoy.yaml", "envoy.yml", "envoy.YAML"])
def test_yaml_by_name(resolve, file, name):
    assert load(file("node: {id: a}", name), "", resolve=resolve).bootstrap.node.id == "a"


@pytest.mark.parametrize("suffix", [".pb", ".pb_text", ".pb_length_delimited"])
def test_protobufs_own_formats_are_refused_by_name(errors, file, suffix):
    assert f"{suffix} files aren't read here" in errors(file("", f"envoy{suffix}"))[0]


def test_files_that_cannot_be_read(errors, tmp_path):
    missing = str(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"node: {id: \xe9}")

    assert errors(missing) == [f"$: unable to read file: {missing}: No such file or directory"]
    assert "isn't UTF-8 text: byte 11" in errors(str(tmp_path / "latin.yaml"))[0]
    assert errors() == ["$: at least one of --config-path or --config-yaml should be non-empty"]


def test_all_faults_with_line_and_column_in_document_order(errors, file):
    name = file("admn: {}\n" + CLUSTERS + "    lb_subset_config: {}\n  - name: ''\n    type: x\n")

    assert errors(name) == [
        f"{name}:1:1: $.admn: unknown to Envoy: 'admn' is no field of envoy.config.bootstrap.v3.Bootstrap; did you mean"
        " 'admin'?",
        f"{name}:8:5: $.static_resources.clusters[1].lb_subset_config: known to Envoy, not supported here:"
        " 'lb_subset_config' of envoy.config.cluster.v3.Cluster",
        f"{name}:9:5: $.static_resources.clusters[2].name: value length must be at least 1 characters",
        f"{name}:10:5: $.static_resources.clusters[2].type: unknown to Envoy: 'x' is no value of"
        " envoy.config.cluster.v3.Cluster.DiscoveryType, which has STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST",
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (CLUSTERS + "    connect_timeout: 0s\n", ["a", "b"]),
        (CLUSTERS + "    lb_subset_config: {}\n", ["a", "b"]),
        ("admn: {}\n" + CLUSTERS, ["a", "b"]),
        ("- a\n", None),
        ("static_resources: {clusters: [{name: a}], listeners: [{name: l, drain_type: x}]}\n", ["a"]),
    ],
)
def test_what_is_left_without_the_faults(resolve, file, text, names):
    with pytest.raises(ConfigErrors) as caught:
        load(file(text), "", resolve=resolve)

    rest = caught.value.rest
    assert (rest and [cluster.name for cluster in rest.bootstrap.static_resources.clusters]) == names


def test_of_two_texts_with_faults_nothing_is_left(resolve, file):
    with pytest.raises(ConfigErrors) as caught:
        load(file("foo: 1\n"), "bar: 1", resolve=resolve)

    assert caught.value.rest is None


def test_what_is_not_supported_is_told_without_other_faults_too(errors, file):
    name = file("node: {id: a}\nhds_config: {}\n")

    assert errors(name) == [
        f"{name}:2:1: $.hds_config: known to Envoy, not supported here: 'hds_config' of"
        " envoy.config.bootstrap.v3.Bootstrap"
    ]


def test_unknown_fields_may_be_allowed(resolve, file):
    loaded = load(file("admn: {}\nnode: {id: a}\n"), "", resolve=resolve, allow_unknown=True)

    assert loaded.bootstrap.node.id == "a"
    assert ":1:1: $.admn: unknown to Envoy" in str(loaded.warnings[0])


def test_warnings_come_in_document_order(resolve, file):
    text = CLUSTERS + "    respect_dns_ttl: true\n    name: c\n---\nmore"
    loaded = load(file(text), "", resolve=resolve)

    assert [(fault.line, fault.text.partition(" ")[0]) for fault in loaded.warnings] == [
        (1, "only"),
        (7, "Using"),
        (8, "this"),
    ]
    assert loaded.bootstrap.static_resources.clusters[1].name == "c"


def test_a_v2_file_is_upgraded_and_told_about(resolve, file):
    loaded = load(file(LISTENER), "", resolve=resolve)

    manager = loaded.bootstrap.static_resources.listeners[0].filter_chains[0].filters[0].typed_config
    assert isinstance(manager, hcm.HttpConnectionManager)
    assert manager.route_config.virtual_hosts[0].routes[0].route.host_rewrite_literal == "h"
    assert any(change.text.startswith("config becomes typed_config") and change.line == 7 for change in loaded.changes)


def test_faults_of_a_v2_file_are_told_where_they_stand_in_it(errors, file):
    name = file(LISTENER.replace("host_rewrite: h", "timeout: 5"))

    assert errors(name) == [
        f"{name}:15:37: $.static_resources.listeners[0].filter_chains.filters[0].config.route_config.virtual_hosts[0]"
        ".routes[0].route.timeout: expected a duration such as '1.5s', got 5"
    ]


def test_text_from_the_command_line_is_merged_over_the_file(resolve, file):
    loaded = load(file(CLUSTERS), "static_resources: {clusters: [{name: c}]}\nnode: {id: x}", resolve=resolve)

    assert [cluster.name for cluster in loaded.bootstrap.static_resources.clusters] == ["a", "b", "c"]
    assert loaded.bootstrap.node.id == "x"
    assert load("", "node: {id: x}", resolve=resolve).bootstrap.node.id == "x"


def test_what_must_be_there_may_be_in_either(resolve, file, errors):
    first = file("layered_runtime: {layers: []}\nadmin: {address: {socket_address: {port_value: 1}}}")

    loaded = load(first, "admin: {address: {socket_address: {address: 127.0.0.1}}}", resolve=resolve)

    assert loaded.bootstrap.admin.address.socket_address.port_value == 1
    assert ":2:" in errors(first)[0]


def test_faults_of_two_texts_say_in_which_one(errors, file):
    name = file("node: {id: a}\nfoo: 1\n")

    assert [line.split(" ")[0] for line in errors(name, "bar: 1")] == [f"{name}:2:1:", "--config-yaml:1:1:"]
    late = errors(file(CLUSTERS), "static_resources: {clusters: [{name: ''}], listeners: [{}]}")
    assert [line.split(": ")[0] for line in late] == ["--config-yaml:1:32"]
    assert "$.static_resources.clusters[0].name: value length" in late[0]


def test_what_is_not_supported_in_two_texts(errors, file):
    name = file("node: {id: a}\nhds_config: {}\n")

    assert [line.split(" ")[0] for line in errors(name, "default_socket_interface: x")] == [
        f"{name}:2:1:",
        "--config-yaml:1:1:",
    ]
    with_fault = errors(name, "default_socket_interface: x\nfoo: 1")
    assert [line.split(" ")[0] for line in with_fault] == [f"{name}:2:1:", "--config-yaml:1:1:", "--config-yaml:2:1:"]


def test_warnings_of_two_texts_come_once(resolve, file):
    text = "static_resources: {clusters: [{name: b, respect_dns_ttl: true}]}"
    loaded = load(file(CLUSTERS + "    respect_dns_ttl: true\n"), text, resolve=resolve)

    assert [str(fault).split(" ")[0].rsplit("/", 1)[-1] for fault in loaded.warnings] == [
        "envoy.yaml:7:5:",
        "--config-yaml:1:41:",
    ]


def test_errors_of_builders_are_located_by_the_object(resolve, file):
    name = file(LISTENER + CLUSTERS.partition("\n")[2])
    loaded = load(name, "", resolve=resolve)
    listeners, clusters = loaded.bootstrap.static_resources.listeners, loaded.bootstrap.static_resources.clusters
    manager = listeners[0].filter_chains[0].filters[0].typed_config
    route = manager.route_config.virtual_hosts[0].routes[0]

    located = loaded.locate(
        [
            ConfigError("last", at=clusters[1], field="connect_timeout"),
            ConfigError("unknown cluster 'c'", at=route, field=("route", "cluster")),
            ConfigError("no such thing", at=manager),
        ]
    )

    assert [str(fault).removeprefix(f"{name}:") for fault in located.faults] == [
        "7:9: $.static_resources.listeners[0].filter_chains.filters[0].config: no such thing",
        "15:25: $.static_resources.listeners[0].filter_chains.filters[0].config.route_config.virtual_hosts[0].routes[0]"
        ".route.cluster: unknown cluster 'c'",
        "20:5: $.static_resources.clusters[1].connectTimeout: last",
    ]


def test_an_error_without_an_object_has_a_file_but_no_line(resolve, file):
    name = file(CLUSTERS)
    loaded = load(name, "", resolve=resolve)

    located = loaded.locate([ConfigError("odd"), ConfigError("foreign", at=hcm.HttpFilter(name="x"))])

    assert [str(fault) for fault in located.faults] == ["$: odd", "$: foreign"]
    assert {fault.source for fault in located.faults} == {name}


def test_an_object_in_a_typed_struct_is_located_below_its_value(resolve, file):
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    text = (
        "static_resources:\n  clusters:\n  - name: a\n    transport_socket:\n      name: t\n      typed_config:\n"
        f"        '@type': type.googleapis.com/xds.type.v3.TypedStruct\n        type_url: {tls}\n"
        "        value:\n          sni: x\n"
    )
    loaded = load(file(text), "", resolve=resolve)
    context = loaded.bootstrap.static_resources.clusters[0].transport_socket.typed_config

    assert loaded.path_of(context)[-2:] == ("typed_config", "value")
    assert loaded.locate([ConfigError("bad", at=context, field="sni")]).faults[0].line == 10


def test_the_garbage_collector_rests_meanwhile_and_works_again(resolve, file):
    seen = []

    def watching(name):
        seen.append(gc.isenabled())
        return resolve(name)

    assert gc.isenabled()
    load(file(LISTENER), "", resolve=watching)
    assert seen
    assert not any(seen)
    assert gc.isenabled()
    gc.disable()
    try:
        load(file(CLUSTERS), "", resolve=resolve)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_ten_thousand_errors_are_located_in_one_walk(resolve, file):
    loaded = load(file("static_resources:\n  clusters:\n" + "  - {name: a}\n" * 2000), "", resolve=resolve)
    clusters = loaded.bootstrap.static_resources.clusters

    located = loaded.locate(ConfigError("bad", at=each) for each in clusters for _ in range(5))

    assert [fault.line for fault in located.faults] == list(range(3, 2003))


def test_a_list_without_brackets_is_located(resolve, errors, file):
    name = file("static_resources:\n  clusters:\n    name: a\n    type: x\n")

    assert errors(name)[0].startswith(f"{name}:4:5: $.static_resources.clusters.type: unknown to Envoy")
    loaded = load(file("static_resources:\n  clusters:\n    name: a\n"), "", resolve=resolve)
    at = loaded.bootstrap.static_resources.clusters[0]
    fault = loaded.locate([ConfigError("bad", at=at, field="name")]).faults[0]
    assert (fault.path, fault.line) == (("static_resources", "clusters", "name"), 3)
