"""Origins that pick a protocol, without TLS: the memory channel says what its handshake would have said."""

from typing import ClassVar

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.fakes import counted
from tests.upstream.pool import fakes
from tests.upstream.pool.fakes import A, at_rest, common, connections, limited, open_stream, serve
from tests.upstream.pool.test_http2 import Codec as Http2Codec
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.protocol import Http2ProtocolOptions
from trio_envoy.config.tls import UpstreamTlsContext
from trio_envoy.config.upstreams import AutoHttpConfig
from trio_envoy.config.upstreams import HttpProtocolOptions as ProtocolExtension
from trio_envoy.errors import UpstreamFailure
from trio_envoy.extensions.transport_sockets.tls import UpstreamTls
from trio_envoy.net.stream_info import UF, UO, TlsInfo
from trio_envoy.upstream.options import EXTENSION
from trio_envoy.upstream.pool import http1, http2


class Handshakes:
    """What the origins agree to.

    Attributes:
        alpn: from now on.
        offered: in each handshake.
    """

    alpn: ClassVar = "h2"
    offered: ClassVar = []


@pytest.fixture(autouse=True)
def handshakes(monkeypatch):
    async def connect(self, channel, *, alpn=(), **_names):
        Handshakes.offered.append(tuple(alpn))
        channel.info.tls = TlsInfo(alpn=Handshakes.alpn)
        return channel

    monkeypatch.setattr(UpstreamTls, "connect", connect)
    monkeypatch.setattr(http1, "Http1ClientConnection", fakes.Codec)
    monkeypatch.setattr(http2, "Http2ClientConnection", Http2Codec)
    Handshakes.alpn, Handshakes.offered = "h2", []
    Http2Codec.made, Http2Codec.allowed = [], 100


def live(services, *, limits=None, auto=None, **fields):
    extension = ProtocolExtension(auto_config=auto or AutoHttpConfig(), common_http_protocol_options=common(**fields))
    return fakes.live(
        services,
        transport_socket=TransportSocket(name="tls", typed_config=UpstreamTlsContext()),
        typed_extension_protocol_options={EXTENSION: extension},
        circuit_breakers=limits,
    )


async def failure_of(cluster, failures):
    try:
        await open_stream(cluster)
    except UpstreamFailure as failure:
        failures.append(failure.flag)


async def test_streams_share_a_connection_that_agreed_to_http2(services, autojump_clock):
    async with live(services) as cluster:
        streams = [await open_stream(cluster) for _ in range(3)]

        assert len(Http2Codec.made) == 1
        assert Handshakes.offered == [("h2", "http/1.1")]
        assert counted(services)["upstream_cx_http2_total"] == 1
        assert "upstream_cx_http1_total" not in counted(services)
        assert connections(cluster) == 1
        for stream in streams:
            stream.release()
        assert at_rest(cluster)


@pytest.mark.parametrize("alpn", ["http/1.1", ""])
async def test_otherwise_a_connection_has_one_stream_at_a_time(services, autojump_clock, alpn):
    Handshakes.alpn = alpn
    async with live(services) as cluster:
        first, second = await open_stream(cluster), await open_stream(cluster)
        first.release()
        third = await open_stream(cluster)

        assert third is first is not second
        assert counted(services)["upstream_cx_http1_total"] == 2
        assert "upstream_cx_http2_total" not in counted(services)
        assert connections(cluster) == 2
        third.release()
        second.release()
        assert at_rest(cluster)


async def test_a_connection_counts_twice_as_in_envoy_but_is_there_once(services, autojump_clock):
    async with live(services) as cluster:
        await open_stream(cluster)
        (host,) = cluster.hosts.hosts

        assert counted(services)["upstream_cx_total"] == host.cx_total == 2
        assert connections(cluster) == 1
        Http2Codec.made[0].close()
        await wait_all_tasks_blocked()
        assert counted(services)["upstream_cx_destroy"] == 1
        assert connections(cluster) == 0


@pytest.mark.parametrize(("alpn", "made"), [("h2", 1), ("http/1.1", 5)])
async def test_many_who_ask_at_once_wait_for_one_connection_and_get_more_if_it_will_not_do(
    services, autojump_clock, nursery, alpn, made
):
    Handshakes.alpn = alpn
    services.network.faults[A] = 1
    async with live(services) as cluster:
        served = []
        for number in range(5):
            nursery.start_soon(serve, cluster, number, served, 10)
        await trio.sleep(0.5)
        assert connections(cluster) == 1
        await trio.sleep(1)
        assert connections(cluster) == made
        assert len(served) == (5 if made == 1 else 1)
        await trio.sleep(1)
        assert sorted(served) == [0, 1, 2, 3, 4]

        await trio.sleep(10)
        assert at_rest(cluster)


async def test_what_the_last_connection_spoke_is_expected_of_the_next(services, autojump_clock, nursery):
    Handshakes.alpn = "http/1.1"
    services.network.faults[A] = 1
    async with live(services) as cluster:
        await open_stream(cluster)
        for number in range(3):
            nursery.start_soon(serve, cluster, number, [], 1)
        await wait_all_tasks_blocked()

        assert connections(cluster) == 4
        await trio.sleep(3)
        assert connections(cluster) == 4


async def test_as_many_streams_as_the_options_of_http2_allow_are_expected(services, autojump_clock, nursery):
    services.network.faults[A] = 1
    options = AutoHttpConfig(http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=2))
    async with live(services, auto=options) as cluster:
        for number in range(5):
            nursery.start_soon(serve, cluster, number, [], 1)
        await wait_all_tasks_blocked()

        assert connections(cluster) == 3
        await trio.sleep(3)
        assert at_rest(cluster)


