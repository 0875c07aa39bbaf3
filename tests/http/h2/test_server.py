"""A server connection against a session in the hands of the test."""

from contextlib import asynccontextmanager
from math import inf

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import session as h2session
from trio_envoy.http.h2.options import Http2Options, KeepAlive
from trio_envoy.http.h2.session import Data, GoAway, Head, Reset, Session, Trailers
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import CodecOptions
from trio_envoy.net.stream_info import DPE
from trio_envoy.util.deadlines import Cause

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"a")]
OK = [(b":status", b"200")]


class Peer:
    """A client: what it sends, and the events it gets."""

    def __init__(self, channel, options=None):
        self.channel = channel
        self.session = Session(options or Http2Options(), client=True)
        config = self.session._connection.config
        config.validate_outbound_headers = config.normalize_outbound_headers = False  # it may be wicked
        self.events = []
        self.closed_at = None
        self.mute = False  # it neither reads nor answers

    async def run(self):
        buffer = bytearray(65536)
        while True:
            if self.mute:
                await trio.sleep_forever()
            try:
                received = self.channel.recv_into(buffer)
            except OSError:
                received = 0
            if received is None:
                await self.channel.wait_read()
            elif not received:
                self.closed_at = trio.current_time()
                return
            else:
                self.events += self.session.receive(bytes(buffer[:received]))
                self.flush()

    def flush(self):
        data = self.session.take_output()
        if data and not self.channel.closed:
            self.channel.send(data)

    async def send(self):
        self.flush()
        await trio.testing.wait_all_tasks_blocked()

    async def ask(self, fields=REQUEST, *, body=None):
        stream_id = self.session.next_stream_id()
        self.session.send_head(stream_id, fields, ended=body is None)
        if body:
            self.session.send_data(stream_id, body, ended=False)
        await self.send()
        return stream_id

    def of(self, stream_id):
        return [event for event in self.events if getattr(event, "stream_id", 0) == stream_id]

    def take(self):
        events, self.events = self.events, []
        return events


@asynccontextmanager
async def serving(helpers, answer=None, *, peer=None, limit_bytes=1 << 20, **options):
    async with helpers.serving(
        answer or helpers.echo, options=CodecOptions(**options), limit_bytes=limit_bytes
    ) as world:
        world.peer = Peer(world.channel, peer)
        world.tasks.start_soon(world.peer.run)
        await world.peer.send()
        world.peer.take()
        yield world


def status_of(events):
    return [dict(event.fields)[b":status"] for event in events if isinstance(event, Head)]


async def test_what_a_stream_knows(http2, autojump_clock):
    streams = []

    async def answer(stream):
        streams.append(stream)
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"x", b"y")], body=b"abc")
        world.peer.session.send_data(stream_id, b"", ended=True)
        await world.peer.send()

        stream, info = streams[0], streams[0].info
        assert (stream.request.method, stream.request.authority, stream.request.path) == (b"GET", b"a", b"/x")
        assert stream.request.headers.items == [(b"x", b"y")]
        assert info.protocol == "HTTP/2"
        assert info.bytes_received == info.bytes_sent == 3
        assert info.request_end == info.response_start == trio.current_time()
        assert stream.request_complete
        assert stream.finished
        assert world.stats.hcm.downstream_cx_http2_total == world.stats.hcm.downstream_cx_http2_active == 1
        assert world.stats.http2.streams_active == 0


async def test_cookies_are_joined_behind_the_rest(http2, autojump_clock):
    fields = []

    async def answer(stream):
        fields.extend(stream.request.headers)
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        await world.peer.ask([*REQUEST, (b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d")])
    assert fields == [(b"x", b"y"), (b"cookie", b"a=b; c=d")]


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
        else:
            assert world.peer.closed_at is not None
            assert world.stats.hcm.downstream_cx_destroy_local == 1


@pytest.mark.parametrize(
    ("options", "fields", "details"),
    [
        (Http2Options(max_fields=5), [*REQUEST, (b"x", b"1"), (b"y", b"1")], "http2.too_many_headers"),
        (Http2Options(max_head_bytes=200), [*REQUEST, (b"x", b"1" * 170)], "http2.headers_too_large"),
        (
            Http2Options(underscores=HeadersWithUnderscoresAction.REJECT_REQUEST),
            [*REQUEST, (b"x_y", b"1")],
            "http2.unexpected_underscore",
        ),
    ],
)
async def test_limits_of_heads(http2, autojump_clock, options, fields, details):
    async with serving(http2, http2=options) as world:
        await world.peer.ask(fields)
        assert world.handler.errors == [details]


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
        assert world.peer.closed_at is not None
        assert isinstance(world.peer.events[-1], GoAway)


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


async def test_a_wrong_length_ends_its_stream_alone(http2, autojump_clock):
    async with serving(http2) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"content-length", b"2")], body=b"abc")
        assert world.peer.of(stream_id) == [Reset(stream_id, h2session.PROTOCOL_ERROR)]
        assert world.handler.interruptions == [Cause.PEER_RESET]

        other = await world.peer.ask()
        assert status_of(world.peer.of(other)) == [b"200"]


