"""PINGs downstream; those to upstreams: test_client.py."""

from math import inf

import pytest
import trio

from tests.http.h2.fakes import serving
from trio_envoy.http.h2.options import Http2Options, KeepAlive
from trio_envoy.util.deadlines import Cause


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


@pytest.mark.parametrize("asked", [False, True])
async def test_an_answer_that_nobody_waits_for_is_not_that_of_the_next_ping(http2, autojump_clock, asked):
    async with serving(http2, http2=pinging()) as world:
        if asked:  # and answered before the task that asks has had its turn
            world.server.ping_now()
            world.server.on_pong()
        else:
            world.channel.send(b"\0\0\x08\6\1\0\0\0\0unasked!")
        await trio.sleep(50)
        assert world.peer.closed_at is None
        assert world.stats.http2.keepalive_timeout == 0


async def test_the_jitter_of_connections_differs(http2, autojump_clock):
    pauses = []
    for _ in range(5):
        async with serving(http2, http2=pinging(jitter=50.0)) as world:
            world.peer.flush = lambda: None
            started = trio.current_time()
            await trio.sleep(20)
            pauses.append(world.peer.closed_at - started - 2)
    assert all(10 <= pause <= 15 for pause in pauses)
    assert len({round(pause, 3) for pause in pauses}) == 5
