"""A downstream connection: limits, rules, floods, draining; the client is the `h2` package."""

from math import inf

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.events import GoAway, Reset
from tests.http.h2.fakes import H2, REQUEST, Peer, at_rest, payload_of, serving, status_of, window_is_full
from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import frames as h2session
from trio_envoy.http.h2.floods import Resets
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import DEFAULT_DELAYED_CLOSE_TIMEOUT
from trio_envoy.net.stream_info import DPE, DR
from trio_envoy.util.deadlines import Cause


@pytest.mark.parametrize("tolerant", [False, True])
async def test_a_malformed_request(http2, autojump_clock, tolerant):
    async with serving(http2, http2=Http2Options(stream_error=tolerant)) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"connection", b"close")])

        assert world.handler.errors == ["http2.invalid.header.field"]
        assert world.stats.http2.rx_messaging_error == 1
        if tolerant:
            assert world.peer.of(stream_id) == [Reset(stream_id, h2session.PROTOCOL_ERROR)]
            other = await world.peer.ask()
            assert status_of(world.peer.of(other)) == [b"200"]
            assert world.stats.hcm.downstream_cx_protocol_error == world.channel.info.flags == 0
        else:
            await trio.sleep(2)
            assert world.peer.events == []  # Envoy says nothing
            assert world.peer.closed_at is not None
            assert world.stats.hcm.downstream_cx_destroy_local == 1
            assert world.stats.hcm.downstream_cx_protocol_error == 1


@pytest.mark.parametrize(
    ("options", "fields", "details", "stat"),
    [
        (Http2Options(max_fields=5), [(b"x", b"1"), (b"y", b"1")], "http2.too_many_headers", "header_overflow"),
        (Http2Options(max_fields=5), [(b"cookie", b"1")] * 2, "http2.too_many_headers", "header_overflow"),
        (
            Http2Options(max_head_bytes=200),
            [(b"x", b"1" * 300)],
            "http2.header_list_size_too_large",
            "header_list_size_too_large",
        ),
    ],
)
@pytest.mark.parametrize("trailers", [False, True])
async def test_heads_over_the_limits_are_reset(http2, autojump_clock, options, fields, details, stat, trailers):
    streams = []

    async def answer(stream):
        streams.append(stream)
        await http2.echo(stream)

    async with serving(http2, answer, http2=options) as world:
        if trailers:
            stream_id = await world.peer.ask(body=b"x")
            world.peer.session.send_head(stream_id, [*fields, *[(b"x", b"1")] * 4], ended=True)
            await world.peer.send()
            assert streams[0].end_details == details
            assert streams[0].info.flags == DR
        else:
            stream_id = await world.peer.ask([*REQUEST, *fields])
            assert world.handler.errors == [details]
            assert world.handler.error_flags == [DR]
        assert world.peer.of(stream_id) == [Reset(stream_id, h2session.INTERNAL_ERROR)]
        assert getattr(world.stats.http2, stat) == 1
        assert world.stats.http2.tx_reset == 1
        assert world.stats.hcm.downstream_cx_protocol_error == 0

        other = await world.peer.ask()
        assert status_of(world.peer.of(other)) == [b"200"]
        assert world.server.session.open_streams == 0


async def test_underscores_are_refused(http2, autojump_clock):
    options = Http2Options(underscores=HeadersWithUnderscoresAction.REJECT_REQUEST)
    async with serving(http2, http2=options) as world:
        refused = await world.peer.ask([*REQUEST, (b"x_y", b"1")])
        assert world.peer.of(refused) == [Reset(refused, h2session.INTERNAL_ERROR)]
        assert world.handler.errors == ["http2.unexpected_underscore"]
        assert world.stats.http2.requests_rejected_with_underscores_in_headers == 1
        assert world.stats.http2.rx_messaging_error == 0
        assert status_of(world.peer.of(await world.peer.ask())) == [b"200"]  # its stream alone


async def test_underscores_are_dropped(http2, autojump_clock):
    fields = []

    async def answer(stream):
        fields.extend(stream.request.headers)
        await http2.echo(stream)

    options = Http2Options(underscores=HeadersWithUnderscoresAction.DROP_HEADER)
    async with serving(http2, answer, http2=options) as world:
        await world.peer.ask([*REQUEST, (b"x_y", b"1"), (b"z", b"2")])
        assert world.stats.http2.dropped_headers_with_underscores == 1
    assert fields == [(b"z", b"2")]