async def test_who_waits_is_served_by_what_comes_first(services, autojump_clock, nursery):
    Handshakes.alpn = "http/1.1"
    async with live(services) as cluster:
        busy = await open_stream(cluster)
        services.network.faults[A] = 1
        served = []
        nursery.start_soon(serve, cluster, "waiting", served, 0.1)
        await wait_all_tasks_blocked()
        assert served == []

        busy.release()
        await wait_all_tasks_blocked()

        assert served == ["waiting"]
        await trio.sleep(2)
        assert connections(cluster) == 2
        assert at_rest(cluster)


async def test_a_host_may_change_its_mind(services, autojump_clock, nursery):
    Handshakes.alpn = "http/1.1"
    async with live(services) as cluster:
        await open_stream(cluster)
        Handshakes.alpn = "h2"
        await open_stream(cluster)
        await open_stream(cluster)
        assert counted(services)["upstream_cx_http1_total"] == 1
        assert counted(services)["upstream_cx_http2_total"] == 1

        Http2Codec.allowed = 1
        Handshakes.alpn = "http/1.1"
        Http2Codec.made[0].going_away = True
        await open_stream(cluster)

        assert counted(services)["upstream_cx_http1_total"] == 2
        assert connections(cluster) == 3


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_the_limit_of_connections_is_for_both_together(services, autojump_clock, nursery, alpn):
    Handshakes.alpn = alpn
    Http2Codec.allowed = 1
    services.network.faults[A] = 0.1
    options = AutoHttpConfig(http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=1))
    async with live(services, auto=options, limits=limited(max_connections=1)) as cluster:
        served = []
        for number in range(3):
            nursery.start_soon(serve, cluster, number, served, 1)
        await wait_all_tasks_blocked()
        assert connections(cluster) == 1
        assert counted(services)["upstream_cx_overflow"] == 2

        await trio.sleep(5)

        assert sorted(served) == [0, 1, 2]
        assert connections(cluster) == 1
        assert at_rest(cluster)


async def test_a_connection_that_ends_makes_room_for_one_of_the_other_kind(services, autojump_clock, nursery):
    Handshakes.alpn = "http/1.1"
    async with live(services, limits=limited(max_connections=1)) as cluster:
        busy = await open_stream(cluster)
        served = []
        nursery.start_soon(serve, cluster, "waiting", served, 0.1)
        await wait_all_tasks_blocked()

        Handshakes.alpn = "h2"
        busy.release(broken=True)
        await wait_all_tasks_blocked()

        assert served == ["waiting"]
        assert counted(services)["upstream_cx_http2_total"] == 1
        assert connections(cluster) == 1


async def test_a_connection_that_can_not_be_made_fails_all_who_wait(services, autojump_clock, nursery):
    services.network.faults[A] = ConnectionRefusedError(111, "refused")
    async with live(services) as cluster:
        failures = []
        for _ in range(3):
            nursery.start_soon(failure_of, cluster, failures)
        await trio.sleep(1)

        assert failures == [UF] * 3
        assert connections(cluster) == 0
        assert at_rest(cluster)
        now = counted(services)
        assert (now["upstream_cx_total"], now["upstream_cx_connect_fail"]) == (1, 1)
        assert not now.keys() & {"upstream_cx_http1_total", "upstream_cx_http2_total"}


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_too_many_requests_among_those_who_wait(services, autojump_clock, nursery, alpn):
    Handshakes.alpn = alpn
    services.network.faults[A] = 1
    async with live(services, limits=limited(max_requests=1)) as cluster:
        failures, served = [], []
        nursery.start_soon(serve, cluster, "first", served, 5)
        await wait_all_tasks_blocked()
        nursery.start_soon(failure_of, cluster, failures)
        await trio.sleep(3)

        assert served == ["first"]
        assert failures == [UO]


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
@pytest.mark.parametrize("when", [0.0, 0.05, 0.15, 1])
async def test_cancelled_at_any_time_nothing_stays_but_connections(services, autojump_clock, alpn, when):
    Handshakes.alpn = alpn
    services.network.faults[A] = 0.1
    async with live(services) as cluster:
        with trio.move_on_after(when):
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(held, cluster, number)
        await trio.sleep(1)

        assert at_rest(cluster)
        assert connections(cluster) <= 3


async def held(cluster, seconds):
    stream = await open_stream(cluster)
    try:
        await trio.sleep(seconds)
    finally:
        stream.release()


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_idle_connections_are_closed(services, autojump_clock, alpn):
    Handshakes.alpn = alpn
    async with live(services, idle_timeout=10.0) as cluster:
        (await open_stream(cluster)).release()
        await trio.sleep(9)
        assert connections(cluster) == 1
        await trio.sleep(2)

        assert connections(cluster) == 0
        assert counted(services)["upstream_cx_idle_timeout"] == 1


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_draining(services, autojump_clock, alpn):
    Handshakes.alpn = alpn
    async with live(services) as cluster:
        busy = await open_stream(cluster)
        (host,) = cluster.hosts.hosts

        for pool in host.pools.values():
            pool.drain()

        assert connections(cluster) == 1
        busy.release()
        await wait_all_tasks_blocked()
        assert connections(cluster) == 0


async def test_the_keeper_has_nothing_to_ask_it(services, autojump_clock):
    async with live(services) as cluster:
        (await open_stream(cluster)).release()
        (host,) = cluster.hosts.hosts
        (pool,) = host.pools.values()

        assert pool.expire(trio.current_time()) == pool.planned == float("inf")
