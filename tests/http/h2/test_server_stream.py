"""One exchange as the handler sees it and as the client, the `h2` package, gets it."""

import pytest
import trio

from tests.fakes import Pieces
from tests.http.h2.events import Data, Head, Reset, Trailers
from tests.http.h2.fakes import REQUEST, at_rest, payload_of, serving, status_of
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import frames as h2session
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.net.stream_info import DPE, UC
from trio_envoy.util.deadlines import Cause


def a_request(method=b"GET", **changed):
    fields = dict(REQUEST) | {b":method": method}
    return list(fields.items()) + [(name.replace("_", "-").encode(), value) for name, value in changed.items()]


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


async def test_a_wrong_length_ends_its_stream_alone(http2, autojump_clock):
    async with serving(http2) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"content-length", b"2")], body=b"abc")
        assert world.peer.of(stream_id) == [Reset(stream_id, h2session.PROTOCOL_ERROR)]
        assert world.handler.interruptions == [Cause.PEER_RESET]

        other = await world.peer.ask()
        assert status_of(world.peer.of(other)) == [b"200"]


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(
    ("length", "trailer", "details"),
    [
        (b"3", (b"transfer-encoding", b"chunked"), "http2.invalid.header.field"),
        (b"9", (b"x", b"y"), "http2.violation.of.messaging.rule"),
    ],
)
async def test_trailers_that_may_not_be(http2, autojump_clock, length, trailer, details, tolerant):
    streams = []

    async def answer(stream):
        streams.append(stream)
        await http2.echo(stream)

    async with serving(http2, answer, http2=Http2Options(stream_error=tolerant)) as world:
        stream_id = await world.peer.ask([*REQUEST, (b"content-length", length)], body=b"abc")
        world.peer.session.send_head(stream_id, [trailer], ended=True)
        await world.peer.send()

        assert world.peer.of(stream_id) == ([Reset(stream_id, h2session.PROTOCOL_ERROR)] if tolerant else [])
        assert streams[0].end_details == details
        assert streams[0].info.flags == DPE
        assert world.handler.interruptions == [Cause.PEER_RESET]
        assert world.handler.errors == []
        assert world.stats.http2.rx_messaging_error == 1
        assert world.stats.http2.streams_active == 0
        await trio.sleep(2)
        assert (world.peer.closed_at is None) is tolerant
        assert world.stats.hcm.downstream_cx_protocol_error == (not tolerant)


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


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)], ids=["HEAD", "204", "304"]
)
async def test_responses_without_a_body(http2, autojump_clock, method, status):
    async def answer(stream):
        headers = Headers([(b"content-length", b"5")])
        await stream.respond(Response(status, headers, BytesBody(b"never")))

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask(a_request(method))
        (head,) = world.peer.of(stream_id)
        assert head.ended
        assert (b"content-length", b"5") in head.fields


async def test_an_empty_body_ends_with_the_head_but_for_its_trailers(http2, autojump_clock):
    async def answer(stream):
        trailers = Headers([(b"t", b"1")]) if stream.request.path == b"/t" else None
        await stream.respond(Response(200, Headers(), BytesBody(b"", trailers)))

    async with serving(http2, answer) as world:
        plain = await world.peer.ask()
        trailing = await world.peer.ask([*REQUEST[:2], (b":path", b"/t"), REQUEST[3]])
        assert world.peer.of(plain) == [Head(plain, [(b":status", b"200")], ended=True)]
        assert world.peer.of(trailing) == [
            Head(trailing, [(b":status", b"200")], ended=False),
            Trailers(trailing, [(b"t", b"1")]),
        ]


async def test_a_response_before_the_request_has_ended(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(413, Headers(), BytesBody(b"no")))

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask(a_request(b"POST"), body=b"x" * 100)
        events = world.peer.of(stream_id)
        assert [type(event) for event in events] == [Head, Data, Reset]
        assert events[2].code == h2session.NO_ERROR
        assert world.stats.http2.tx_reset == 1
        assert at_rest(world)

        frame = b"\0\0\3\0\0\0\0\0\1xyz"  # a piece of the body was under way
        world.channel.send(frame)
        other = await world.peer.ask()
        assert status_of(world.peer.of(other)) == [b"413"]


async def test_informational_responses(http2, autojump_clock):
    streams = []

    async def answer(stream):
        streams.append(stream)
        await stream.inform(103, Headers([(b"link", b"x")]))
        await http2.echo(stream)
        await stream.inform(103, Headers())  # too late

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask()
        assert status_of(world.peer.of(stream_id)) == [b"103", b"200"]


async def test_informing_and_answering_a_client_that_has_reset(http2, autojump_clock):
    caught = []

    async def answer(stream):
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
            await stream.inform(103, Headers())
            stream.gone = False  # as if it had not been told
            await stream.inform(103, Headers())
            stream.gone = True
            with pytest.raises(BrokenPipeError) as error:
                await stream.respond(Response(200, Headers(), BytesBody(b"x")))
            caught.append(error)

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask()
        world.peer.session.reset(stream_id, h2session.CANCEL)
        await world.peer.send()
        await trio.sleep(2)
        assert caught
        assert at_rest(world)


async def test_an_expectation_may_be_the_upstreams(http2, autojump_clock):
    async with serving(http2, proxy_100_continue=True) as world:
        stream_id = await world.peer.ask(a_request(b"POST", expect=b"100-continue"), body=b"x")
        assert world.peer.of(stream_id) == []

    async with serving(http2) as world:
        stream_id = await world.peer.ask(a_request(b"POST", expect=b"tea"), body=b"x")
        assert world.peer.of(stream_id) == []