async def test_a_client_that_breaks_the_protocol_takes_its_streams_with_it(http2, autojump_clock):
    streams = []

    async def forever(stream):
        streams.append(stream)
        await trio.sleep_forever()

    async with serving(http2, forever) as world:
        await world.peer.ask()
        world.channel.send(b"\0\0\1\0\0\0\0\0\0x")  # DATA on stream 0
        await wait_all_tasks_blocked()

        assert world.stats.hcm.downstream_cx_protocol_error == 1
        assert world.stats.hcm.downstream_cx_destroy_local == 1
        assert world.stats.hcm.downstream_cx_destroy_local_active_rq == 1
        assert world.handler.interruptions == [Cause.PEER_RESET]
        assert streams[0].info.flags == DPE
        assert streams[0].end_details.startswith("codec_error:")
        assert isinstance(world.peer.events[-1], GoAway)
        await trio.sleep(2)
        assert world.peer.closed_at is not None


async def test_a_flood_of_pings(http2, autojump_clock):
    streams = []

    async def forever(stream):
        streams.append(stream)
        await trio.sleep_forever()

    async with serving(http2, forever, http2=Http2Options(max_outbound_control_frames=5)) as world:
        world.peer.session.send_head(1, REQUEST, ended=True)
        for _ in range(6):
            world.peer.session.ping()
        await world.peer.send()

        assert world.stats.http2.outbound_control_flood == 1
        assert world.stats.hcm.downstream_cx_protocol_error == 0
        assert streams[0].end_details == "codec_error:Too_many_control_frames_in_the_outbound_queue."
        assert world.handler.interruptions == [Cause.PEER_RESET]  # though its task had not begun when it came
        await trio.sleep(2)
        assert world.peer.closed_at is not None


async def test_pings_that_are_answered_in_time_are_no_flood(http2, autojump_clock):
    async with serving(http2, http2=Http2Options(max_outbound_control_frames=5)) as world:
        for _ in range(50):
            world.peer.session.ping()
            await world.peer.send()
        assert len(world.peer.take()) == 50


async def test_a_client_that_lets_our_frames_pile_up(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 50_000)))

    options = Http2Options(max_outbound_frames=10)
    async with serving(http2, answer, limit_bytes=20_000, http2=options) as world:
        world.peer.mute = True
        for _ in range(20):
            if not world.server.channel.closed:
                await world.peer.ask()
        assert world.stats.http2.outbound_flood == 1
        assert world.stats.hcm.downstream_cx_destroy_local == 1
        assert world.server.channel.closed


async def test_a_client_that_does_not_read_holds_bodies_back(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 10_000_000)))

    async with serving(http2, answer, limit_bytes=20_000) as world:
        world.peer.mute = True
        await world.peer.ask()
        assert len(world.server._out) < 200_000


async def test_a_client_that_leaves_tells_all_handlers(http2, autojump_clock):
    async def forever(stream):
        await trio.sleep_forever()

    async with serving(http2, forever) as world:
        await world.peer.ask()
        await world.peer.ask()
        world.channel.close()
        await wait_all_tasks_blocked()
        assert world.handler.interruptions == [Cause.PEER_GONE] * 2
        assert world.stats.hcm.downstream_cx_destroy_remote == 1
        assert world.stats.hcm.downstream_cx_destroy_remote_active_rq == 1
        assert world.stats.hcm.downstream_cx_http2_active == 0


async def test_drain_in_two_steps(http2, autojump_clock):
    async def slow(stream):
        await trio.sleep(30)
        await http2.echo(stream)

    async with serving(http2, slow, drain_timeout=5.0) as world:
        first = await world.peer.ask()
        started = trio.current_time()
        world.server.drain()
        world.server.drain()
        await wait_all_tasks_blocked()
        assert world.peer.take() == [GoAway(h2session.MAX_STREAM_ID, 0)]

        second = await world.peer.ask()  # is still taken
        await trio.sleep(6)
        assert world.peer.take() == [GoAway(second, 0)]
        late = await world.peer.ask()
        assert world.peer.take() == []  # Envoy says nothing
        assert late not in world.server.streams

        await trio.sleep(40)
        assert status_of(world.peer.of(first)) == status_of(world.peer.of(second)) == [b"200"]
        assert world.peer.closed_at == pytest.approx(started + 30 + DEFAULT_DELAYED_CLOSE_TIMEOUT)
        assert world.stats.hcm.downstream_cx_delayed_close_timeout == 1
        assert world.stats.http2.goaway_sent == 1


