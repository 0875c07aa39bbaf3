import pytest

from tests.upstream.fakes import LiveCluster, config_of
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds, ClusterProtocolSelection
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.protocol import Http2ProtocolOptions, UpstreamHttpProtocolOptions
from trio_envoy.config.tls import UpstreamTlsContext
from trio_envoy.config.upstreams import AutoHttpConfig
from trio_envoy.config.upstreams import HttpProtocolOptions as ProtocolExtension
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.upstream.context import HIGH, LbContext
from trio_envoy.upstream.options import EXTENSION
from trio_envoy.upstream.pool.auto import AutoPool
from trio_envoy.upstream.pool.http1 import Http1Pool
from trio_envoy.upstream.pool.http2 import Http2Pool
from trio_envoy.upstream.pool.pools import without_port
from trio_envoy.upstream.pool.tcp import TcpPool


def pools_of(services, **fields):
    cluster = LiveCluster(config_of("10.0.0.1:80", **fields), services).cluster
    return cluster._pools, cluster.hosts.hosts[0]


def request(authority=b"a.example:80", **headers):
    fields = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return LbContext(Request(b"GET", authority, b"/", b"http", Headers(fields)))


def test_one_pool_per_host_and_priority(services):
    pools, host = pools_of(services)

    pool = pools.find(host, LbContext(), "HTTP/1.1")

    assert isinstance(pool, Http1Pool)
    assert pools.find(host, LbContext(), "HTTP/2") is pool
    assert pools.find(host, LbContext(priority=HIGH), "HTTP/1.1") is not pool
    assert len(host.pools) == 2


def test_http2(services):
    pools, host = pools_of(services, http2_protocol_options=Http2ProtocolOptions())

    pool = pools.find(host, LbContext(), "HTTP/1.1")

    assert isinstance(pool, Http2Pool)
    assert pools.find(host, LbContext(priority=HIGH), "HTTP/1.1") is not pool


@pytest.mark.parametrize(
    ("protocol", "kind"), [("HTTP/1.0", Http1Pool), ("HTTP/1.1", Http1Pool), ("HTTP/2", Http2Pool)]
)
def test_the_version_of_the_client(services, protocol, kind):
    pools, host = pools_of(services, protocol_selection=ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL)

    pool = pools.find(host, LbContext(), protocol)

    assert isinstance(pool, kind)
    assert pools.find(host, LbContext(), protocol) is pool
    assert isinstance(pools.find(host, LbContext(priority=HIGH), protocol), kind)


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_the_version_that_alpn_says(services, protocol):
    options = ProtocolExtension(auto_config=AutoHttpConfig())
    pools, host = pools_of(
        services,
        transport_socket=TransportSocket(name="tls", typed_config=UpstreamTlsContext()),
        typed_extension_protocol_options={EXTENSION: options},
    )

    pool = pools.find(host, LbContext(), protocol)

    assert isinstance(pool, AutoPool)
    assert pools.find(host, LbContext(), "HTTP/1.0") is pool
    assert isinstance(pools.find(host, LbContext(priority=HIGH), protocol), AutoPool)
    assert isinstance(pools.tcp(host, LbContext()), TcpPool)


def test_auto_sni_keeps_names_apart(services):
    options = UpstreamHttpProtocolOptions(auto_sni=True)
    pools, host = pools_of(services, upstream_http_protocol_options=options)

    first = pools.find(host, request(b"a.example:80"), "HTTP/1.1")

    assert pools.find(host, request(b"A.example"), "HTTP/1.1") is first
    assert pools.find(host, request(b"b.example"), "HTTP/1.1") is not first
    assert pools.find(host, LbContext(), "HTTP/1.1") is not first
    assert (first._server_name, first._verified_name) == ("a.example", "")


def test_auto_san_validation_wants_names_and_addresses(services):
    options = UpstreamHttpProtocolOptions(auto_san_validation=True)
    pools, host = pools_of(services, upstream_http_protocol_options=options)

    named = pools.find(host, request(b"a.example:80"), "HTTP/1.1")
    by_address = pools.find(host, request(b"10.0.0.1:80"), "HTTP/1.1")

    assert (named._server_name, named._verified_name) == ("", "a.example")
    assert (by_address._server_name, by_address._verified_name) == ("", "10.0.0.1")


def test_auto_sni_from_another_header(services):
    options = UpstreamHttpProtocolOptions(auto_sni=True, override_auto_sni_header="X-Sni")
    pools, host = pools_of(services, upstream_http_protocol_options=options)

    assert pools.find(host, request(x_sni=b"x.example"), "HTTP/1.1")._server_name == "x.example"
    assert pools.find(host, request(), "HTTP/1.1")._server_name == "a.example"


def test_auto_sni_with_http2(services):
    options = UpstreamHttpProtocolOptions(auto_sni=True)
    pools, host = pools_of(
        services, upstream_http_protocol_options=options, http2_protocol_options=Http2ProtocolOptions()
    )

    assert isinstance(pools.find(host, request(), "HTTP/1.1"), Http2Pool)


@pytest.mark.parametrize("authority", [b"10.0.0.1:80", b"[::1]:80", b"[::1]"])
def test_an_ip_address_is_no_server_name(services, authority):
    options = UpstreamHttpProtocolOptions(auto_sni=True)
    pools, host = pools_of(services, upstream_http_protocol_options=options)

    assert pools.find(host, request(authority), "HTTP/1.1")._server_name == ""


@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"a", b"a"), (b"a:1", b"a"), (b"[::1]:2", b"::1"), (b"[::1]", b"::1"), (b"", b"")],
)
def test_without_port(authority, host):
    assert without_port(authority) == host


async def test_codec_stats_appear_with_the_first_connection_and_are_the_clusters(services, autojump_clock):
    async with LiveCluster(config_of("10.0.0.1:80"), services) as cluster:
        assert not [name for name, *_ in services.stats if ".http1." in name]

        await cluster.open(LbContext())
        await cluster.open(LbContext(priority=HIGH))

        assert [name for name, *_ in services.stats if ".http1." in name] == [
            "cluster.c.http1.dropped_headers_with_underscores",
            "cluster.c.http1.metadata_not_supported_error",
            "cluster.c.http1.requests_rejected_with_underscores_in_headers",
            "cluster.c.http1.response_flood",
        ]


def test_pools_are_counted(services):
    thresholds = (CircuitBreakersThresholds(track_remaining=True),)
    cluster = LiveCluster(
        config_of("10.0.0.1:80", circuit_breakers=CircuitBreakers(thresholds=thresholds)), services
    ).cluster
    host = cluster.hosts.hosts[0]

    def left():
        return services.stats.value("cluster.c.circuit_breakers.default.remaining_cx_pools")

    cluster._pools.find(host, LbContext(), "HTTP/1.1")
    cluster._pools.find(host, LbContext(priority=HIGH), "HTTP/1.1")
    assert left() == 2**64 - 2
    cluster._pools.give_up(host)
    assert left() == 2**64 - 1
    assert host.pools == {}