async def test_trailers_that_may_not_be(http2, autojump_clock):
    async with serving(http2, http2=Http2Options(stream_error=True)) as world:
        stream_id = await world.peer.ask(body=b"abc")
        world.peer.session.send_head(stream_id, [(b"transfer-encoding", b"chunked")], ended=True)
        await world.peer.send()
        assert Reset(stream_id, h2session.PROTOCOL_ERROR) in world.peer.of(stream_id)


async def test_trailers_both_ways(http2, autojump_clock):
    async with serving(http2) as world:
        stream_id = await world.peer.ask(body=b"abc")
        world.peer.session.send_head(stream_id, [(b"x-t", b"1")], ended=True)
        await world.peer.send()

        events = world.peer.of(stream_id)
        assert [type(event) for event in events] == [Head, Data, Trailers]
        assert events[2].fields == [(b"x-t", b"1")]
        assert world.stats.http2.trailers == 1


async def test_expectations(http2, autojump_clock):
    async with serving(http2) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"expect", b"100-continue")], body=b"")
        assert status_of(world.peer.of(stream_id)) == [b"100"]
        world.peer.session.send_data(stream_id, b"abc", ended=True)
        await world.peer.send()
        assert status_of(world.peer.of(stream_id)) == [b"100", b"200"]


async def test_a_reset_tells_the_handler(http2, autojump_clock):
    async def forever(stream):
        await trio.sleep_forever()

    async with serving(http2, forever) as world:
        stream_id = await world.peer.ask()
        world.peer.session.reset(stream_id, h2session.CANCEL)
        await world.peer.send()
        assert world.handler.interruptions == [Cause.PEER_RESET]
        assert world.stats.http2.rx_reset == 1
        assert world.server.streams == {}


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


async def test_deadlines_are_each_streams_own(http2, autojump_clock):
    async def answer(stream):
        if stream.request.path == b"/slow":
            stream.guard.arm(Cause.ROUTE_TIMEOUT, trio.current_time() + 3)
            await trio.sleep_forever()
        await trio.sleep(5)
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        slow = await world.peer.ask([*REQUEST[:2], (b":path", b"/slow"), REQUEST[3]])
        other = await world.peer.ask()
        await trio.sleep(4)
        assert world.handler.interruptions == [Cause.ROUTE_TIMEOUT]
        assert [type(event) for event in world.peer.of(slow)] == [Reset]
        await trio.sleep(2)
        assert status_of(world.peer.of(other)) == [b"200"]


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
        assert world.peer.take() == [Reset(late, h2session.REFUSED_STREAM)]

        await trio.sleep(40)
        assert status_of(world.peer.of(first)) == status_of(world.peer.of(second)) == [b"200"]
        assert world.peer.closed_at == pytest.approx(started + 30)
        assert world.stats.http2.goaway_sent == 1


async def test_an_idle_connection_drains(http2, autojump_clock):
    async with serving(http2, idle_timeout=10.0, drain_timeout=5.0) as world:
        await world.peer.ask()
        started = trio.current_time()
        await trio.sleep(20)
        assert world.peer.closed_at == pytest.approx(started + 15)
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
        await trio.sleep(6)
        assert world.peer.closed_at is not None
        assert world.stats.hcm.downstream_cx_max_requests_reached == 1


def pinging(**fields):
    settings = {"interval": 10.0, "timeout": 2.0, "jitter": 0.0, "idle_interval": inf} | fields
    return Http2Options(keep_alive=KeepAlive(**settings))


async def test_keep_alive_with_a_peer_that_answers(http2, autojump_clock):
    async with serving(http2, http2=pinging()) as world:
        await trio.sleep(100)
        assert world.peer.closed_at is None
        assert world.stats.http2.keepalive_timeout == 0


async def test_keep_alive_with_a_peer_that_does_not(http2, autojump_clock):
    streams = []

    async def forever(stream):
        streams.append(stream)
        await trio.sleep_forever()

    async with serving(http2, forever, http2=pinging()) as world:
        await world.peer.ask()
        world.peer.flush = lambda: None  # it still reads
        started = trio.current_time()
        await trio.sleep(20)
        assert world.peer.closed_at == pytest.approx(started + 12)
        assert world.stats.http2.keepalive_timeout == 1
        assert world.handler.interruptions == [Cause.PEER_GONE]
        assert streams[0].end_details == "downstream_local_disconnect(http2_ping_timeout)"
        assert world.stats.hcm.downstream_cx_destroy_local == 1


async def test_any_sign_of_life_gives_more_time_for_the_answer(http2, autojump_clock):
    async with serving(http2, http2=pinging()) as world:
        flush, world.peer.flush = world.peer.flush, lambda: None
        await trio.sleep(11)
        for _ in range(5):
            world.channel.send(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS
            await trio.sleep(1.5)
        assert world.peer.closed_at is None
        flush()
        world.peer.flush = flush
        await trio.sleep(50)
        assert world.peer.closed_at is None


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
