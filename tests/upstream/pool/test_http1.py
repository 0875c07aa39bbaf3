import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.fakes import LiveCluster, config_of, counted
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.stream_info import UF, UO
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.pool import http1

A = "10.0.0.1:80"


class Codec:
    """A codec whose exchanges end as the test says."""

    def __init__(self, channel, options, stats, view, owner):
        self.channel = channel
        self.connection = channel.info
        self.owner = owner
        self.protocol_error = self.peer_closed = self.asked_to_close = self.cut_short = False

    def release(self, *, broken=False, **facts):
        """Give it back; broken, or with any of the facts, it is closed."""
        for name, value in facts.items():
            setattr(self, name, value)
        if broken or facts:
            self.channel.close()
        self.owner.give_back(self)


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    monkeypatch.setattr(http1, "Http1ClientConnection", Codec)


def limited(**limits):
    return CircuitBreakers(thresholds=(CircuitBreakersThresholds(**limits),))


def common(**fields):
    return HttpProtocolOptions(**fields)


def live(services, **fields):
    return LiveCluster(config_of(A, **fields), services)


async def open_stream(cluster):
    return await cluster.open(LbContext())


def at_rest(cluster):
    """Nothing is counted as being in use."""
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
    """How many are open, everywhere the same."""
    (host,) = cluster.hosts.hosts
    assert cluster.stats.upstream_cx_active == host.cx_active == cluster.breakers[0].connections.count
    return host.cx_active


async def test_a_first_request_connects_and_the_next_one_finds_the_connection_idle(services, autojump_clock):
    async with live(services) as cluster:
        first = await open_stream(cluster)
        first.release()
        second = await open_stream(cluster)

        assert second is first
        assert {name: value for name, value in counted(services).items() if name.startswith("upstream")} == {
            "upstream_cx_active": 1,
            "upstream_cx_http1_total": 1,
            "upstream_cx_total": 1,
            "upstream_rq_active": 1,
            "upstream_rq_pending_total": 1,
            "upstream_rq_total": 2,
        }
        second.release()
        assert at_rest(cluster)
        assert connections(cluster) == 1


async def test_with_an_idle_connection_it_does_not_suspend(services, autojump_clock):
    async with live(services) as cluster:
        (await open_stream(cluster)).release()

        opening = cluster.open(LbContext())
        with pytest.raises(StopIteration) as finished:
            opening.send(None)

        finished.value.value.release()


async def test_the_connection_that_was_used_last_is_used_first(services, autojump_clock):
    async with live(services) as cluster:
        one, two = await open_stream(cluster), await open_stream(cluster)
        two.release()
        one.release()

        assert await open_stream(cluster) is one
        assert await open_stream(cluster) is two


async def test_a_connection_that_its_peer_closed_is_not_used(services, autojump_clock):
    async with live(services) as cluster:
        first = await open_stream(cluster)
        first.release()
        services.network.far().close()

        second = await open_stream(cluster)

        assert second is not first
        assert first.channel.closed
        assert counted(services)["upstream_cx_destroy_remote"] == 1
        assert connections(cluster) == 1


async def test_a_connection_on_which_something_came_unasked_is_not_used(services, autojump_clock):
    async with live(services) as cluster:
        first = await open_stream(cluster)
        first.release()
        services.network.far().send(b"HTTP/1.1 200 OK\r\n\r\n")

        assert await open_stream(cluster) is not first

        # measured on 1.40
        assert counted(services)["upstream_cx_protocol_error"] == 1
        assert counted(services)["upstream_cx_destroy_local"] == 1


async def test_a_connection_that_only_seemed_readable_is_used(services, autojump_clock, monkeypatch):
    async with live(services) as cluster:
        first = await open_stream(cluster)
        first.release()
        monkeypatch.setattr(first.channel, "readable", lambda: True)  # a TLS session ticket

        assert await open_stream(cluster) is first


