from math import inf
from typing import ClassVar

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.fakes import LiveCluster, config_of, counted
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.config.protocol import Http2ProtocolOptions, HttpProtocolOptions
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.h2.client_stream import Ending
from trio_envoy.net.stream_info import UF, UO
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.pool import http2

A = "10.0.0.1:80"


class Codec:
    """A connection that runs until the test ends it.

    Attributes:
        made: all of them.
        allowed: streams at a time.
    """

    made: ClassVar = []
    allowed: ClassVar = 100

    def __init__(self, channel, options, stats, view, owner):
        self.channel = channel
        self.stats = stats
        self.owner = owner
        self.active = self.served = 0
        self.going_away = self.protocol_error = False
        self.over = trio.Event()
        self.fault = None
        Codec.made.append(self)

    @property
    def available(self):
        return 0 if self.going_away or self.channel.closed else max(Codec.allowed - self.active, 0)

    def open(self):
        self.active += 1
        self.served += 1
        return Stream(self)

    async def run(self):
        try:
            await self.over.wait()
            if self.fault is not None:
                raise self.fault
        finally:
            self.going_away = True
            self.channel.close()

    def close(self):
        self.channel.close()
        self.over.set()


class Stream:
    def __init__(self, codec):
        self.codec = codec

    def release(self, ending=Ending.WHOLE):
        self.codec.active -= 1
        self.codec.owner.stream_ended(self.codec, ending)


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    monkeypatch.setattr(http2, "Http2ClientConnection", Codec)
    Codec.made = []
    Codec.allowed = 100


def live(services, **fields):
    limits = {name: fields.pop(name) for name in tuple(fields) if name.startswith("max_")}
    breakers = CircuitBreakers(thresholds=(CircuitBreakersThresholds(**limits),)) if limits else None
    options = fields.pop("http2", Http2ProtocolOptions())
    return LiveCluster(config_of(A, http2_protocol_options=options, circuit_breakers=breakers, **fields), services)


def common(**fields):
    return {"common_http_protocol_options": HttpProtocolOptions(**fields)}


async def open_stream(cluster):
    return await cluster.open(LbContext())


def at_rest(cluster):
    stats, (host,), breakers = cluster.stats, cluster.hosts.hosts, cluster.breakers[0]
    return not any(
        [
            stats.upstream_rq_active,
            stats.upstream_rq_pending_active,
            host.rq_active,
            host.rq_pending_active,
            breakers.requests.count,
            breakers.pending.count,
        ]
    )


def connections(cluster):
    (host,) = cluster.hosts.hosts
    assert cluster.stats.upstream_cx_active == host.cx_active == cluster.breakers[0].connections.count
    return host.cx_active


async def test_streams_share_a_connection(services, autojump_clock):
    async with live(services) as cluster:
        streams = [await open_stream(cluster) for _ in range(3)]

        assert len(Codec.made) == 1
        assert (
            counted(services).items()
            >= {
                "upstream_cx_http2_total": 1,
                "upstream_cx_total": 1,
                "upstream_rq_active": 3,
                "upstream_rq_pending_total": 1,
                "upstream_rq_total": 3,
            }.items()
        )
        for stream in streams:
            stream.release()
        assert at_rest(cluster)
        assert connections(cluster) == 1


async def test_with_room_on_a_connection_it_does_not_suspend(services, autojump_clock):
    async with live(services) as cluster:
        await open_stream(cluster)

        with pytest.raises(StopIteration):
            cluster.open(LbContext()).send(None)


async def test_many_who_ask_at_once_wait_for_one_connection(services, autojump_clock, nursery):
    services.network.faults[A] = 1
    async with live(services) as cluster:
        served = []
        for number in range(5):
            nursery.start_soon(serve, cluster, number, served)
        await trio.sleep(2)

        assert sorted(served) == [0, 1, 2, 3, 4]
        assert len(Codec.made) == 1
        assert at_rest(cluster)


async def serve(cluster, name, served):
    stream = await open_stream(cluster)
    served.append(name)
    await trio.sleep(0.1)
    stream.release()


async def test_another_connection_when_streams_are_used_up(services, autojump_clock):
    Codec.allowed = 2
    async with live(services) as cluster:
        streams = [await open_stream(cluster) for _ in range(5)]

        assert [codec.active for codec in Codec.made] == [2, 2, 1]
        streams[0].release()
        assert (await open_stream(cluster)).codec is Codec.made[0]


async def test_connections_are_made_for_as_many_as_wait(services, autojump_clock, nursery):
    services.network.faults[A] = 1
    async with live(services, http2=Http2ProtocolOptions(max_concurrent_streams=2)) as cluster:
        for number in range(5):
            nursery.start_soon(serve, cluster, number, [])
        await trio.sleep(2)

        assert counted(services)["upstream_cx_total"] == 3
        assert at_rest(cluster)


