"""Upstream HTTP/2 connections against our own server, in memory."""

from math import inf

import pytest
import trio
import trio.testing

from tests.http.h2.fakes import calling, frames_of
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import BytesBody, read_all
from trio_envoy.http.h2.options import Http2Options, KeepAlive
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import CodecOptions
from trio_envoy.net.stream_info import UC, UPE, UR


class SlowBody:
    """Chunks with a second between them."""

    def __init__(self, *chunks, trailers=None):
        self.chunks = list(chunks)
        self.trailers = trailers

    def read_nowait(self):
        return None

    async def read(self):
        await trio.sleep(1)
        return self.chunks.pop(0) if self.chunks else b""


async def exchange(world, request, inform=None):
    """One exchange to its end: (status, fields, body, trailers)."""
    stream = world.client.open()
    try:
        response = await stream.exchange(request, world.tasks, inform)
        body = await read_all(response.body, 1 << 30) if response.body is not None else None
        trailers = response.body.trailers if response.body is not None else None
        return response.status, dict(response.headers), body, trailers
    finally:
        stream.release()


async def test_get(http2, autojump_clock):
    async with http2.connected() as world:
        status, fields, body, _ = await exchange(world, http2.a_request(path=b"/x?y"))

        assert (status, body) == (200, None)
        assert fields[b"x-path"] == b"/x?y"
        assert world.client.active == 0
        assert world.server.streams == {}


@pytest.mark.parametrize("size", [0, 1, 16384, 100_000, 3_000_000])
async def test_bodies_of_all_sizes_come_back(http2, autojump_clock, size):
    async with http2.connected() as world:
        data = bytes(i % 251 for i in range(size))

        _, _, body, _ = await exchange(world, http2.a_request(b"POST", body=BytesBody(data)))

        assert (body or b"") == data


async def test_bodies_larger_than_all_windows_need_a_reader(http2, autojump_clock):
    small = Http2Options(stream_window=65535, connection_window=65535)
    async with http2.connected(options=CodecOptions(http2=small), client_options=small) as world:
        data = b"x" * 1_000_000

        _, _, body, _ = await exchange(world, http2.a_request(b"POST", body=BytesBody(data)))

        assert body == data


async def test_body_that_comes_slowly_is_streamed_with_trailers(http2, autojump_clock):
    seen = []

    async def answer(stream):
        while chunk := await stream.request.body.read():
            seen.append((trio.current_time() - start, chunk))
        await stream.respond(Response(200, Headers(), BytesBody(b"ok", Headers([(b"t", b"2")]))))
        seen.append(dict(stream.request.body.trailers))

    async with http2.connected(answer) as world:
        start = trio.current_time()
        body = SlowBody(b"a", b"b", trailers=Headers([(b"grpc-status", b"0")]))

        status, _, body, trailers = await exchange(world, http2.a_request(b"POST", body=body))

        assert [chunk for _, chunk in seen[:2]] == [b"a", b"b"]
        assert seen[1][0] - seen[0][0] == pytest.approx(1)
        assert seen[2] == {b"grpc-status": b"0"}
        assert (status, body, dict(trailers)) == (200, b"ok", {b"t": b"2"})


async def test_head_and_informational_responses(http2, autojump_clock):
    async def answer(stream):
        await stream.inform(103, Headers([(b"link", b"x")]))
        await stream.inform(100, Headers())
        await stream.respond(Response(200, Headers([(b"content-length", b"5")]), None))

    informed = []

    async def inform(status, headers):
        informed.append((status, dict(headers)))

    async with http2.connected(answer) as world:
        status, fields, body, _ = await exchange(world, http2.a_request(b"HEAD"), inform)

    assert (status, body, fields) == (200, None, {b"content-length": b"5"})
    assert informed == [(103, {b"link": b"x"})]


