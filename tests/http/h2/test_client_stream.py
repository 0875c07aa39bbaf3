"""Upstreams that break rules, or limits: which streams and connections of ours that costs. The upstream is `h2`."""

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.events import Reset
from tests.http.h2.fakes import OK, Owner, begin, calling, window_is_full
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import BytesBody, read_all
from trio_envoy.http.h2 import frames as h2session
from trio_envoy.http.h2.client_stream import Ending
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.net.stream_info import UC, UPE, UR

BROKEN = ("protocol error", UPE)
RESET = ("remote reset", UR)


def length(value):
    return [*OK, (b"content-length", value)]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (Http2Options(max_fields=3), [(b"x", b"1")] * 3),
        (Http2Options(max_head_bytes=100), [(b"x", b"1" * 100)]),
    ],
)
@pytest.mark.parametrize("trailers", [False, True])
async def test_over_the_limits_is_a_reset_of_the_stream(http2, autojump_clock, options, fields, trailers):
    async with calling(options) as world:
        exchange = await begin(world, http2.a_request())
        server = world.peer.session
        if trailers:
            server.send_head(1, OK, ended=False)
            fields = [*fields, (b"y", b"1")]
        server.send_head(1, fields if trailers else [*OK, *fields], ended=True)
        await world.peer.send()

        assert exchange.why == RESET
        assert exchange.failure.started is trailers
        assert world.peer.of(1)[-1] == Reset(1, h2session.INTERNAL_ERROR)
        assert world.stats.header_overflow + world.stats.header_list_size_too_large == 1
        assert world.stats.tx_reset == 1
        assert world.client.owner.endings == [Ending.RESET_BY_PEER]
        assert world.client.available


