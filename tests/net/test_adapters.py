from __future__ import annotations

import pytest
import trio
from trio.testing import check_half_closeable_stream, memory_stream_pair, wait_all_tasks_blocked

from tests.fakes import receive_all, receive_some, socket_channel, unix_pair
from trio_envoy.net.adapters import ChannelStream, as_channel
from trio_envoy.net.address import IpAddress
from trio_envoy.net.channel import send_all
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.stream_info import ConnectionInfo

INFO = ConnectionInfo(7, IpAddress("127.0.0.1", 80), IpAddress("127.0.0.1", 50000))


async def memory_streams():
    near, far = memory_channel_pair(limit_bytes=1000)
    return ChannelStream(near), ChannelStream(far)


async def clogged_memory_streams():
    near, far = memory_channel_pair(limit_bytes=1000)
    near.send(bytes(1000))
    far.send(bytes(1000))
    return ChannelStream(near), ChannelStream(far)


async def test_a_memory_channel_keeps_the_whole_contract_of_a_stream(autojump_clock):
    await check_half_closeable_stream(memory_streams, clogged_memory_streams)


async def test_a_socket_channel_keeps_the_whole_contract_of_a_stream(poller):
    async def streams():
        left, right = unix_pair()
        return ChannelStream(socket_channel(left, poller)), ChannelStream(socket_channel(right, poller))

    async def clogged():
        left, right = await streams()
        for end in (left, right):
            while end.channel.send(bytes(65536)):
                pass
        return left, right

    await check_half_closeable_stream(streams, clogged)


@pytest.fixture
async def ends(nursery):
    """A channel on one end of a pair of Trio streams, and the other end."""
    near, far = memory_stream_pair()
    return as_channel(near, INFO, nursery), far


async def test_bytes_go_both_ways(autojump_clock, ends):
    channel, stream = ends
    await stream.send_all(b"ping")
    assert await receive_some(channel) == b"ping"
    assert channel.info is INFO

    assert channel.send(b"pong") == 4
    assert await stream.receive_some() == b"pong"


async def test_the_end_is_seen_and_the_answer_still_goes_out(autojump_clock, ends):
    channel, stream = ends
    await stream.send_all(b"request")
    await stream.send_eof()
    assert await receive_all(channel) == b"request"

    await send_all(channel, bytes(200_000))
    channel.close()
    got = b"".join([part async for part in stream])

    assert len(got) == 200_000


async def test_shutdown_write_is_eof_and_reading_goes_on(autojump_clock, ends):
    channel, stream = ends
    channel.shutdown_write()
    assert await stream.receive_some() == b""

    await stream.send_all(b"late")
    assert await receive_some(channel) == b"late"


async def test_close_while_the_stream_reads_ends_it(autojump_clock, ends):
    channel, stream = ends
    await wait_all_tasks_blocked()
    channel.close()

    assert await stream.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")


async def test_reset_drops_what_was_sent(nursery, autojump_clock):
    near, far = memory_stream_pair()
    channel = as_channel(near, INFO, nursery)
    channel.send(b"lost")
    channel.reset()

    assert await far.receive_some() == b""


async def test_a_broken_stream_is_a_reset(autojump_clock, nursery):
    near, _far = memory_stream_pair()

    async def broken(max_bytes=None):
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError

    near.receive_some = broken
    channel = as_channel(near, INFO, nursery)

    with pytest.raises(ConnectionResetError):
        await receive_some(channel)


async def test_a_stream_that_breaks_while_sending_is_a_reset(autojump_clock, ends):
    channel, stream = ends
    await stream.aclose()
    assert await receive_some(channel) == b""
    channel.send(b"x")
    await wait_all_tasks_blocked()

    with pytest.raises(ConnectionResetError):
        channel.send(b"y")


async def test_the_peers_end_is_told(autojump_clock, ends):
    channel, stream = ends
    gone = trio.Event()
    channel.on_gone = gone.set
    await stream.aclose()

    await gone.wait()


async def test_cancelling_the_nursery_cuts_it(autojump_clock):
    near, far = memory_stream_pair()
    async with trio.open_nursery() as tasks:
        channel = as_channel(near, INFO, tasks)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert await receive_some(channel) == b""
    with pytest.raises(OSError, match="closed"):
        channel.send(b"x")
    assert await far.receive_some() == b""


async def test_max_bytes_must_be_positive():
    near, _far = memory_channel_pair()

    with pytest.raises(ValueError, match="max_bytes"):
        await ChannelStream(near).receive_some(0)