async def test_many_streams_at_once_answer_in_any_order(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(10 - int(stream.request.path[1:]))
        await http2.echo(stream)

    done = []

    async def one(world, number):
        _, fields, _, _ = await exchange(world, http2.a_request(path=b"/%d" % number))
        done.append(fields[b"x-path"])

    async with http2.connected(answer) as world:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(one, world, number)

    assert done == [b"/%d" % number for number in reversed(range(10))]


async def test_a_stream_that_nobody_reads_does_not_stop_the_others(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 500_000)))

    options = Http2Options(stream_window=65535, connection_window=10_000_000)
    async with http2.connected(answer, client_options=options) as world:
        stuck = world.client.open()
        await stuck.exchange(http2.a_request(), world.tasks, None)

        _, _, body, _ = await exchange(world, http2.a_request())

        assert len(body) == 500_000
        stuck.release()
        await trio.testing.wait_all_tasks_blocked()
        assert world.server.streams == {}


async def test_released_before_its_end_is_reset_and_the_handler_told(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(1000)

    async with http2.connected(answer) as world:
        stream = world.client.open()
        with trio.move_on_after(1):
            await stream.exchange(http2.a_request(), world.tasks, None)
        stream.release()
        await trio.testing.wait_all_tasks_blocked()

        assert [cause.name for cause in world.handler.interruptions] == ["PEER_RESET"]
        assert world.client.active == 0
        assert world.stats.http2.rx_reset == 1


async def test_reset_by_the_peer_is_a_remote_reset(http2, autojump_clock):
    async def answer(stream):
        stream.reset()

    async with http2.connected(answer) as world:
        with pytest.raises(UpstreamFailure) as caught:
            await exchange(world, http2.a_request())

    assert (caught.value.reason, caught.value.flag) == ("remote reset", UR)


async def test_lost_connection_fails_all_streams(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(1)
        world.server.channel.reset()
        await trio.sleep(1000)

    failures = []

    async def one():
        try:
            await exchange(world, http2.a_request())
        except UpstreamFailure as failure:
            failures.append((failure.reason, failure.flag))

    async with http2.connected(answer) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)
        assert world.client.closed
        assert world.client.available == 0

    assert failures == [("connection termination", UC)] * 2


async def test_connection_lost_in_the_body_fails_the_reader(http2, autojump_clock):
    class Broken:
        trailers = None

        def read_nowait(self):
            return None

        async def read(self):
            await trio.sleep(1)
            world.server.channel.reset()
            await trio.sleep(1000)

    async def answer(stream):
        await stream.respond(Response(200, Headers(), Broken()))

    async with http2.connected(answer) as world:
        stream = world.client.open()
        response = await stream.exchange(http2.a_request(), world.tasks, None)
        with pytest.raises(UpstreamFailure) as caught:
            await response.body.read()
        stream.release()

    assert caught.value.started


async def test_goaway_stops_new_streams_and_lets_the_old_ones_end(http2, autojump_clock):
    async def answer(stream):
        await trio.sleep(3)
        await http2.echo(stream)

    async with http2.connected(answer) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange, world, http2.a_request())
            await trio.sleep(1)
            world.server.drain()
            await trio.sleep(1)
            assert world.client.available == 0

        await trio.sleep(10)
        assert world.client.closed
    assert world.stats.http2.goaway_sent == 1


async def test_peers_limit_of_streams_is_kept(http2, autojump_clock):
    options = CodecOptions(http2=Http2Options(max_streams=2))
    async with http2.connected(options=options) as world:
        await exchange(world, http2.a_request())

        assert world.client.available == 2
        first, second = world.client.open(), world.client.open()
        assert world.client.available == 0
        first.release()
        second.release()
        assert world.client.available == 2


async def test_garbage_is_a_protocol_error(http2, autojump_clock):
    async with http2.connected() as world:
        failures = []

        async def one():
            try:
                await exchange(world, http2.a_request(b"POST", body=SlowBody(b"x")))
            except UpstreamFailure as failure:
                failures.append((failure.reason, failure.flag))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.sleep(0.5)
            world.server.channel.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)

        assert failures == [("protocol error", UPE)]
        assert world.client.protocol_error