async def test_an_idle_connection_that_its_peer_closes_goes_at_once(services, autojump_clock):
    async with live(services) as cluster:
        (await open_stream(cluster)).release()

        services.network.far().close()
        await wait_all_tasks_blocked()

        assert connections(cluster) == 0
        assert counted(services)["upstream_cx_destroy_remote"] == 1
        assert "upstream_cx_destroy_with_active_rq" not in counted(services)


async def test_last_words_of_an_idle_connection_break_the_protocol(services, autojump_clock):
    async with live(services) as cluster:
        (await open_stream(cluster)).release()

        services.network.far().send(b"unasked")
        services.network.far().close()
        await wait_all_tasks_blocked()

        # measured on 1.40
        assert counted(services)["upstream_cx_protocol_error"] == 1
        assert counted(services)["upstream_cx_destroy_local"] == 1
        assert connections(cluster) == 0


async def test_a_connection_that_closed_behind_its_response_is_not_handed_on(services, autojump_clock, nursery):
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        served, busy = [], await open_stream(cluster)
        nursery.start_soon(serve, cluster, "waiting", served, 1)
        await wait_all_tasks_blocked()

        services.network.far().close()
        busy.release()
        await wait_all_tasks_blocked()

        assert served == ["waiting"]
        assert counted(services)["upstream_cx_total"] == 2
        assert counted(services)["upstream_cx_destroy_remote"] == 1


async def test_a_peer_that_closes_a_busy_connection_is_the_codecs_business(services, autojump_clock):
    async with live(services) as cluster:
        stream = await open_stream(cluster)

        services.network.far().close()
        await wait_all_tasks_blocked()

        assert connections(cluster) == 1
        assert not stream.channel.closed


@pytest.mark.parametrize(
    ("facts", "stats"),
    [
        ({"peer_closed": True}, {"upstream_cx_destroy_remote"}),
        (
            {"peer_closed": True, "cut_short": True},
            {
                "upstream_cx_destroy_remote",
                "upstream_cx_destroy_with_active_rq",
                "upstream_cx_destroy_remote_with_active_rq",
            },
        ),
        (
            {"cut_short": True},
            {
                "upstream_cx_destroy_local",
                "upstream_cx_destroy_with_active_rq",
                "upstream_cx_destroy_local_with_active_rq",
            },
        ),
        ({"asked_to_close": True}, {"upstream_cx_destroy_local", "upstream_cx_close_notify"}),
        ({"asked_to_close": True, "peer_closed": True}, {"upstream_cx_destroy_remote"}),  # a body without a length
        ({"protocol_error": True}, {"upstream_cx_destroy_local", "upstream_cx_protocol_error"}),
    ],
)
async def test_how_a_connection_ended_is_counted(services, autojump_clock, facts, stats):
    async with live(services) as cluster:
        (await open_stream(cluster)).release(**facts)

        ended = {
            name
            for name in counted(services)
            if "destroy" in name or name in ("upstream_cx_close_notify", "upstream_cx_protocol_error")
        }
        assert ended == stats | {"upstream_cx_destroy"}
        assert connections(cluster) == 0
        assert at_rest(cluster)


async def test_bytes_are_counted_once(services, autojump_clock):
    async with live(services) as cluster:
        for received, sent in ((10, 20), (30, 45)):
            stream = await open_stream(cluster)
            stream.connection.bytes_received, stream.connection.bytes_sent = received, sent
            stream.release()

        assert counted(services)["upstream_cx_rx_bytes_total"] == 30
        assert counted(services)["upstream_cx_tx_bytes_total"] == 45


