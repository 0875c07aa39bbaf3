import copy
import time

import pytest
import yaml

from trio_envoy.config import schema
from trio_envoy.config.v2.holders import CATEGORIES
from trio_envoy.config.v2.upgrade import DISCOVERY_RESPONSE, upgrade
from trio_envoy.config.v2.walk import REPLACED, RULES

PREFIX = "type.googleapis.com/"
HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

V2 = yaml.safe_load("""
static_resources:
  listeners:
  - filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: s
          tracing: {operation_name: EGRESS}
          http_filters: [{name: envoy.router}]
  clusters:
  - name: c
    hosts: [{socket_address: {address: a, port_value: "x"}}, {pipe: {path: p}}]
    tls_context: {sni: s, common_tls_context: {validation_context: {verify_subject_alt_name: [n]}}}
    outlier_detection: {}
""")
FILTER = ("static_resources", "listeners", 0, "filter_chains", 0, "filters", 0)
CLUSTER = ("static_resources", "clusters", 0)


def v2_pairs():
    for fqn in schema.message_names("envoy."):
        v3 = schema.message(fqn)
        v2 = schema.message(v3.previous_message_type)
        if v2 is not None:
            yield v2, v3


def test_every_field_that_v3_has_not_has_a_rule():
    missing = {
        (v2.fqn, field.name)
        for v2, v3 in v2_pairs()
        for number, field in v2.by_number.items()
        if number not in v3.by_number
        and field.name not in RULES.get(v2.fqn, {})
        and not (field.name == "config" and v3.fqn in CATEGORIES)
    }

    assert not missing
    assert sum(number not in v3.by_number for v2, v3 in v2_pairs() for number in v2.by_number) == 58
    assert set(REPLACED) == {"envoy.config.filter.http.gzip.v2.Gzip"}  # with 4 fields more that are gone


def test_a_field_of_both_versions_has_one_number_or_a_rule():
    moved = {
        (v2.fqn, field.name)
        for v2, v3 in v2_pairs()
        for field in v2.by_number.values()
        if field.name in v3.fields
        and v3.fields[field.name].number != field.number
        and field.name not in RULES.get(v2.fqn, {})
    }

    assert not moved


def test_every_v2_message_that_can_be_configured_has_a_v3_form_or_is_known_to_have_none():
    known = {
        "envoy.api.v2.UpstreamBindConfig",  # nothing has a field of it
        "envoy.config.filter.http.dynamo.v2.Dynamo",
        "envoy.config.filter.http.squash.v2.Squash",
        "envoy.config.filter.network.client_ssl_auth.v2.ClientSSLAuth",
        "envoy.config.filter.network.kafka_broker.v2alpha1.KafkaBroker",
        "envoy.config.filter.network.mysql_proxy.v1alpha1.MySQLProxy",
        "envoy.config.grpc_credential.v2alpha.AwsIamConfig",
        "envoy.config.trace.v2.OpenCensusConfig",
        *REPLACED,
    }

    without = {
        fqn
        for package in ("envoy.api.v2", "envoy.config.")
        for fqn in schema.message_names(package)
        if ".v3" not in fqn and schema.find_message_of_v2(fqn) is None and schema.message(fqn) is not None
    }

    nested = {fqn for fqn in without if any(fqn.startswith(f"{each}.") for each in known)}
    assert without - nested - known == {
        "envoy.config.filter.network.kafka_broker.v2alpha1.IdBasedBrokerRewriteRule",
        "envoy.config.filter.network.kafka_broker.v2alpha1.IdBasedBrokerRewriteSpec",
        "envoy.config.filter.network.tcp_proxy.v2.TcpProxy.DeprecatedV1",
        "envoy.config.filter.network.tcp_proxy.v2.TcpProxy.DeprecatedV1.TCPRoute",
    }


@pytest.mark.parametrize("old", [{}, {"static_resources": {"clusters": [{"name": "envoy.router"}]}}, [], None, "text"])
def test_what_is_not_v2_is_given_back(old):
    result = upgrade(old)

    assert result.tree is old
    assert result.changes == result.faults == ()
    assert result.origin(("a", 0, "b")) == ("a", 0, "b")