async def test_an_idle_connection_drains(http2, autojump_clock):
    async with serving(http2, idle_timeout=10.0, drain_timeout=5.0) as world:
        await world.peer.ask()
        started = trio.current_time()
        await trio.sleep(20)
        assert world.peer.closed_at == pytest.approx(started + 15 + DEFAULT_DELAYED_CLOSE_TIMEOUT)
        assert world.stats.hcm.downstream_cx_idle_timeout == 1


async def test_max_connection_duration_and_requests(http2, autojump_clock):
    async with serving(http2, max_connection_duration=10.0, drain_timeout=5.0) as world:
        await trio.sleep(20)
        assert world.peer.closed_at is not None
        assert world.stats.hcm.downstream_cx_max_duration_reached == 1

    async with serving(http2, max_requests=2, drain_timeout=5.0) as world:
        await world.peer.ask()
        assert not any(isinstance(event, GoAway) for event in world.peer.events)
        await world.peer.ask()
        assert any(isinstance(event, GoAway) for event in world.peer.events)
        await trio.sleep(7)
        assert world.peer.closed_at is not None
        assert world.stats.hcm.downstream_cx_max_requests_reached == 1


@pytest.mark.parametrize("step", ["idle", "body", "handler", "responding"])
async def test_cancelled_at_every_wait(http2, autojump_clock, step):
    async def answer(stream):
        if step == "body":
            await stream.request.body.read()
        elif step == "handler":
            await trio.sleep_forever()
        else:
            await stream.respond(Response(200, Headers(), BytesBody(b"x" * 10_000_000)))

    async with serving(http2, answer, limit_bytes=20_000) as world:
        world.peer.mute = True
        if step != "idle":
            await world.peer.ask(body=b"" if step == "body" else None)
        world.tasks.cancel_scope.cancel()
    assert world.server.channel.closed
    assert world.stats.http2.streams_active == 0
    assert world.stats.hcm.downstream_cx_http2_active == 0


async def test_one_stream_too_many(http2, autojump_clock):
    async def forever(stream):
        await trio.sleep_forever()

    async with serving(http2, forever, http2=Http2Options(max_streams=2)) as world:
        world.server.session.acknowledged = False  # the client has not seen our settings yet
        for _ in range(3):
            await world.peer.ask()
        assert world.peer.take() == [Reset(5, h2session.REFUSED_STREAM)]
        assert world.stats.http2.stream_refused_errors == world.stats.http2.tx_reset == 1
        assert len(world.server.streams) == 2

        world.server.session.acknowledged = True
        await world.peer.ask()
        await trio.sleep(2)
        assert world.peer.events == []  # Envoy says nothing
        assert world.peer.closed_at is not None
        assert world.stats.hcm.downstream_cx_protocol_error == 1
        assert world.handler.interruptions == [Cause.PEER_RESET] * 2


async def test_streams_that_ended_make_room(http2, autojump_clock):
    async with serving(http2, http2=Http2Options(max_streams=2)) as world:
        for _ in range(10):
            stream_id = await world.peer.ask()
            assert status_of(world.peer.of(stream_id)) == [b"200"]
        for _ in range(10):
            stream_id = await world.peer.ask(body=b"x")
            world.peer.session.reset(stream_id, h2session.CANCEL)
        assert world.peer.closed_at is None


@pytest.mark.parametrize("answered", [False, True])
async def test_who_resets_most_streams_at_once_is_sent_away(http2, autojump_clock, answered):
    class Endless:
        trailers = None

        def read_nowait(self):
            return None

        async def read(self):
            await trio.sleep_forever()

    async def answer(stream):
        if answered:
            await stream.respond(Response(200, Headers(), Endless()))
        await trio.sleep_forever()

    async with serving(http2, answer) as world:
        for _ in range(300):
            if world.server.channel.closed:
                break
            stream_id = await world.peer.ask()
            world.peer.session.reset(stream_id, h2session.CANCEL)
        await world.peer.send()

        assert world.server.channel.closed is not answered
        assert world.stats.hcm.downstream_rq_too_many_premature_resets == (not answered)
        assert world.stats.hcm.downstream_cx_protocol_error == (not answered)
        assert world.stats.http2.rx_reset == (300 if answered else 250)
        assert world.stats.http2.streams_active == 0