async def test_a_refused_connection(services, autojump_clock):
    services.network.faults[A] = ConnectionRefusedError(111, "refused")
    async with live(services) as cluster:
        context = LbContext()
        with pytest.raises(UpstreamFailure) as caught:
            await cluster.open(context)

        failure = caught.value
        assert (failure.reason, failure.flag, failure.sent) == ("remote connection failure", UF, False)
        assert failure.transport == "delayed connect error: Connection refused"
        assert context.host is cluster.hosts.hosts[0]
        assert {
            name: value for name, value in counted(services).items() if name.startswith("upstream")
        } == {  # measured on 1.40
            "upstream_cx_connect_fail": 1,
            "upstream_cx_destroy": 1,
            "upstream_cx_destroy_remote": 1,
            "upstream_cx_http1_total": 1,
            "upstream_cx_total": 1,
            "upstream_rq_pending_failure_eject": 1,
            "upstream_rq_pending_total": 1,
        }
        (host,) = cluster.hosts.hosts
        assert (host.cx_total, host.cx_connect_fail, host.rq_total) == (1, 1, 0)
        assert at_rest(cluster)


async def test_a_connection_that_takes_too_long(services, autojump_clock):
    services.network.faults[A] = 10
    async with live(services, connect_timeout=0.25) as cluster:
        with pytest.raises(UpstreamFailure) as caught:
            await open_stream(cluster)

        assert trio.current_time() == 0.25
        assert (caught.value.reason, caught.value.flag) == ("connection timeout", UF)
        assert caught.value.transport == ""
        assert (
            counted(services).items()
            >= {
                "upstream_cx_connect_fail": 1,
                "upstream_cx_connect_timeout": 1,
                "upstream_cx_destroy_local": 1,
            }.items()
        )
        assert connections(cluster) == 0


async def test_connect_time_and_length_are_recorded(services, autojump_clock):
    services.network.faults[A] = 0.5
    async with live(services) as cluster:
        stream = await open_stream(cluster)
        await trio.sleep(1)
        stream.release(cut_short=True)
        services.stats.flush()

        histograms = {
            name: dict(services.stats.value(f"cluster.c.{name}").total)
            for name in ("upstream_cx_connect_ms", "upstream_cx_length_ms", "upstream_rq_per_cx")
        }
        assert all(sum(values.values()) == 1 for values in histograms.values())


async def test_too_many_requests(services, autojump_clock):
    # measured on 1.40: a connection is made for the second request, and stays idle
    async with live(services, circuit_breakers=limited(max_requests=1)) as cluster:
        first = await open_stream(cluster)
        context = LbContext()
        with pytest.raises(UpstreamFailure) as caught:
            await cluster.open(context)

        assert (caught.value.reason, caught.value.flag) == ("overflow", UO)
        assert context.host is not None
        assert (
            counted(services).items()
            >= {
                "upstream_rq_active_overflow": 1,
                "upstream_rq_pending_total": 2,
                "upstream_cx_total": 2,
                "upstream_cx_active": 2,
                "upstream_rq_total": 1,
                "circuit_breakers.default.rq_open": 1,
            }.items()
        )
        assert "upstream_rq_pending_overflow" not in counted(services)

        first.release()
        assert at_rest(cluster)
        (await open_stream(cluster)).release()


async def test_too_many_requests_on_an_idle_connection_leave_it_idle(services, autojump_clock):
    async with live(services, circuit_breakers=limited(max_requests=1)) as cluster:
        one = await open_stream(cluster)
        with pytest.raises(UpstreamFailure):
            await open_stream(cluster)  # leaves an idle connection
        with pytest.raises(UpstreamFailure):
            await open_stream(cluster)

        assert connections(cluster) == 2
        one.release()
        assert at_rest(cluster)


async def test_no_pending_requests(services, autojump_clock):
    async with live(services, circuit_breakers=limited(max_pending_requests=0)) as cluster:
        context = LbContext()
        with pytest.raises(UpstreamFailure) as caught:
            await cluster.open(context)

        assert (caught.value.reason, caught.value.flag) == ("overflow", UO)
        assert context.host is None  # UPSTREAM_HOST is "-", measured
        assert counted(services)["upstream_rq_pending_overflow"] == 1
        assert connections(cluster) == 0


