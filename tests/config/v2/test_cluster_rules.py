import pytest

from trio_envoy.config.v2.walk import Era

CLUSTER = "config.cluster.v3.Cluster"
HTTP_CHECK = "config.core.v3.HealthCheck.HttpHealthCheck"
TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
ADDRESS = {"socket_address": {"address": "a", "port_value": 1}}
LOADED = {
    "cluster_name": "c",
    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": ADDRESS}}]}],
}


@pytest.mark.parametrize(
    ("fqn", "old", "new"),
    [
        pytest.param(CLUSTER, {"name": "c", "hosts": [ADDRESS]}, {"name": "c", "load_assignment": LOADED}, id="hosts"),
        pytest.param(CLUSTER, {"name": "c", "hosts": ADDRESS}, {"name": "c", "load_assignment": LOADED}, id="one-host"),
        pytest.param(CLUSTER, {"name": "c", "hosts": []}, {"name": "c"}, id="no-hosts"),
        pytest.param(CLUSTER, {"name": "c", "hosts": None}, {"name": "c"}, id="null-hosts"),
        pytest.param(
            CLUSTER,
            {"name": "c", "load_assignment": {"cluster_name": "x"}, "hosts": [ADDRESS]},
            {"name": "c", "load_assignment": LOADED},
            id="hosts-counts-before-load-assignment",
        ),
        pytest.param(
            CLUSTER,
            {"tls_context": {"sni": "s"}},
            {
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {"@type": TYPE + "UpstreamTlsContext", "sni": "s"},
                }
            },
            id="tls",
        ),
        pytest.param(
            CLUSTER,
            {"tlsContext": {}},
            {
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {"@type": TYPE + "UpstreamTlsContext"},
                }
            },
            id="empty-tls-means-tls",
        ),
        pytest.param(
            "config.listener.v3.FilterChain",
            {"tls_context": {"require_client_certificate": True}},
            {
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {"@type": TYPE + "DownstreamTlsContext", "require_client_certificate": True},
                }
            },
            id="listener-tls",
        ),
        pytest.param(
            CLUSTER,
            {
                "transport_socket": {"name": "x", "typed_config": {"@type": TYPE + "UpstreamTlsContext"}},
                "tls_context": {"sni": "s"},
            },
            {"transport_socket": {"name": "x", "typed_config": {"@type": TYPE + "UpstreamTlsContext"}}},
            id="transport-socket-counts-before-tls-context",
        ),
        pytest.param(
            CLUSTER,
            {"drain_connections_on_host_removal": True},
            {"ignore_health_on_host_removal": True},
            id="drain-connections",
        ),
        pytest.param(
            CLUSTER,
            {"drainConnectionsOnHostRemoval": True},
            {"ignoreHealthOnHostRemoval": True},
            id="drain-connections-camel",
        ),
        pytest.param(CLUSTER, {"lb_policy": "ORIGINAL_DST_LB"}, {"lb_policy": "CLUSTER_PROVIDED"}, id="original-dst"),
        pytest.param(CLUSTER, {"lbPolicy": "original_dst_lb"}, {"lbPolicy": "CLUSTER_PROVIDED"}, id="original-dst-low"),
        pytest.param(CLUSTER, {"lb_policy": 4}, {"lb_policy": "CLUSTER_PROVIDED"}, id="original-dst-number"),
        pytest.param(CLUSTER, {"lb_policy": "round_robin"}, {"lb_policy": "round_robin"}, id="lower-case-stays"),
        pytest.param(
            "config.endpoint.v3.ClusterLoadAssignment.Policy",
            {"overprovisioning_factor": 140, "disable_overprovisioning": True},
            {"overprovisioning_factor": 100},
            id="disable-overprovisioning",
        ),
        pytest.param(
            "config.endpoint.v3.ClusterLoadAssignment.Policy",
            {"disable_overprovisioning": False, "overprovisioning_factor": 140},
            {"overprovisioning_factor": 140},
            id="do-not-disable-overprovisioning",
        ),
        pytest.param(
            "config.cluster.v3.LoadBalancingPolicy.Policy",
            {"name": "n", "typed_config": {"@type": TYPE + "TlsParameters"}},
            {"typed_extension_config": {"name": "n", "typed_config": {"@type": TYPE + "TlsParameters"}}},
            id="lb-extension",
        ),
        pytest.param(HTTP_CHECK, {"service_name": "s"}, {"service_name_matcher": {"prefix": "s"}}, id="service-name"),
        pytest.param(HTTP_CHECK, {"use_http2": True}, {"codec_client_type": "HTTP2"}, id="use-http2"),
        pytest.param(HTTP_CHECK, {"useHttp2": "true"}, {"codec_client_type": "HTTP2"}, id="use-http2-string"),
        pytest.param(HTTP_CHECK, {"use_http2": False}, {"codec_client_type": "HTTP1"}, id="not-http2"),
        pytest.param(HTTP_CHECK, {"receive": [{"text": "0"}]}, {"receive": [{"text": "0"}]}, id="receives"),
        pytest.param(HTTP_CHECK, {"receive": {"text": "00"}}, {"receive": [{"text": "00"}]}, id="receive"),
    ],
)
def test_fields(as_v2, fqn, old, new):
    outcome = as_v2(fqn, old)

    assert outcome.new == new
    assert not outcome.faults
    assert (outcome.new is old) == (not outcome.changes)


def test_a_load_balancer_configured_by_struct_is_refused(as_v2):
    outcome = as_v2("config.cluster.v3.LoadBalancingPolicy.Policy", {"name": "n", "config": {"a": 1}})

    assert outcome.faults == [
        ("config", "the load balancing policy 'n' can't be upgraded: v2 had none in Envoy itself")
    ]


def test_one_host_can_always_be_ejected_in_a_v2_document(as_v2):
    outcome = as_v2(CLUSTER, {"outlier_detection": {"consecutive_5xx": 3}})

    assert outcome.new == {"outlier_detection": {"consecutive_5xx": 3, "always_eject_one_host": True}}
    assert outcome.changes == [("outlier_detection", "always_eject_one_host: true is written: up to 1.17 Envoy did so")]


@pytest.mark.parametrize("said", [{"always_eject_one_host": False}, {"max_ejection_percent": 0}])
def test_what_outlier_detection_says_itself_stands(as_v2, said):
    old = {"outlier_detection": said}

    assert as_v2(CLUSTER, old).new is old


def test_each_of_several_health_checks_gets_a_name(as_v2):
    checks = [{"timeout": "1s"}, {"name": "mine"}]

    assert as_v2(CLUSTER, {"health_checks": checks}).new == {
        "health_checks": [{"timeout": "1s", "name": "health_check_0"}, {"name": "mine"}]
    }
    assert as_v2(CLUSTER, {"health_checks": checks}, Era.EITHER).new == {"health_checks": checks}
    assert as_v2(CLUSTER, {"health_checks": checks[:1]}).new == {"health_checks": checks[:1]}
