import pytest

from trio_envoy.config import schema
from trio_envoy.config.v2.holders import CATEGORIES
from trio_envoy.config.v2.walk import Era

PREFIX = "type.googleapis.com/envoy."
HCM = "extensions.filters.network.http_connection_manager.v3"
HTTP_FILTER = f"{HCM}.HttpFilter"
NETWORK_FILTER = "config.listener.v3.Filter"
ROUTE = "config.route.v3.Route"


def typed(fqn, **fields):
    return {"@type": PREFIX + fqn, **fields}


@pytest.mark.parametrize(
    ("holder", "old", "new"),
    [
        (
            "config.accesslog.v3.AccessLog",
            {"name": "envoy.file_access_log", "config": {"path": "/p"}},
            ("envoy.access_loggers.file", "extensions.access_loggers.file.v3.FileAccessLog", {"path": "/p"}),
        ),
        (
            "config.accesslog.v3.ExtensionFilter",
            {"name": "envoy.access_loggers.extension_filters.cel", "config": {"expression": "true"}},
            (
                "envoy.access_loggers.extension_filters.cel",
                "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                {"expression": "true"},
            ),
        ),
        (
            "config.core.v3.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin",
            {"name": "envoy.grpc_credentials.file_based_metadata", "config": {"header_key": "k"}},
            (
                "envoy.grpc_credentials.file_based_metadata",
                "config.grpc_credential.v3.FileBasedMetadataConfig",
                {"header_key": "k"},
            ),
        ),
        (
            "config.core.v3.HealthCheck.CustomHealthCheck",
            {"name": "envoy.health_checkers.redis", "config": {"key": "k"}},
            ("envoy.health_checkers.redis", "extensions.health_checkers.redis.v3.Redis", {"key": "k"}),
        ),
        (
            "config.core.v3.TransportSocket",
            {"name": "raw_buffer", "config": {}},
            ("envoy.transport_sockets.raw_buffer", "extensions.transport_sockets.raw_buffer.v3.RawBuffer", {}),
        ),
        (
            NETWORK_FILTER,
            {"name": "envoy.tcp_proxy", "config": {"cluster": "c"}},
            ("envoy.filters.network.tcp_proxy", "extensions.filters.network.tcp_proxy.v3.TcpProxy", {"cluster": "c"}),
        ),
        (
            NETWORK_FILTER,
            {"name": "envoy.ext_authz"},
            ("envoy.filters.network.ext_authz", "extensions.filters.network.ext_authz.v3.ExtAuthz", {}),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.ext_authz"},
            ("envoy.filters.http.ext_authz", "extensions.filters.http.ext_authz.v3.ExtAuthz", {}),
        ),
        (
            NETWORK_FILTER,
            {"name": "envoy.ratelimit"},
            ("envoy.filters.network.ratelimit", "extensions.filters.network.ratelimit.v3.RateLimit", {}),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.rate_limit"},
            ("envoy.filters.http.ratelimit", "extensions.filters.http.ratelimit.v3.RateLimit", {}),
        ),
        (
            "config.listener.v3.ListenerFilter",
            {"name": "envoy.listener.tls_inspector", "config": {}},
            (
                "envoy.filters.listener.tls_inspector",
                "extensions.filters.listener.tls_inspector.v3.TlsInspector",
                {},
            ),
        ),
        (
            "config.listener.v3.ListenerFilter",
            {"name": "envoy.filters.udp_listener.udp_proxy", "config": {"stat_prefix": "s"}},
            (
                "envoy.filters.udp_listener.udp_proxy",
                "extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
                {"stat_prefix": "s"},
            ),
        ),
        (
            "config.metrics.v3.StatsSink",
            {"name": "envoy.statsd", "config": {"prefix": "p"}},
            ("envoy.stat_sinks.statsd", "config.metrics.v3.StatsdSink", {"prefix": "p"}),
        ),
        (
            "config.overload.v3.ResourceMonitor",
            {"name": "envoy.resource_monitors.fixed_heap", "config": {"max_heap_size_bytes": 1}},
            (
                "envoy.resource_monitors.fixed_heap",
                "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                {"max_heap_size_bytes": 1},
            ),
        ),
        (
            "config.route.v3.RetryPolicy.RetryHostPredicate",
            {"name": "envoy.retry_host_predicates.previous_hosts"},
            (
                "envoy.retry_host_predicates.previous_hosts",
                "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                {},
            ),
        ),
        (
            "config.route.v3.RetryPolicy.RetryPriority",
            {"name": "envoy.retry_priorities.previous_priorities", "config": {"update_frequency": 2}},
            (
                "envoy.retry_priorities.previous_priorities",
                "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                {"update_frequency": 2},
            ),
        ),
        (
            "config.trace.v3.Tracing.Http",
            {"name": "envoy.zipkin", "config": {"collector_endpoint_version": "HTTP_PROTO"}},
            ("envoy.tracers.zipkin", "config.trace.v3.ZipkinConfig", {"collector_endpoint_version": "HTTP_PROTO"}),
        ),
        (
            "extensions.filters.network.thrift_proxy.v3.ThriftFilter",
            {"name": "envoy.filters.thrift.router", "config": {}},
            ("envoy.filters.thrift.router", "extensions.filters.network.thrift_proxy.router.v3.Router", {}),
        ),
    ],
)
def test_config_becomes_typed_config(as_v2, holder, old, new):
    name, fqn, fields = new

    outcome = as_v2(holder, old)

    assert outcome.new == {"name": name, "typed_config": typed(fqn, **fields)}
    assert not outcome.faults