async def test_who_comes_first_gets_the_connection_first(services, autojump_clock, nursery):
    # measured on 1.40 with these limits: the second waits, the third overflows
    limits = limited(max_connections=1, max_pending_requests=2)
    async with live(services, circuit_breakers=limits) as cluster:
        served = []
        busy = await open_stream(cluster)
        for name in ("second", "third"):
            nursery.start_soon(serve, cluster, name, served, 1)
            await wait_all_tasks_blocked()
        with pytest.raises(UpstreamFailure, match="overflow"):
            await open_stream(cluster)
        assert (
            counted(services).items()
            >= {
                "upstream_cx_overflow": 2,
                "upstream_rq_pending_active": 2,
                "upstream_rq_pending_overflow": 1,
                "circuit_breakers.default.rq_pending_open": 1,
                "circuit_breakers.default.cx_open": 1,
            }.items()
        )

        busy.release()
        await trio.sleep(3)

        assert served == ["second", "third"]
        assert connections(cluster) == 1
        assert at_rest(cluster)


async def serve(cluster, name, served, seconds, **facts):
    stream = await open_stream(cluster)
    served.append(name)
    await trio.sleep(seconds)
    stream.release(**facts)


async def test_a_connection_that_ends_makes_room_for_who_waits(services, autojump_clock, nursery):
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        served = []
        busy = await open_stream(cluster)
        nursery.start_soon(serve, cluster, "second", served, 1)
        await wait_all_tasks_blocked()

        busy.release(cut_short=True)
        await trio.sleep(0.5)

        assert served == ["second"]
        assert counted(services)["upstream_cx_total"] == 2
        await trio.sleep(1)
        assert connections(cluster) == 1


async def test_who_waits_fails_with_a_connection_that_can_not_be_made(services, autojump_clock, nursery):
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        failures = []
        services.network.faults[A] = 5
        for _ in range(3):
            nursery.start_soon(fail, cluster, failures)
        await wait_all_tasks_blocked()
        services.network.faults[A] = ConnectionRefusedError(111, "refused")
        await trio.sleep(5.5)  # the first one times out

        assert [failure.reason for failure in failures] == ["connection timeout"] * 3
        assert len(set(map(id, failures))) == 3
        assert counted(services)["upstream_rq_pending_failure_eject"] == 3
        assert at_rest(cluster)


async def fail(cluster, failures):
    try:
        await open_stream(cluster)
    except UpstreamFailure as failure:
        failures.append(failure)


async def test_who_waits_may_overflow_when_it_is_its_turn(services, autojump_clock, nursery):
    async with live(services, circuit_breakers=limited(max_connections=1, max_requests=1)) as cluster:
        failures, busy = [], await open_stream(cluster)
        nursery.start_soon(fail, cluster, failures)
        await wait_all_tasks_blocked()
        cluster.breakers[0].requests.count += 1  # another host of the cluster is busy, too

        busy.release()
        await wait_all_tasks_blocked()

        assert [failure.flag for failure in failures] == [UO]
        cluster.breakers[0].requests.count -= 1
        assert at_rest(cluster)
        (await open_stream(cluster)).release()


async def test_idle_connections_are_closed_after_an_hour(services, autojump_clock):
    async with live(services) as cluster:
        one, two = await open_stream(cluster), await open_stream(cluster)
        one.release()
        await trio.sleep(60)
        two.release()

        await trio.sleep(3600 - 60 - 1)
        assert connections(cluster) == 2
        await trio.sleep(2)
        assert connections(cluster) == 1
        assert one.channel.closed
        await trio.sleep(60)
        assert connections(cluster) == 0
        assert counted(services)["upstream_cx_idle_timeout"] == 2
        assert counted(services)["upstream_cx_destroy_local"] == 2


async def test_use_puts_the_idle_timeout_off(services, autojump_clock):
    async with live(services, common_http_protocol_options=common(idle_timeout=10.0)) as cluster:
        for _ in range(5):
            (await open_stream(cluster)).release()
            await trio.sleep(9)

        assert counted(services)["upstream_cx_total"] == 1