@pytest.mark.parametrize("begun", [False, True])
async def test_a_broken_request_body_breaks_the_exchange(http2, autojump_clock, begun):
    go_on = trio.Event()

    class Broken:
        trailers = None

        def read_nowait(self):
            return None

        async def read(self):
            await go_on.wait()
            raise RemoteProtocolError("http1.codec_error")

    async def answer(stream):
        if begun:
            body = SlowBody(*[b"x"] * 100)
            await stream.respond(Response(200, Headers(), body))
        else:
            await trio.sleep_forever()

    async with http2.connected(answer) as world:
        stream = world.client.open()
        if begun:
            response = await stream.exchange(http2.a_request(b"POST", body=Broken()), world.tasks, None)
            go_on.set()
            with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
                await read_all(response.body, 1 << 20)
        else:
            go_on.set()
            with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
                await stream.exchange(http2.a_request(b"POST", body=Broken()), world.tasks, None)
        stream.release()
        assert world.client.active == 0


def pinging(**fields):
    settings = {"interval": inf, "timeout": 2.0, "jitter": 0.0, "idle_interval": inf} | fields
    return Http2Options(keep_alive=KeepAlive(**settings))


async def test_a_ping_before_the_first_stream_after_a_rest(http2, autojump_clock):
    pings = []
    async with http2.connected(client_options=pinging(idle_interval=10.0)) as world:
        world.client.on_pong = lambda ponged=world.client.on_pong: (pings.append(trio.current_time()), ponged())
        await exchange(world, http2.a_request())
        await trio.sleep(5)
        await exchange(world, http2.a_request())
        assert pings == []
        await trio.sleep(11)
        await exchange(world, http2.a_request())
        await trio.sleep(1)
        assert len(pings) == 1


async def test_the_ping_goes_ahead_of_the_stream_and_is_not_repeated(http2, autojump_clock):
    async with calling(pinging(idle_interval=5.0)) as world:
        await trio.sleep(6)
        output, world.peer.channel.send = [], lambda data: len(data)  # it does not answer any more
        stream = world.client.open()
        world.client.channel.send = lambda data: output.append(data) or len(data)
        with trio.move_on_after(1):
            await stream.exchange(http2.a_request(), None, None)
        stream.release()
        kinds = [frame[3] for frame in frames_of(b"".join(output))]
        assert kinds[:2] == [6, 1]  # PING, HEADERS
        assert kinds.count(6) == 1


async def test_an_upstream_that_answers_no_ping_fails_its_streams(http2, autojump_clock):
    async def forever(stream):
        await trio.sleep_forever()

    async with http2.connected(forever, client_options=pinging(interval=10.0)) as world:
        await trio.sleep(25)  # it answers
        assert not world.client.closed
        world.server.flush = lambda: None
        with pytest.raises(UpstreamFailure) as caught:
            await exchange(world, http2.a_request())
        assert caught.value.flag == UC
        assert world.client.stats.keepalive_timeout == 1
        assert world.client.closed


async def test_a_flood_from_the_upstream_is_counted(http2, autojump_clock):
    async with http2.connected(client_options=Http2Options(max_priority_frames=2)) as world:
        await exchange(world, http2.a_request())
        world.server.channel.send(b"\0\0\5\2\0\0\0\0\1\0\0\0\3\0" * 20)
        await trio.testing.wait_all_tasks_blocked()
        assert world.client.stats.inbound_priority_frames_flood == 1
        assert world.client.protocol_error
        assert world.client.closed


async def test_a_small_body_waits_like_the_others_when_the_socket_is_full(http2, autojump_clock):
    async with http2.connected(limit_bytes=1000) as world:
        await exchange(world, http2.a_request())
        gate, wait_read = trio.Event(), world.server.channel.wait_read
        done = []

        async def wait_at_the_gate():
            await gate.wait()
            await wait_read()

        async def one(size):
            _, _, body, _ = await exchange(world, http2.a_request(b"POST", body=BytesBody(b"x" * size)))
            done.append(len(body))

        world.server.channel.wait_read = wait_at_the_gate
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, 500_000)
            await trio.testing.wait_all_tasks_blocked()
            assert world.client.congested
            nursery.start_soon(one, 10)
            nursery.start_soon(one, 20_000)
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
            assert await exchange(world, http2.a_request())
        assert sorted(done) == [10, 20_000, 500_000]
