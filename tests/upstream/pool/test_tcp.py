"""TCP connections as streams: for a CONNECT that ends here."""

import pytest
import trio

from tests.cancelling import at_every_checkpoint
from tests.fakes import Pieces, receive_some
from tests.upstream.fakes import counted
from tests.upstream.pool.fakes import A, at_rest, connections, limited, live
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.net.poller import TURNS
from trio_envoy.net.stream_info import UF
from trio_envoy.upstream.context import LbContext


def a_connect(body=None):
    return Request(b"CONNECT", b"a:1", b"", b"http", Headers(), body)


async def test_bytes_both_ways_until_both_have_ended(services, autojump_clock):
    async with live(services) as cluster, trio.open_nursery() as tasks:
        stream = await cluster.connect(LbContext())
        response = await stream.exchange(a_connect(Pieces(b"up", 1, b"more")), tasks, None)
        far = services.network.far()

        assert (response.status, list(response.headers)) == (200, [])
        assert await receive_some(far) == b"up"
        far.send(b"down")
        assert await response.body.read() == b"down"
        assert await receive_some(far) == b"more"
        assert await receive_some(far) == b""
        far.close()
        assert await response.body.read() == b""
        assert response.body.read_nowait() == await response.body.read() == b""
        stream.release()
        stream.release()

        assert at_rest(cluster)
        assert connections(cluster) == 0
        stats = counted(services)
        assert {name: stats[name] for name in stats if name.startswith("upstream")} == {
            "upstream_cx_destroy": 1,
            "upstream_cx_destroy_remote": 1,
            "upstream_cx_rx_bytes_total": 4,
            "upstream_cx_total": 1,
            "upstream_cx_tx_bytes_total": 6,
            "upstream_rq_pending_total": 1,
            "upstream_rq_total": 1,
        }


async def test_a_connection_is_never_used_twice(services, autojump_clock):
    async with live(services) as cluster:
        for number in range(3):
            stream = await cluster.connect(LbContext())
            assert len(services.network.accepted[A]) == number + 1
            stream.release()

        assert connections(cluster) == 0


async def test_an_upstream_that_floods_lets_others_have_their_turn(services, autojump_clock):
    async with live(services) as cluster, trio.open_nursery() as tasks:
        stream = await cluster.connect(LbContext())
        response = await stream.exchange(a_connect(Pieces(100)), tasks, None)
        far = services.network.far()
        others = 0

        async def other():
            nonlocal others
            while True:
                await trio.lowlevel.checkpoint()
                others += 1

        tasks.start_soon(other)
        for _ in range(10 * TURNS):
            far.send(b"flood")
            assert await response.body.read() == b"flood"
        assert others >= 7  # of 9 turns: in the first it starts, and in the last it may come behind us
        stream.release()
        tasks.cancel_scope.cancel()


async def test_without_a_body_our_side_ends_at_once(services, autojump_clock):
    async with live(services) as cluster:
        stream = await cluster.connect(LbContext())
        await stream.exchange(a_connect(), None, None)

        assert await receive_some(services.network.far()) == b""
        stream.release()


async def test_a_body_that_is_here_needs_no_task(services, autojump_clock):
    async with live(services) as cluster:
        stream = await cluster.connect(LbContext())
        await stream.exchange(a_connect(Pieces(b"abc")), None, None)

        assert await receive_some(services.network.far()) == b"abc"
        stream.release()


async def test_a_reset_is_a_termination(services, autojump_clock):
    async with live(services) as cluster, trio.open_nursery() as tasks:
        stream = await cluster.connect(LbContext())
        response = await stream.exchange(a_connect(Pieces(100)), tasks, None)
        services.network.far().reset()

        with pytest.raises(UpstreamFailure) as caught:
            await response.body.read()
        assert (caught.value.reason, caught.value.started) == ("connection termination", True)
        stream.release()
        stats = counted(services)
        assert stats["upstream_cx_destroy_remote_with_active_rq"] == 1


async def test_an_end_before_ours_is_closed_by_us(services, autojump_clock):
    async with live(services) as cluster, trio.open_nursery() as tasks:
        stream = await cluster.connect(LbContext())
        response = await stream.exchange(a_connect(Pieces(100)), tasks, None)
        services.network.far().close()

        assert await response.body.read() == b""
        stream.release()
        assert counted(services)["upstream_cx_destroy_local_with_active_rq"] == 1


async def test_a_broken_request_reaches_who_reads(services, autojump_clock):
    async with live(services) as cluster, trio.open_nursery() as tasks:
        stream = await cluster.connect(LbContext())
        response = await stream.exchange(a_connect(Pieces(b"a", RemoteProtocolError("broken"))), tasks, None)

        with pytest.raises(RemoteProtocolError):
            await response.body.read()
        stream.release()


async def test_a_host_that_can_not_be_reached(services, autojump_clock):
    services.network.faults[A] = ConnectionRefusedError(111, "Connection refused")
    async with live(services) as cluster:
        with pytest.raises(UpstreamFailure) as caught:
            await cluster.connect(LbContext())

        assert (caught.value.flag, caught.value.sent) == (UF, False)
        assert at_rest(cluster)


async def test_no_host_at_all(services, autojump_clock):
    async with live(services) as cluster:
        cluster.update(())

        with pytest.raises(UpstreamFailure) as caught:
            await cluster.connect(LbContext())
        assert caught.value.reason == "no healthy upstream"


async def test_max_connections_makes_others_wait(services, autojump_clock):
    async with live(services, circuit_breakers=limited(max_connections=1)) as cluster, trio.open_nursery() as tasks:
        first = await cluster.connect(LbContext())
        got = []

        async def second():
            stream = await cluster.connect(LbContext())
            got.append(trio.current_time())
            stream.release()

        start = trio.current_time()
        tasks.start_soon(second)
        await trio.sleep(3)
        assert not got
        first.release()
        await trio.sleep(1)
        assert got == [start + 3]


async def test_max_requests_closes_what_was_made(services, autojump_clock):
    async with live(services, circuit_breakers=limited(max_requests=1)) as cluster:
        first = await cluster.connect(LbContext())
        with pytest.raises(UpstreamFailure) as caught:
            await cluster.connect(LbContext())

        assert caught.value.reason == "overflow"
        assert connections(cluster) == 1
        first.release()
        assert at_rest(cluster)


async def test_cancelled_anywhere_nothing_stays_open(services, autojump_clock):
    async def far_end(number):
        far = await services.network.accept(A, number)
        while await receive_some(far):
            far.send(b"x")
        far.close()

    async with live(services) as cluster, trio.open_nursery() as ends:
        for number in range(50):
            ends.start_soon(far_end, number)

        async def one():
            stream = await cluster.connect(LbContext())
            try:
                async with trio.open_nursery() as tasks:
                    response = await stream.exchange(a_connect(Pieces(b"a", 1, b"b", 1)), tasks, None)
                    while await response.body.read():
                        pass
            finally:
                stream.release()

        def check():
            assert at_rest(cluster)
            assert connections(cluster) == 0

        assert await at_every_checkpoint(one, check) >= 4
        check()
        ends.cancel_scope.cancel()
