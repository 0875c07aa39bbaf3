"""Circuit breakers, the queue and cancellation of the HTTP/1 pool."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.fakes import counted
from tests.upstream.pool.fakes import A, Codec, at_rest, connections, limited, live, open_stream, serve
from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.stream_info import UO
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.pool import http1


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    monkeypatch.setattr(http1, "Http1ClientConnection", Codec)


async def fail(cluster, failures):
    try:
        await open_stream(cluster)
    except UpstreamFailure as failure:
        failures.append(failure)


async def held(cluster, name):
    stream = await open_stream(cluster)
    try:
        await trio.sleep(1)
    finally:
        stream.release(cut_short=True)


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
