"""How many header fields one connection makes us hold: the "HTTP/2 bomb" of 2026 comes to nothing.

The bomb: a table entry that is referred to by one byte, cookies in crumbs, streams that a window of zero keeps open.
"""

import gc
import os
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.events import Head, Ours, TooLarge
from tests.http.h2.fakes import OK, REQUEST, at_rest, serving, status_of
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.options import DEFAULT_HEADER_BUDGET, Http2Options
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response

COST = sum(len(name) + len(value) + 32 for name, value in REQUEST)


def two_ends(budget, *, client_budget=DEFAULT_HEADER_BUDGET):
    client, server = Ours(Http2Options(), client=True), Ours(Http2Options(), client=False)
    server.session.budget, client.session.budget = budget, client_budget
    return client, server


def to(session, other):
    return list(session.receive(other.take_output()))


def test_the_fields_of_all_open_streams_count_with_the_table():
    client, server = two_ends(3 * COST + 200)
    for _ in range(3):
        client.send_head(client.next_stream_id(), REQUEST, ended=True)
    assert [type(event) for event in to(server, client)].count(Head) == 3
    assert server.kept == 3 * COST

    client.send_head(client.next_stream_id(), [*REQUEST, (b"x", b"y" * 100)], ended=True)
    assert to(server, client) == [TooLarge(7, crowded=True)]

    server.release(1)
    client.send_head(client.next_stream_id(), REQUEST, ended=True)
    assert [type(event) for event in to(server, client)] == [Head]
    assert server.kept == 3 * COST


def test_trailers_and_responses_count_too():
    client, server = two_ends(COST + 100, client_budget=60)
    stream_id = client.next_stream_id()
    client.send_head(stream_id, REQUEST, ended=False)
    client.send_head(stream_id, [(b"t", b"x" * 100)], ended=True)
    assert to(server, client)[-2:] == [Head(1, REQUEST, ended=False), TooLarge(1, crowded=True)]

    other = client.next_stream_id()
    server.release(1)
    client.send_head(other, REQUEST, ended=True)
    to(server, client)
    server.send_head(other, [*OK, (b"x", b"y" * 60)], ended=True)
    assert to(client, server)[-1] == TooLarge(other, crowded=True)


@pytest.mark.parametrize("trailers", [False, True])
async def test_who_goes_over_is_refused_alone_and_may_come_again(http2, autojump_clock, trailers):
    go_on = trio.Event()

    async def answer(stream):
        await go_on.wait()
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        assert world.server.header_budget == DEFAULT_HEADER_BUDGET
        world.server.header_budget = 10_000
        first = await world.peer.ask(body=b"x")
        if trailers:
            world.peer.session.send_head(first, [(b"t", b"x" * 12_000)], ended=True)
            await world.peer.send()
            assert [event.code for event in world.peer.of(first)] == [frames.ENHANCE_YOUR_CALM]
            assert world.stats.http2.header_budget_exceeded == 1
            return
        second, third = await world.peer.ask(), await world.peer.ask([*REQUEST, (b"x", b"y" * 12_000)])
        assert [event.code for event in world.peer.of(third)] == [frames.REFUSED_STREAM]
        assert world.handler.errors == ["http2.header_budget_exceeded"]
        assert world.stats.http2.header_budget_exceeded == world.stats.http2.tx_reset == 1

        go_on.set()
        world.peer.session.send_data(first, b"", ended=True)
        await world.peer.send()
        assert status_of(world.peer.of(first)) == status_of(world.peer.of(second)) == [b"200"]
        again = await world.peer.ask()
        assert status_of(world.peer.of(again)) == [b"200"]
        assert at_rest(world)


def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux")
async def test_a_bomb_of_a_hundred_megabytes_is_held_to_a_few(http2, autojump_clock):
    seen = []

    async def answer(stream):
        seen.append(stream.request.headers)
        await stream.respond(Response(200, Headers(), BytesBody(b"x" * 100)))

    seed = b"\x40\x06cookie\x7f\xb9\x16" + b"c" * 3000  # a crumb of 3000 bytes, which goes into the table
    plain = b"\x82\x86\x84\x01\x01a"
    drain = bytearray(65536)
    async with http2.serving(answer) as world:

        async def send(data):
            world.channel.send(data)
            await wait_all_tasks_blocked()
            while world.channel.recv_into(drain):
                pass  # a client that reads nothing would be sent away sooner

        await send(frames.PREFACE + frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]))  # no response is ever ended
        before = resident()
        await send(frames.frame(frames.HEADERS, 5, 1, plain + seed))
        attempted = 0
        for stream_id in range(3, 4003, 2):  # each of 57 KB, below the limit of a head
            await send(frames.frame(frames.HEADERS, 5, stream_id, plain + b"\xbe" * 19))
            attempted += 19 * 3006
        grown = resident() - before

        assert attempted > 100_000_000
        assert world.stats.http2.header_budget_exceeded > 1900
        assert world.server.session.kept <= DEFAULT_HEADER_BUDGET
        assert sum(headers.byte_size() for headers in seen) <= DEFAULT_HEADER_BUDGET
        assert grown < 16 << 20
        assert not world.server.channel.closed