async def test_streams_that_are_over_before_their_tasks_do_not_pile_up(http2, autojump_clock, monkeypatch):
    monkeypatch.setattr(Resets, "too_many", lambda *_: False)
    most = 0

    async def answer(stream):
        nonlocal most
        most = max(most, len(world.server.streams))
        await trio.sleep_forever()

    async with serving(http2, answer) as world:
        for _ in range(5000):
            stream_id = world.peer.session.next_stream_id()
            world.peer.session.send_head(stream_id, REQUEST, ended=True)
            world.peer.session.reset(stream_id, h2session.CANCEL)
        await world.peer.send()

        assert world.stats.http2.rx_reset == 5000
        assert most < 4000  # what one read of 64 KiB can hold
        assert at_rest(world)


@pytest.mark.parametrize(("delay", "whole"), [(1.0, True), (0.0, True), (0.0, False)])
async def test_the_last_response_is_delivered_before_the_close(http2, autojump_clock, delay, whole):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 50_000)))

    async with serving(
        http2, answer, limit_bytes=10_000, max_requests=1, drain_timeout=0.0, delayed_close_timeout=delay
    ) as world:
        world.peer.mute = True
        stream_id = await world.peer.ask()
        assert world.server.streams == {}  # it is all in the outbox
        await trio.sleep(0.5 if whole else 2)
        world.peer.mute = False
        started = trio.current_time()
        await world.peer.run()

        assert (len(payload_of(world.peer.of(stream_id))) == 50_000) is whole
        assert world.peer.closed_at == pytest.approx(started + delay)
        assert world.stats.hcm.downstream_cx_delayed_close_timeout == (delay > 0)
        assert at_rest(world) or not whole


async def test_a_client_that_closes_when_told_to_is_not_waited_for(http2, autojump_clock):
    async with serving(http2, drain_timeout=3.0) as world:
        world.server.drain()
        started = trio.current_time()
        await trio.sleep(3.5)
        world.channel.close()
        await world.server.channel.peer_closed.wait()
        await wait_all_tasks_blocked()

        assert world.server.channel.closed
        assert trio.current_time() == pytest.approx(started + 3.5)
        assert world.stats.hcm.downstream_cx_delayed_close_timeout == 0
        assert world.stats.hcm.downstream_cx_destroy_local == 1


async def test_a_drain_that_ends_with_the_last_stream_at_one_time(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(10)
        await http2.echo(stream)

    async with serving(http2, answer, max_connection_duration=10.0, drain_timeout=0.0) as world:
        stream_id = await world.peer.ask()
        await trio.sleep(12)
        assert status_of(world.peer.of(stream_id)) == [b"200"]
        assert world.peer.closed_at is not None


async def test_goaway_of_the_client_changes_nothing(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(1)
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask()
        world.channel.send(b"\0\0\x08\7\0\0\0\0\0" + bytes(8))
        await trio.sleep(2)
        assert status_of(world.peer.of(stream_id)) == [b"200"]


async def test_a_push_promise_is_a_protocol_error(http2, autojump_clock):
    async with serving(http2) as world:
        world.channel.send(b"\0\0\4\5\4\0\0\0\1" + bytes(4))
        await trio.sleep(2)
        assert world.stats.hcm.downstream_cx_protocol_error == 1
        assert world.peer.closed_at is not None


async def test_nothing_is_said_before_the_preface(http2, autojump_clock):
    async with http2.serving() as world:
        await wait_all_tasks_blocked()
        assert not world.channel.readable()
        world.channel.send(b"GET / HTTP/1.1\r\n\r\n" + bytes(20))
        await wait_all_tasks_blocked()
        assert not world.channel.readable()
        assert world.stats.hcm.downstream_cx_protocol_error == 1


async def test_what_was_read_to_find_out_which_http_it_is(http2, autojump_clock):
    client = H2()
    client.send_head(1, REQUEST, ended=True)
    async with http2.serving(beginning=client.take_output()) as world:
        peer = Peer(world.channel)
        peer.session = client
        world.tasks.start_soon(peer.run)
        await peer.send()
        assert status_of(peer.of(1)) == [b"200"]


async def test_without_an_idle_timeout_nothing_ends_a_connection(http2, autojump_clock):
    async with serving(http2, idle_timeout=inf) as world:
        await world.peer.ask()
        await trio.sleep(80_000)
        assert world.peer.closed_at is None


async def test_data_of_streams_that_come_too_late_is_given_back(http2, autojump_clock):
    async with serving(http2, drain_timeout=0.0, max_requests=1) as world:

        async def forever(stream):
            await trio.sleep_forever()

        world.handler.answer = forever
        await world.peer.ask()
        await trio.lowlevel.checkpoint()
        late = await world.peer.ask(body=b"x" * 10_000)
        assert world.peer.of(late) == []
        assert window_is_full(world.server.session)
        assert len(world.server.streams) == 1