def test_the_document_is_not_changed():
    tree = copy.deepcopy(V2)

    upgrade(tree)

    assert tree == V2


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ((*FILTER, "name"), (*FILTER, "name")),
        ((*FILTER, "typed_config"), (*FILTER, "config")),
        ((*FILTER, "typed_config", "@type"), (*FILTER, "config")),
        ((*FILTER, "typed_config", "stat_prefix"), (*FILTER, "config", "stat_prefix")),
        (
            (*FILTER, "typed_config", "http_filters", 0, "typed_config", "x"),
            (*FILTER, "config", "http_filters", 0, "x"),
        ),
        (
            ("static_resources", "listeners", 0, "traffic_direction"),
            (*FILTER, "config", "tracing", "operation_name"),
        ),
        ((*CLUSTER, "name"), (*CLUSTER, "name")),
        ((*CLUSTER, "load_assignment"), (*CLUSTER, "hosts")),
        ((*CLUSTER, "load_assignment", "cluster_name"), (*CLUSTER, "name")),
        ((*CLUSTER, "load_assignment", "endpoints", 0, "lb_endpoints"), (*CLUSTER, "hosts")),
        ((*CLUSTER, "load_assignment", "endpoints", 0, "lb_endpoints", 1), (*CLUSTER, "hosts", 1)),
        (
            (*CLUSTER, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint", "address", "socket_address",
             "port_value"),
            (*CLUSTER, "hosts", 0, "socket_address", "port_value"),
        ),
        ((*CLUSTER, "transport_socket", "typed_config", "sni"), (*CLUSTER, "tls_context", "sni")),
        (
            (*CLUSTER, "transport_socket", "typed_config", "common_tls_context", "validation_context",
             "match_typed_subject_alt_names", 1, "matcher", "exact"),
            (*CLUSTER, "tls_context", "common_tls_context", "validation_context", "verify_subject_alt_name", 0),
        ),
        ((*CLUSTER, "outlier_detection", "always_eject_one_host"), (*CLUSTER, "outlier_detection")),
    ],
)  # fmt: skip
def test_a_place_in_the_new_tree_is_told_where_it_stood(new, old):
    assert upgrade(V2).origin(new) == old


def test_changes_are_told_at_the_old_places():
    paths = {change.path for change in upgrade(V2).changes}

    assert {(*CLUSTER, "hosts"), (*CLUSTER, "tls_context"), (*FILTER, "config"), (*FILTER, "name")} <= paths


def test_resources_of_a_discovery_response():
    old = {
        "version_info": "0",
        "resources": [{"@type": f"{PREFIX}envoy.api.v2.Cluster", "name": "c", "tls_context": {}}],
    }

    (cluster,) = upgrade(old, DISCOVERY_RESPONSE).tree["resources"]

    assert cluster["@type"] == f"{PREFIX}envoy.config.cluster.v3.Cluster"
    assert "transport_socket" in cluster


def test_below_a_v3_type_v2_names_do_not_count():
    hcm = {"@type": PREFIX + HCM, "idle_timeout": "1s", "http_filters": [{"name": "envoy.router", "config": {}}]}
    tree = copy.deepcopy(V2)
    tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"] = [{"name": "h", "typed_config": hcm}]

    new = upgrade(tree).tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]

    assert new["idle_timeout"] == "1s"
    assert new["http_filters"][0]["config"] == {}


def a_large_v3_document():
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
    clusters = [
        {
            "name": f"c{n}",
            "connect_timeout": "1s",
            "type": "STATIC",
            "lb_policy": "ROUND_ROBIN",
            "outlier_detection": {"consecutive_5xx": 5},
            "health_checks": [{"timeout": "1s", "http_health_check": {"path": "/"}}],
            "load_assignment": {
                "cluster_name": f"c{n}",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
        for n in range(5000)
    ]
    routes = [{"match": {"prefix": f"/{n}"}, "route": {"cluster": f"c{n}"}} for n in range(5000)]
    hcm = {"@type": PREFIX + HCM, "route_config": {"virtual_hosts": [{"domains": ["*"], "routes": routes}]}}
    chains = [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": hcm}]}]
    return {"static_resources": {"listeners": [{"filter_chains": chains}], "clusters": clusters}}


def test_a_large_v3_document_is_passed_quickly():
    tree = a_large_v3_document()

    begin = time.process_time()
    result = upgrade(tree)

    assert result.tree is tree
    assert time.process_time() - begin < 0.5  # s; 0.05 where it was written, on an idle machine
