import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.fakes import counted
from tests.upstream.pool.fakes import A, Codec, at_rest, common, connections, limited, live, open_stream, serve
from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.stream_info import UF
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.pool import http1


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    monkeypatch.setattr(http1, "Http1ClientConnection", Codec)


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


async def test_a_connection_that_was_reset_is_not_used(services, autojump_clock, monkeypatch):
    async with live(services) as cluster:
        first = await open_stream(cluster)
        first.release()
        monkeypatch.setattr(first.channel, "recv_into", broken)
        monkeypatch.setattr(first.channel, "readable", lambda: True)

        assert await open_stream(cluster) is not first
        assert counted(services)["upstream_cx_destroy_remote"] == 1


def broken(_buffer):
    raise ConnectionResetError


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
        assert (stream.connection.connect_start, stream.connection.connect_end) == (0, 0.5)
        services.stats.flush()

        histograms = {
            name: dict(services.stats.value(f"cluster.c.{name}").total)
            for name in ("upstream_cx_connect_ms", "upstream_cx_length_ms", "upstream_rq_per_cx")
        }
        assert all(sum(values.values()) == 1 for values in histograms.values())


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