async def test_at_the_limit_of_connections_streams_are_waited_for(services, autojump_clock, nursery):
    Codec.allowed = 1
    async with live(services, max_connections=1) as cluster:
        served, busy = [], await open_stream(cluster)
        nursery.start_soon(serve, cluster, "waiting", served)
        await wait_all_tasks_blocked()
        assert served == []
        assert counted(services)["upstream_cx_overflow"] == 1

        busy.release()
        await wait_all_tasks_blocked()

        assert served == ["waiting"]
        assert len(Codec.made) == 1


async def test_a_burst_keeps_to_the_limit_of_connections(services, autojump_clock, nursery):
    Codec.allowed = 1
    options = Http2ProtocolOptions(max_concurrent_streams=1)
    async with live(services, max_connections=1, http2=options) as cluster:
        for number in range(3):
            nursery.start_soon(serve, cluster, number, [])
        await trio.sleep(1)

        assert len(Codec.made) == 1
        assert counted(services)["upstream_cx_overflow"] == 2


async def test_a_peer_that_allows_more_streams_is_used_at_once(services, autojump_clock, nursery):
    Codec.allowed = 1
    async with live(services, max_connections=1) as cluster:
        served = []
        await open_stream(cluster)
        nursery.start_soon(serve, cluster, "waiting", served)
        await wait_all_tasks_blocked()

        Codec.allowed = 2
        Codec.made[0].owner.room_changed(Codec.made[0])
        await wait_all_tasks_blocked()

        assert served == ["waiting"]


async def test_a_connection_that_can_not_be_made_fails_all_who_wait(services, autojump_clock, nursery):
    services.network.faults[A] = ConnectionRefusedError(111, "refused")
    async with live(services) as cluster:
        failures = []
        for _ in range(3):
            nursery.start_soon(fail, cluster, failures)
        await trio.sleep(1)

        assert [(failure.reason, failure.flag) for failure in failures] == [("remote connection failure", UF)] * 3
        assert (
            counted(services).items()
            >= {
                "upstream_cx_connect_fail": 1,
                "upstream_rq_pending_failure_eject": 3,
                "upstream_cx_http2_total": 1,
            }.items()
        )
        assert at_rest(cluster)
        assert connections(cluster) == 0


async def fail(cluster, failures):
    try:
        await open_stream(cluster)
    except UpstreamFailure as failure:
        failures.append(failure)


async def test_too_many_requests(services, autojump_clock):
    async with live(services, max_requests=1) as cluster:
        await open_stream(cluster)

        with pytest.raises(UpstreamFailure, match="overflow") as caught:
            await open_stream(cluster)

        assert caught.value.flag == UO
        assert counted(services)["upstream_rq_active_overflow"] == 1
        assert len(Codec.made) == 1


async def test_too_many_requests_among_those_who_wait(services, autojump_clock, nursery):
    services.network.faults[A] = 1
    async with live(services, max_requests=1) as cluster:
        failures, served = [], []
        nursery.start_soon(serve, cluster, "first", served)
        await wait_all_tasks_blocked()
        nursery.start_soon(fail, cluster, failures)
        await trio.sleep(1.05)

        assert served == ["first"]
        assert [failure.flag for failure in failures] == [UO]