async def test_a_body_that_fails_resets_the_stream(http2, autojump_clock):
    class Failing:
        trailers = None

        def read_nowait(self):
            return None

        async def read(self):
            raise UpstreamFailure("connection termination", UC)

    async def answer(stream):
        try:
            await stream.respond(Response(200, Headers(), Failing()))
        except UpstreamFailure:
            stream.reset()
            stream.reset()  # once is enough

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask()
        assert [type(event) for event in world.peer.of(stream_id)] == [Head, Reset]
        assert world.stats.http2.tx_reset == 1
        assert at_rest(world)


async def test_a_bad_request_ends_its_stream_only(http2, autojump_clock):
    async def answer(stream):
        stream.info.status = 400 if stream.request.path == b"/bad" else 200
        stream.close_after()
        await http2.echo(stream)

    async with serving(http2, answer, drain_timeout=1.0) as world:
        await world.peer.ask([*REQUEST[:2], (b":path", b"/bad"), REQUEST[3]])
        await trio.sleep(5)
        assert world.peer.closed_at is None
        await world.peer.ask()
        await trio.sleep(5)
        assert world.peer.closed_at is not None


@pytest.mark.parametrize("when", range(8))
async def test_cancelled_at_each_wait_window_is_given_back(http2, autojump_clock, when):
    async def answer(stream):
        chunk = b"-"
        while chunk:
            await trio.sleep(1)
            chunk = await stream.request.body.read()
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 100_000)))

    small = Http2Options(stream_window=65535, connection_window=65535)
    async with serving(http2, answer, http2=small) as world:
        world.peer.eager = False
        stream_id = await world.peer.ask(a_request(b"POST"), body=b"x" * 16384)
        for _ in range(2):
            await trio.sleep(0.7)
            world.peer.session.send_data(stream_id, b"y" * 10_000, ended=False)
            await world.peer.send()
        world.peer.session.send_data(stream_id, b"", ended=True)
        await trio.sleep(when * 0.7)
        world.peer.session.reset(stream_id, h2session.CANCEL)
        await world.peer.send()
        assert at_rest(world)


async def test_a_handler_that_does_nothing_resets(http2, autojump_clock):
    async def nothing(stream):
        await trio.lowlevel.checkpoint()

    async with serving(http2, nothing) as world:
        stream_id = await world.peer.ask(body=b"abc")
        assert world.peer.of(stream_id) == [Reset(stream_id, h2session.INTERNAL_ERROR)]
        assert at_rest(world)


async def test_how_much_of_a_request_is_here(http2, autojump_clock):
    here = []

    async def answer(stream):
        here.append((stream.request_complete, stream.request_here))
        while stream.request.body is not None and await stream.request.body.read():
            here.append((stream.request_complete, stream.request_here))
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        await world.peer.ask()
        assert here == [(True, True)]
        for size, last in ((5, (True, True)), (30_000, (True, False))):
            here.clear()
            stream_id = await world.peer.ask(body=b"x" * 5)
            assert here == [(False, False)] * 2
            for begin in range(5, size, 10_000):
                world.peer.session.send_data(stream_id, b"x" * min(10_000, size - begin), ended=False)
            world.peer.session.send_data(stream_id, b"", ended=True)
            await world.peer.send()
            assert here[-1] == ((False, False) if size == 5 else last)


async def test_a_head_is_sent_while_there_is_no_window_for_its_body(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"body")))

    async with serving(http2, answer) as world:
        world.peer.session.lib.update_settings({4: 0})
        await world.peer.send()
        stream_id = await world.peer.ask()
        assert world.peer.of(stream_id) == [Head(stream_id, [(b":status", b"200")], ended=False)]
        world.peer.session.lib.increment_flow_control_window(100, stream_id)
        await world.peer.send()
        assert payload_of(world.peer.of(stream_id)) == b"body"


@pytest.mark.parametrize(
    ("fields", "piece", "fires"),
    [
        ([(b"content-length", b"20")], 10, True),  # all of it is here or will soon be
        ([], 20, True),  # the last piece is here
        ([], 10, False),  # who knows how much there will be: only an idle stream ends
    ],
)
async def test_a_client_that_does_not_take_the_rest_is_waited_for(http2, autojump_clock, fields, piece, fires):
    async def answer(stream):
        body = Pieces(*[b"x" * piece] * (20 // piece), 0) if piece < 20 else BytesBody(b"x" * piece)
        await stream.respond(Response(200, Headers(fields), body))

    async with serving(http2, answer, flush_timeout=3.0) as world:
        world.peer.eager = False
        world.peer.session.lib.update_settings({4: 5})
        await world.peer.send()
        stream_id = await world.peer.ask()
        await trio.sleep(100)

        found = world.handler.interruptions
        assert found == ([Cause.STREAM_FLUSH] if fires else [])
        assert world.stats.http2.tx_flush_timeout == int(fires)
        assert len(payload_of(world.peer.of(stream_id))) == 5


async def test_pieces_that_a_client_takes_have_their_own_time(http2, autojump_clock):
    async def answer(stream):
        length = [(b"content-length", b"20")]
        await stream.respond(Response(200, Headers(length), Pieces(b"x" * 10, b"y" * 10, 0)))

    async with serving(http2, answer, flush_timeout=3.0) as world:
        world.peer.eager = False
        world.peer.session.lib.update_settings({4: 5})
        await world.peer.send()
        stream_id = await world.peer.ask()
        for _ in range(2):
            await trio.sleep(2)
            world.peer.session.lib.increment_flow_control_window(10, stream_id)
            await world.peer.send()

        assert payload_of(world.peer.of(stream_id)) == b"x" * 10 + b"y" * 10
        assert world.handler.interruptions == []
