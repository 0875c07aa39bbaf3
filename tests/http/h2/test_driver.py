"""Bodies under flow control, and what waits for the socket."""

import pytest
import trio
import trio.testing
from hyperframe.frame import PingFrame, SettingsFrame

from tests.http.h2.fakes import REQUEST, Peer, payload_of
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import driver
from trio_envoy.http.h2.driver import HIGH_WATER
from trio_envoy.http.h2.frames import PREFACE
from trio_envoy.http.h2.options import Http2Options, KeepAlive
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import CodecOptions


async def test_a_client_that_reads_nothing_makes_us_hold_little(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 20_000_000)))

    async with http2.connected(answer, limit_bytes=65536) as world:
        stream = world.client.open()
        response = await stream.exchange(http2.a_request(), world.tasks, None)
        await trio.testing.wait_all_tasks_blocked()

        assert len(world.server._out) < 4 * HIGH_WATER
        assert response.status == 200
        stream.release()


async def test_a_steady_slow_download_is_no_flood(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 3_000_000)))

    few = CodecOptions(http2=Http2Options(max_outbound_frames=20))
    async with http2.serving(answer, options=few, limit_bytes=1000) as world:
        peer = Peer(world.channel)
        peer.session.send_head(1, REQUEST, ended=True)
        peer.flush()
        world.tasks.start_soon(peer.run)  # takes 1000 bytes at a time, so that something always waits
        await trio.sleep(100)

        assert len(payload_of(peer.of(1))) == 3_000_000
        assert world.stats.http2.outbound_flood == 0


async def test_control_frames_that_nobody_reads_are_a_flood(http2, autojump_clock):
    options = CodecOptions(http2=Http2Options(max_outbound_control_frames=50))
    async with http2.serving(options=options, limit_bytes=1000) as world:
        peer = Peer(world.channel)
        for _ in range(200):
            if world.server.channel.closed:
                break
            peer.session.ping()
            await peer.send()

        assert world.server.channel.closed
        assert world.stats.http2.outbound_control_flood == 1
        assert world.stats.http2.outbound_control_frames_active == 0


async def test_a_socket_that_breaks_ends_writer_and_reader(http2, autojump_clock):
    async def answer(stream):
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 1_000_000)))

    async with http2.serving(answer, limit_bytes=1000) as world:
        peer = Peer(world.channel)
        peer.session.send_head(1, REQUEST, ended=True)
        await peer.send()
        assert len(world.server._out)
        world.channel.reset()
        await trio.testing.wait_all_tasks_blocked()

        assert world.server.channel.closed
        assert len(world.server._out) == 0
        assert world.server.streams == {}


async def test_a_closed_channel_takes_no_credit_and_sends_nothing(http2, autojump_clock):
    async with http2.connected() as world:
        world.client.close()
        world.client.credit(1, 5)
        world.client.session.ping()
        world.client.flush()
        world.client.ping_now()
        assert world.client.closed
        assert len(world.client._out) == 0


async def test_others_get_their_turn_while_a_peer_sends_without_end(http2, autojump_clock):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with http2.serving() as world:
        recv_into = world.server.channel.recv_into
        ping = PingFrame(0, b"12345678", flags=["ACK"]).serialize()
        reads = 0

        def endless(view):
            nonlocal reads
            reads += 1
            if reads > 1000:
                return recv_into(view)
            view[: len(ping)] = ping
            return len(ping)

        world.channel.send(PREFACE + SettingsFrame(0).serialize())
        await trio.testing.wait_all_tasks_blocked()
        world.server.channel.recv_into = endless
        world.channel.send(ping)
        with trio.move_on_after(0):
            await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            while reads <= 1000:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert turns > 50


async def test_a_peer_that_goes_on_sending_is_not_waited_for(http2, autojump_clock):
    async with http2.serving(options=CodecOptions(drain_timeout=0.0)) as world:
        peer = Peer(world.channel)
        await peer.send()
        world.server.drain()
        started = trio.current_time()
        while not world.server.channel.closed:
            peer.session.ping()
            peer.flush()
            await trio.sleep(0.3)

        assert trio.current_time() - started == pytest.approx(1.2)
        assert world.stats.hcm.downstream_cx_delayed_close_timeout == 1


async def test_what_the_socket_refuses_is_no_fault_of_whoever_writes(http2, autojump_clock):
    async with http2.connected() as world:
        world.server.channel.reset()
        world.client.session.ping()
        world.client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert world.client.closed


async def test_a_closed_connection_is_kept_alive_no_longer(http2, autojump_clock):
    async with http2.connected() as world:
        world.client.close()
        with trio.fail_after(1):
            await world.client.keep_alive(KeepAlive(interval=1.0, timeout=1.0, jitter=0.0, idle_interval=1.0))


async def test_a_channel_that_is_closed_under_the_reader_is_at_its_end(http2, autojump_clock, monkeypatch):
    async with http2.connected() as world:

        async def closed():
            raise trio.ClosedResourceError

        monkeypatch.setattr(world.client.channel, "recv_into", lambda view: None)
        monkeypatch.setattr(world.client.channel, "wait_read", closed)
        assert await world.client.receive() is None


async def test_who_stays_behind_is_not_waited_for_without_end(http2, autojump_clock, monkeypatch):
    monkeypatch.setattr(driver, "_BEHIND", -1)
    async with http2.serving() as world:
        peer = Peer(world.channel)
        world.tasks.start_soon(peer.run)
        for _ in range(2):
            peer.session.ping()
            await peer.send()
        assert len(peer.events) == 2