async def test_goaway_retires_a_connection_until_its_last_stream_is_over(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        old = stream.codec

        old.going_away = True
        old.owner.room_changed(old)
        other = await open_stream(cluster)

        assert other.codec is not old
        assert not old.channel.closed
        assert counted(services)["upstream_cx_close_notify"] == 1
        stream.release()
        await wait_all_tasks_blocked()
        assert old.channel.closed
        assert connections(cluster) == 1


async def test_a_lost_connection_is_counted_with_what_was_on_it(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)

        stream.codec.over.set()  # its reader ends
        await wait_all_tasks_blocked()

        assert (
            counted(services).items()
            >= {
                "upstream_cx_destroy_remote": 1,
                "upstream_cx_destroy_remote_with_active_rq": 1,
            }.items()
        )
        assert connections(cluster) == 0
        stream.release()
        assert at_rest(cluster)
        assert (await open_stream(cluster)).codec is Codec.made[1]


async def test_a_broken_protocol_is_counted(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        stream.release()

        stream.codec.protocol_error = True
        stream.codec.over.set()
        await wait_all_tasks_blocked()

        assert counted(services).items() >= {"upstream_cx_protocol_error": 1, "upstream_cx_destroy_local": 1}.items()


async def test_a_fault_of_ours_ends_one_connection_alone(services, autojump_clock, caplog):
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        stream.release()

        stream.codec.fault = ZeroDivisionError()
        stream.codec.over.set()
        await wait_all_tasks_blocked()

        assert "HTTP/2 connection to 10.0.0.1:80" in caplog.text
        (await open_stream(cluster)).release()
        assert connections(cluster) == 1


async def test_idle_connections_are_closed(services, autojump_clock):
    async with live(services, **common(idle_timeout=10.0)) as cluster:
        stream = await open_stream(cluster)
        await trio.sleep(50)
        assert connections(cluster) == 1
        stream.release()
        await trio.sleep(9)
        assert connections(cluster) == 1
        await trio.sleep(2)

        assert connections(cluster) == 0
        assert counted(services)["upstream_cx_idle_timeout"] == 1
        assert counted(services)["upstream_cx_destroy_local"] == 1


async def test_a_connection_that_nobody_took_is_idle_too(services, autojump_clock):
    services.network.faults[A] = 1
    async with live(services, **common(idle_timeout=10.0)) as cluster:
        with trio.move_on_after(0.5):
            await open_stream(cluster)
        await trio.sleep(5)
        assert connections(cluster) == 1
        await trio.sleep(10)
        assert connections(cluster) == 0


async def test_a_limit_of_age_retires_a_connection(services, autojump_clock):
    async with live(services, **common(max_connection_duration=10.0)) as cluster:
        stream = await open_stream(cluster)
        await trio.sleep(11)

        assert counted(services)["upstream_cx_max_duration_reached"] == 1
        assert (await open_stream(cluster)).codec is not stream.codec
        assert not stream.codec.channel.closed
        stream.release()
        assert stream.codec.channel.closed


async def test_a_limit_of_requests_retires_a_connection(services, autojump_clock):
    async with live(services, **common(max_requests_per_connection=2)) as cluster:
        one, two, three = [await open_stream(cluster) for _ in range(3)]

        assert one.codec is two.codec is not three.codec
        assert counted(services)["upstream_cx_max_requests"] == 1
        one.release()
        assert not one.codec.channel.closed
        two.release()
        assert one.codec.channel.closed


async def test_draining(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        (host,) = cluster.hosts.hosts

        for pool in host.pools.values():
            pool.drain()

        assert not stream.codec.channel.closed
        stream.release()
        assert stream.codec.channel.closed


async def test_resets_count_as_requests(services, autojump_clock):
    async with live(services) as cluster:
        for ending in (Ending.RESET_BY_PEER, Ending.RESET_BY_PEER, Ending.RESET_BY_US, Ending.WHOLE):
            (await open_stream(cluster)).release(ending)

        assert counted(services)["upstream_rq_rx_reset"] == 2
        assert counted(services)["upstream_rq_tx_reset"] == 1


@pytest.mark.parametrize("when", [0.0, 0.05, 0.15, inf])
async def test_cancelled_at_any_time_nothing_stays_but_the_connection(services, autojump_clock, when):
    services.network.faults[A] = 0.1
    async with live(services) as cluster:
        with trio.move_on_after(when):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(held, cluster)
        await trio.sleep(1)

        assert at_rest(cluster)
        assert connections(cluster) <= 1


async def held(cluster):
    stream = await open_stream(cluster)
    try:
        await trio.sleep(1)
    finally:
        stream.release()


async def test_a_change_that_makes_no_room_serves_nobody(services, autojump_clock, nursery):
    Codec.allowed = 1
    async with live(services, max_connections=1) as cluster:
        served = []
        busy = await open_stream(cluster)
        nursery.start_soon(serve, cluster, "waiting", served)
        await wait_all_tasks_blocked()

        Codec.made[0].owner.room_changed(Codec.made[0])
        await wait_all_tasks_blocked()
        assert served == []
        busy.release()
        await trio.sleep(1)
        assert served == ["waiting"]


async def test_a_second_goaway_changes_nothing(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        stream.codec.going_away = True
        for _ in range(2):
            stream.codec.owner.room_changed(stream.codec)

        assert counted(services)["upstream_cx_close_notify"] == 1
        assert not stream.codec.channel.closed
        stream.release()
        assert stream.codec.channel.closed


async def test_who_waits_goes_on_when_the_last_connection_goes(services, autojump_clock, nursery):
    Codec.allowed = 1
    async with live(services, max_connections=1) as cluster:
        served = []
        busy = await open_stream(cluster)
        for name in ("one", "two"):
            nursery.start_soon(serve, cluster, name, served)
        await wait_all_tasks_blocked()
        busy.codec.close()
        busy.release()
        await trio.sleep(1)

        assert sorted(served) == ["one", "two"]
        assert at_rest(cluster)
        assert connections(cluster) == 1