def test_every_holder_of_a_config_struct_in_v2_is_known():
    holders = {
        fqn
        for fqn in schema.message_names("envoy.")
        for v2 in [schema.message(schema.message(fqn).previous_message_type)]
        if v2 is not None and "config" in v2.fields and v2.fields["config"].type_name == "google.protobuf.Struct"
        if {"name", "provider_name"} & set(v2.fields)
    }

    assert holders - set(CATEGORIES) == {"envoy.config.cluster.v3.LoadBalancingPolicy.Policy"}  # has its own rule


@pytest.mark.parametrize("typed_config", [None, {}, {"start_child_span": True}])
@pytest.mark.parametrize("era", list(Era))
def test_a_missing_type_is_looked_up_by_name(as_v2, era, typed_config):
    old = {"name": "envoy.filters.http.router"} | ({} if typed_config is None else {"typed_config": typed_config})

    outcome = as_v2(HTTP_FILTER, old, era)

    assert outcome.new["typed_config"] == typed("extensions.filters.http.router.v3.Router", **(typed_config or {}))


@pytest.mark.parametrize(
    "old",
    [
        {"name": "mine.own"},
        {"name": "envoy.filters.http.router", "config_discovery": {"config_source": {}}},
        {"name": "envoy.router", "typed_config": typed("extensions.filters.http.router.v3.Router")},
        {"name": "envoy.router", "typed_config": "text"},
        {"name": 5},
    ],
)
def test_left_alone_below_a_v3_type(as_v2, old):
    assert as_v2(HTTP_FILTER, old, Era.V3).new is old


def test_the_side_decides_what_a_tls_socket_is(as_v2):
    socket = {"transport_socket": {"name": "tls", "config": {}}}

    for fqn, message in (("config.listener.v3.FilterChain", "Downstream"), ("config.cluster.v3.Cluster", "Upstream")):
        new = as_v2(fqn, socket).new["transport_socket"]["typed_config"]
        assert new == typed(f"extensions.transport_sockets.tls.v3.{message}TlsContext")


@pytest.mark.parametrize(
    ("fqn", "old", "fault"),
    [
        (
            HTTP_FILTER,
            {"name": "envoy.squash", "config": {}},
            ("config", "the extension 'envoy.filters.http.squash' has been removed from Envoy"),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.http_dynamo_filter"},
            ("", "the extension 'envoy.filters.http.dynamo' is in Envoy's contrib builds only"),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.filters.http.rooter", "config": {"a": 1}},
            (
                "config",
                "Envoy knows no extension 'envoy.filters.http.rooter' of envoy.filters.http; "
                "did you mean 'envoy.filters.http.router'?",
            ),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.router", "config": {}, "typed_config": typed("config.filter.http.router.v2.Router")},
            ("config", "stands beside typed_config; only one of them can be set"),
        ),
        (
            NETWORK_FILTER,
            {"name": "envoy.tcp_proxy", "config": {"deprecated_v1": True, "value": {}}},
            ("config", "holds a v1 configuration (deprecated_v1), which has no v3 form"),
        ),
        (
            HTTP_FILTER,
            {"name": "envoy.squash", "typed_config": typed("config.filter.http.squash.v2.Squash")},
            (
                "typed_config.@type",
                "'envoy.config.filter.http.squash.v2.Squash' has no v3 form: Envoy has it no longer",
            ),
        ),
        (
            ROUTE,
            {"per_filter_config": {"envoy.buffr": {}}},
            (
                "per_filter_config.envoy.buffr",
                "Envoy knows no extension 'envoy.buffr' of envoy.filters.http",
            ),
        ),
        (
            ROUTE,
            {"per_filter_config": []},
            ("per_filter_config", "per_filter_config is a map from names of filters to their config"),
        ),
    ],
)
def test_refused(as_v2, fqn, old, fault):
    assert as_v2(fqn, old).faults == [fault]


@pytest.mark.parametrize("fqn", [ROUTE, "config.route.v3.VirtualHost", "config.route.v3.WeightedCluster.ClusterWeight"])
def test_per_filter_config(as_v2, fqn):
    old = {
        "per_filter_config": {"envoy.buffer": {"disabled": True}},
        "typed_per_filter_config": {"envoy.csrf": typed("config.filter.http.csrf.v2.CsrfPolicy")},
    }

    outcome = as_v2(fqn, old)

    assert outcome.new == {
        "typed_per_filter_config": {
            "envoy.filters.http.csrf": typed("extensions.filters.http.csrf.v3.CsrfPolicy"),
            "envoy.filters.http.buffer": typed("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True),
        }
    }


def test_a_typed_per_filter_config_without_type_is_looked_up_by_name(as_v2):
    old = {"typed_per_filter_config": {"envoy.filters.http.fault": {"delay": {}}}}

    assert as_v2(ROUTE, old, Era.V3).new == {
        "typed_per_filter_config": {
            "envoy.filters.http.fault": typed("extensions.filters.http.fault.v3.HTTPFault", delay={})
        }
    }


def test_a_typed_per_filter_config_of_an_unknown_filter_is_left_alone(as_v2):
    old = {"typed_per_filter_config": {"mine.own": {"a": 1}}}

    assert as_v2(ROUTE, old).new is old


def test_extension_protocol_options(as_v2):
    old = {"extension_protocol_options": {"envoy.filters.network.thrift_proxy": {"transport": "FRAMED"}}}

    assert as_v2("config.cluster.v3.Cluster", old).new == {
        "typed_extension_protocol_options": {
            "envoy.filters.network.thrift_proxy": typed(
                "extensions.filters.network.thrift_proxy.v3.ThriftProtocolOptions", transport="FRAMED"
            )
        }
    }
