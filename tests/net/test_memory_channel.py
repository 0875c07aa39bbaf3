from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_all, receive_some
from trio_envoy.net.address import IpAddress
from trio_envoy.net.channel import send_all
from trio_envoy.net.memory_channel import memory_channel_pair


@pytest.fixture
def pair():
    return memory_channel_pair(limit_bytes=10)


def test_addresses_and_ids():
    client, server = memory_channel_pair(client=IpAddress("10.0.0.1", 1), server=IpAddress("10.0.0.2", 2))

    assert client.info.local == server.info.remote == IpAddress("10.0.0.1", 1)
    assert client.info.remote == server.info.local == IpAddress("10.0.0.2", 2)
    assert client.info.id != server.info.id


async def test_bytes_go_both_ways(autojump_clock, pair):
    client, server = pair

    assert client.send(b"ping") == 4
    assert await receive_some(server) == b"ping"
    assert server.send(b"pong") == 4
    assert await receive_some(client, 2) == b"po"
    assert await receive_some(client) == b"ng"
    assert client.recv_into(bytearray(1)) is None
    assert (client.info.bytes_received, client.info.bytes_sent) == (4, 4)


async def test_a_full_peer_takes_no_more_and_the_sender_waits(autojump_clock, pair, nursery):
    client, server = pair
    assert client.send(bytes(15)) == 10
    assert client.send(b"x") == 0
    nursery.start_soon(send_all, client, bytes(30))
    nursery.start_soon(trio.sleep, 1)
    await wait_all_tasks_blocked()

    total = 0
    while total < 40:
        total += len(await receive_some(server))
    assert total == 40


async def test_a_reader_parks_until_there_is_something(autojump_clock, pair, nursery):
    client, server = pair

    async def later():
        await trio.sleep(100)
        client.send(b"x")

    nursery.start_soon(later)
    start = trio.current_time()

    assert await receive_some(server) == b"x"
    assert trio.current_time() - start == 100


async def test_the_end_comes_behind_the_data(autojump_clock, pair):
    client, server = pair
    client.send(b"last")
    client.close()

    assert server.readable()
    assert await receive_all(server) == b"last"
    with pytest.raises(BrokenPipeError):
        server.send(b"x")


async def test_half_close(autojump_clock, pair):
    client, server = pair
    client.shutdown_write()
    client.shutdown_write()

    assert await receive_all(server) == b""
    assert server.send(b"x") == 1
    assert await receive_some(client) == b"x"


async def test_reset_loses_what_was_not_read(autojump_clock, pair):
    client, server = pair
    client.send(b"lost")
    client.reset()

    assert server.readable()
    with pytest.raises(ConnectionResetError):
        server.recv_into(bytearray(1))
    with pytest.raises(ConnectionResetError):
        server.send(b"x")
    client.close()
    client.reset()
    client.shutdown_write()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_parked_reader_and_writer_are_woken(autojump_clock, pair, nursery, how):
    client, server = pair
    while server.send(b"x"):
        pass
    ended = []

    async def read():
        if how == "reset":
            with pytest.raises(ConnectionResetError):
                await receive_some(server)
        else:
            assert await receive_some(server) == b""
        ended.append("reader")

    async def write():
        with pytest.raises(OSError):  # noqa: PT011 - broken pipe or reset
            await send_all(server, b"x")
        ended.append("writer")

    nursery.start_soon(read)
    nursery.start_soon(write)
    await wait_all_tasks_blocked()
    getattr(client, how)()
    await wait_all_tasks_blocked()

    assert sorted(ended) == ["reader", "writer"]


async def test_closing_under_ones_own_parked_tasks_wakes_them(autojump_clock, pair, nursery):
    client, _server = pair
    ended = []

    async def read():
        with pytest.raises(OSError, match="closed"):
            await receive_some(client)
        ended.append("reader")

    nursery.start_soon(read)
    await wait_all_tasks_blocked()
    client.close()
    await wait_all_tasks_blocked()
    await client.wait_read()
    await client.wait_write()

    assert ended == ["reader"]
    with pytest.raises(OSError, match="closed"):
        client.send(b"x")


async def test_cancelled_waits_leave_it_usable(autojump_clock, pair):
    client, server = pair
    with trio.move_on_after(1):
        await server.wait_read()
    while client.send(b"x"):
        pass
    with trio.move_on_after(1):
        await client.wait_write()

    assert await receive_some(server) == b"x" * 10
    await client.wait_write()
    assert client.send(b"y") == 1


async def test_on_gone_is_told_once_while_nobody_reads(autojump_clock, pair):
    client, server = pair
    called = []
    server.on_gone = lambda: called.append(1)
    client.send(b"data is not the end")
    await wait_all_tasks_blocked()
    assert called == []

    client.shutdown_write()
    client.close()
    await wait_all_tasks_blocked()
    assert called == [1]
    assert server.on_gone is None


async def test_on_gone_set_too_late_is_told_all_the_same(autojump_clock, pair):
    client, server = pair
    client.reset()
    called = []
    server.on_gone = lambda: called.append(1)
    await wait_all_tasks_blocked()

    assert called == [1]


async def test_a_parked_reader_is_woken_instead_of_on_gone(autojump_clock, pair, nursery):
    client, server = pair
    called = []
    server.on_gone = lambda: called.append(1)
    nursery.start_soon(receive_some, server)
    await wait_all_tasks_blocked()
    client.close()
    await wait_all_tasks_blocked()

    assert called == []


async def test_peer_closed(autojump_clock, pair):
    client, server = pair
    client.shutdown_write()
    assert not server.peer_closed.is_set()

    client.close()
    assert server.peer_closed.is_set()


async def test_bytes_of_their_own(autojump_clock, pair):
    client, server = pair
    assert server.recv(10) is None

    client.send(b"abcdef")
    assert server.recv(4) == b"abcd"
    assert server.recv(4) == b"ef"
    assert server.recv(4) is None
    client.close()
    assert server.recv(4) == b""
    assert server.info.bytes_received == 6


async def test_bytes_of_their_own_make_room_for_the_sender(autojump_clock, pair, nursery):
    client, server = pair
    nursery.start_soon(send_all, client, bytes(15))
    await wait_all_tasks_blocked()

    assert len(server.recv(100)) == 10
    await wait_all_tasks_blocked()
    assert len(server.recv(100)) == 5


async def test_a_closed_channel_gives_no_bytes(autojump_clock, pair):
    _, server = pair
    server.close()

    with pytest.raises(OSError, match="closed"):
        server.recv(4)