MALFORMED = {
    "field": [([*OK, (b"connection", b"close")], None)],
    "no status": [([(b"x", b"y")], None)],
    "two lengths": [([*length(b"1"), (b"content-length", b"1")], b"x")],
    "no number": [(length(b"x"), b"x")],
    "length without a body": [(length(b"1"), None)],
    "trailers": [(OK, b""), ([(b":status", b"200")], None)],
    "length and trailers": [(length(b"2"), b"a"), ([(b"x", b"y")], None)],
}


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("parts", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_responses(http2, autojump_clock, parts, tolerant):
    async with calling(Http2Options(stream_error=tolerant)) as world:
        exchange = await begin(world, http2.a_request())
        other = await begin(world, http2.a_request())
        for fields, body in parts:
            world.peer.session.send_head(1, fields, ended=body is None)
            if body:
                world.peer.session.send_data(1, body, ended=False)
        await world.peer.send()

        assert exchange.why == BROKEN
        assert world.stats.rx_messaging_error == 1
        if tolerant:
            assert Reset(1, h2session.PROTOCOL_ERROR) in world.peer.of(1)
            assert world.client.owner.endings == [Ending.RESET_BY_US]
            world.peer.session.send_head(3, OK, ended=True)
            await world.peer.send()
            assert other.response.status == 200
        else:
            assert not any(isinstance(event, Reset) for event in world.peer.events)
            assert other.why == BROKEN
            assert world.client.protocol_error
            assert world.client.closed
            assert world.client.owner.endings == [Ending.RESET_BY_US] * 2


@pytest.mark.parametrize(
    ("method", "fields", "pieces"),
    [
        (b"GET", length(b"5"), [(b"abc", True)]),
        (b"GET", length(b"5"), [(b"abc", False), (b"", True)]),
        (b"GET", length(b"2"), [(b"ab", False), (b"c", False)]),
        (b"HEAD", length(b"3"), [(b"abc", True)]),
        (b"GET", [(b":status", b"204")], [(b"a", True)]),
        (b"GET", [(b":status", b"304"), (b"content-length", b"1")], [(b"a", True)]),
    ],
)
async def test_a_body_that_is_not_as_long_as_it_says_ends_its_stream(http2, autojump_clock, method, fields, pieces):
    async with calling() as world:
        exchange = await begin(world, http2.a_request(method))
        server = world.peer.session
        server.send_head(1, fields, ended=False)
        await world.peer.send()
        for data, ended in pieces:
            server.send_data(1, data, ended=ended)
            await world.peer.send()

        assert exchange.why == BROKEN
        assert world.peer.of(1)[-1] == Reset(1, h2session.PROTOCOL_ERROR)
        assert world.stats.tx_reset == 1
        assert not world.client.closed
        assert not world.client.protocol_error


async def test_lengths_of_responses_without_a_body_are_not_meant(http2, autojump_clock):
    async with calling() as world:
        exchange = await begin(world, http2.a_request(b"HEAD"))
        world.peer.session.send_head(1, length(b"500"), ended=True)
        await world.peer.send()

        assert exchange.response.body is None
        assert exchange.why is None
        assert world.stats.tx_reset == 0
        assert world.client.owner.endings == [Ending.WHOLE]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", b"200"), (b"GET", b"204"), (b"GET", b"304")])
async def test_an_end_without_a_body_in_a_frame_of_its_own(http2, autojump_clock, method, status):
    async with calling() as world:
        exchange = await begin(world, http2.a_request(method))
        world.peer.session.send_head(1, [(b":status", status)], ended=False)
        await world.peer.send()
        assert exchange.response is None

        world.peer.session.send_data(1, b"", ended=True)
        await world.peer.send()
        assert exchange.response.status == int(status)
        assert exchange.response.body is None
        assert world.stats.tx_reset == 0


async def test_each_stream_of_a_lost_connection_has_a_failure_of_its_own(http2, autojump_clock):
    async with calling() as world:
        first, second = await begin(world, http2.a_request()), await begin(world, http2.a_request())
        world.peer.session.send_head(1, OK, ended=False)
        await world.peer.send()
        world.peer.channel.reset()
        await wait_all_tasks_blocked()

        assert first.why == second.why == ("connection termination", UC)
        assert (first.failure.started, second.failure.started) == (True, False)
        assert world.client.owner.endings == [Ending.WHOLE] * 2


async def test_goaway_refuses_what_is_above_it(http2, autojump_clock):
    async with calling() as world:
        first, second = await begin(world, http2.a_request()), await begin(world, http2.a_request())
        world.peer.channel.send(b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\1" + bytes(4))
        await wait_all_tasks_blocked()

        assert second.why == ("remote refused stream reset", UR)
        assert first.why is None
        assert world.client.available == 0
        assert world.client.owner.changes
        world.peer.session.send_head(1, OK, ended=True)
        await world.peer.send()
        assert first.response.status == 200
        with pytest.raises(UpstreamFailure) as caught:
            await world.client.open().exchange(http2.a_request(), world.tasks, None)
        assert not caught.value.sent


async def test_refused_streams_are_no_reset_requests(http2, autojump_clock):
    async with calling() as world:
        exchange = await begin(world, http2.a_request())
        world.peer.session.reset(1, h2session.REFUSED_STREAM)
        await world.peer.send()

        assert exchange.why == ("remote refused stream reset", UR)
        assert world.stats.rx_reset == 1
        assert world.client.owner.endings == [Ending.WHOLE]


async def test_a_reset_that_comes_late_hurts_nobody(http2, autojump_clock):
    async with calling() as world:
        exchange = await begin(world, http2.a_request(b"POST", body=BytesBody(b"x" * 100_000)))
        await trio.testing.wait_all_tasks_blocked()
        world.peer.session.send_head(1, OK, ended=True)
        await world.peer.send()
        assert exchange.response.status == 200
        for _ in range(3):  # the client has reset it: its request was not wanted to its end
            world.peer.channel.send(b"\0\0\4\3\0\0\0\0\1" + bytes(4))
            world.peer.channel.send(b"\0\0\3\0\0\0\0\0\1abc")
        await world.peer.send()

        other = await begin(world, http2.a_request())
        world.peer.session.send_head(3, OK, ended=True)
        await world.peer.send()
        assert other.response.status == 200


async def test_released_streams_are_reset_and_what_still_comes_is_given_back(http2, autojump_clock):
    async with calling(Http2Options(stream_window=65535, connection_window=65535)) as world:
        for stream_id in range(1, 41, 2):  # ten times the window
            stream = world.client.open()
            world.tasks.start_soon(stream.exchange, http2.a_request(), world.tasks, None)
            await wait_all_tasks_blocked()
            world.peer.session.send_head(stream_id, OK, ended=False)
            world.peer.session.send_data(stream_id, b"x" * 16384, ended=False)
            world.peer.session.send_data(stream_id, b"x" * 16000, ended=False)
            await world.peer.send()
            stream.release()
            world.peer.channel.send(b"\0\0\3\0\0" + stream_id.to_bytes(4, "big") + b"abc")
            world.peer.session.lib.outbound_flow_control_window -= 3
            await world.peer.send()
            assert world.peer.of(stream_id)[-1].code == h2session.INTERNAL_ERROR

        assert window_is_full(world.client.session)
        assert world.client.session.open_streams == 0
        assert world.client.streams == {}
        assert world.stats.streams_active == 0


async def test_more_streams_than_the_upstream_allows_by_now_are_not_sent(http2, autojump_clock):
    async with calling() as world:
        owner = world.client.owner = Owner()
        streams = [world.client.open() for _ in range(3)]
        changes = owner.changes
        world.peer.session.lib.update_settings({3: 1})
        await world.peer.send()

        assert owner.changes > changes
        assert world.client.available == 0
        for stream in streams:
            stream.release()
        assert world.client.available == 1


async def test_the_peer_acknowledges_and_is_acknowledged(http2, autojump_clock):
    async with calling() as world:
        assert world.client.session.acknowledged
        world.peer.session.ping()
        await world.peer.send()
        assert len(world.peer.take()) == 1


async def test_cancelled_a_connection_fails_its_streams(http2, autojump_clock):
    async with calling() as world:
        exchange = await begin(world, http2.a_request())
        world.client.close()
        await wait_all_tasks_blocked()

        assert exchange.why == ("connection termination", UC)
        assert world.client.closed
        assert world.client.active == 0


async def test_data_on_a_refused_stream_is_given_back(http2, autojump_clock):
    async with calling() as world:
        exchange = await begin(world, http2.a_request())
        world.peer.channel.send(b"\0\0\x08\7\0\0\0\0\0" + bytes(8))
        await wait_all_tasks_blocked()
        assert exchange.why == ("remote refused stream reset", UR)
        assert world.client.closed is False
        world.peer.session.send_head(1, OK, ended=False)
        world.peer.session.send_data(1, b"x" * 10_000, ended=False)
        await world.peer.send()
        assert window_is_full(world.client.session)


async def test_a_stream_that_can_not_begin(http2, autojump_clock):
    async with calling() as world:
        world.client.session._next_id = 2**31 + 1  # there are no more ids
        stream = world.client.open()
        with pytest.raises(UpstreamFailure) as caught:
            await stream.exchange(http2.a_request(), None, None)
        stream.release()
        assert not caught.value.sent
        assert world.stats.streams_active == 0
        assert world.client.active == 0


async def test_a_reset_before_the_body_is_sent(http2, autojump_clock):
    async with calling() as world:
        stream = world.client.open()

        class Late:
            trailers = None

            def read_nowait(self):
                if stream.state.id and world.client.session.reset(stream.state, h2session.CANCEL):
                    return b"x"
                return b""

        with trio.move_on_after(1):
            await stream.exchange(http2.a_request(b"POST", body=Late()), None, None)
        stream.release()
        assert world.client.session.open_streams == 0


@pytest.mark.parametrize(
    ("code", "why", "ending"),
    [
        (h2session.PROTOCOL_ERROR, ("protocol error", UPE), Ending.RESET_BY_US),
        (h2session.CONNECT_ERROR, ("remote error with CONNECT request", UR), Ending.WHOLE),
        (h2session.CANCEL, ("remote reset", UR), Ending.RESET_BY_PEER),
        (99, ("remote reset", UR), Ending.RESET_BY_PEER),
    ],
)
async def test_codes_of_resets(http2, autojump_clock, code, why, ending):
    async with calling() as world:
        exchange = await begin(world, http2.a_request())
        world.peer.channel.send(h2session.rst_stream(1, code))
        await wait_all_tasks_blocked()

        assert exchange.why == why
        assert world.client.owner.endings == [ending]


async def test_a_reset_behind_a_whole_response_is_no_failure(http2, autojump_clock):
    async with calling() as world:
        world.client.owner = Owner()
        world.peer.eager = False
        stream = world.client.open()
        bodies = []

        async def run():
            response = await stream.exchange(
                http2.a_request(b"POST", body=BytesBody(b"x" * 100_000)), world.tasks, None
            )
            bodies.append(await read_all(response.body, 100))
            stream.release()

        world.tasks.start_soon(run)
        await wait_all_tasks_blocked()
        world.peer.session.send_head(1, OK, ended=False)
        world.peer.session.send_data(1, b"abc", ended=True)
        world.peer.session.reset(1, h2session.NO_ERROR)
        await world.peer.send()

        assert bodies == [b"abc"]
        assert world.client.owner.endings == [Ending.RESET_BY_US]
        assert world.client.session.open_streams == 0