async def test_a_busy_connection_is_not_idle(services, autojump_clock):
    async with live(services, common_http_protocol_options=common(idle_timeout=10.0)) as cluster:
        stream = await open_stream(cluster)
        await trio.sleep(100)

        assert not stream.channel.closed
        stream.release()


async def test_idle_timeout_zero_is_off(services, autojump_clock):
    async with live(services, common_http_protocol_options=common(idle_timeout=0.0)) as cluster:
        (await open_stream(cluster)).release()
        await trio.sleep(10**6)

        assert connections(cluster) == 1


async def test_a_limit_of_requests(services, autojump_clock):
    async with live(services, common_http_protocol_options=common(max_requests_per_connection=2)) as cluster:
        for _ in range(4):
            (await open_stream(cluster)).release()

        assert counted(services)["upstream_cx_total"] == 2
        assert counted(services)["upstream_cx_max_requests"] == 2
        assert connections(cluster) == 0


async def test_a_limit_of_age(services, autojump_clock):
    options = common(max_connection_duration=10.0)
    async with live(services, common_http_protocol_options=options) as cluster:
        idle, busy = await open_stream(cluster), await open_stream(cluster)
        idle.release()
        await trio.sleep(11)
        assert connections(cluster) == 1  # the idle one went at its time

        busy.release()

        assert connections(cluster) == 0
        assert counted(services)["upstream_cx_max_duration_reached"] == 2


async def test_draining_closes_idle_connections_and_busy_ones_when_they_are_done(services, autojump_clock):
    async with live(services) as cluster:
        (host,) = cluster.hosts.hosts
        idle, busy = await open_stream(cluster), await open_stream(cluster)
        idle.release()

        for pool in host.pools.values():
            pool.drain()

        assert idle.channel.closed
        assert connections(cluster) == 1
        busy.release()
        assert connections(cluster) == 0
        (await open_stream(cluster)).release()
        assert connections(cluster) == 1


@pytest.mark.parametrize("when", [0.0, 0.05, 0.15, 0.3])
async def test_cancelled_while_connecting_or_waiting_nothing_stays(services, autojump_clock, when):
    """The first connects for 0.1 s, the second waits for it, as max_connections is 1."""
    services.network.faults[A] = 0.1
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        with trio.move_on_after(when):
            async with trio.open_nursery() as nursery:
                for name in ("first", "second"):
                    nursery.start_soon(held, cluster, name)
        await wait_all_tasks_blocked()

        assert at_rest(cluster)
        assert connections(cluster) == 0
        assert not cluster.breakers[0].connections.count


async def held(cluster, name):
    stream = await open_stream(cluster)
    try:
        await trio.sleep(1)
    finally:
        stream.release(cut_short=True)


async def test_a_cancelled_request_is_counted_and_lets_the_next_one_connect(services, autojump_clock, nursery):
    services.network.faults[A] = 1
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        served, scope = [], trio.CancelScope()

        async def doomed():
            with scope:
                await open_stream(cluster)

        nursery.start_soon(doomed)
        await wait_all_tasks_blocked()
        nursery.start_soon(serve, cluster, "next", served, 0)
        await wait_all_tasks_blocked()

        scope.cancel()
        await trio.sleep(1.5)

        assert served == ["next"]
        assert counted(services)["upstream_rq_cancelled"] == 1
        assert counted(services)["upstream_cx_destroy_local"] == 1


async def test_room_that_someone_else_took_is_waited_for_again(services, autojump_clock, nursery):
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster:
        served, busy = [], await open_stream(cluster)
        nursery.start_soon(serve, cluster, "waiting", served, 0)
        await wait_all_tasks_blocked()

        busy.release(cut_short=True)  # "waiting" is told that there is room, but does not run yet
        quick = await open_stream(cluster)
        await wait_all_tasks_blocked()
        assert served == []

        quick.release()
        await wait_all_tasks_blocked()
        assert served == ["waiting"]
