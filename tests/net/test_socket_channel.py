from __future__ import annotations

import contextlib
import gc
import socket
import struct
import weakref

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_all, receive_exactly, receive_some, socket_channel, tcp_pair
from trio_envoy.net.channel import send_all
from trio_envoy.net.poller import EpollPoller
from trio_envoy.net.socket_channel import SocketChannel


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def drain(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while sock.recv(1 << 20):
            pass


async def test_bytes_go_both_ways(channel, peer):
    peer.send(b"ping")
    assert await receive_some(channel) == b"ping"

    assert channel.send(b"pong") == 4
    await trio.lowlevel.wait_readable(peer)
    assert peer.recv(10) == b"pong"
    assert (channel.info.bytes_received, channel.info.bytes_sent) == (4, 4)


async def test_nothing_here_is_none_and_then_the_next_bytes_wake(channel, peer, nursery):
    assert channel.recv_into(bytearray(10)) is None

    async def write():
        await wait_all_tasks_blocked()
        peer.send(b"one")
        await wait_all_tasks_blocked(0.005)
        peer.send(b"two")

    nursery.start_soon(write)

    assert await receive_some(channel) == b"one"
    assert await receive_some(channel) == b"two"


async def test_a_full_buffer_does_not_lose_the_rest(channel, peer):
    peer.send(b"abcdef")

    assert await receive_some(channel, 4) == b"abcd"
    assert await receive_some(channel, 4) == b"ef"


async def test_exactly_full_then_empty_parks_and_wakes(channel, peer, nursery):
    peer.send(b"abcd")
    assert await receive_some(channel, 4) == b"abcd"

    async def later():
        await trio.sleep(0.01)
        peer.send(b"e")

    nursery.start_soon(later)
    assert await receive_some(channel, 4) == b"e"


async def test_data_and_fin_together_give_both(channel, peer):
    peer.send(b"last")
    peer.close()

    assert await receive_all(channel) == b"last"
    assert channel.recv_into(bytearray(4)) == 0
    assert channel.recv_into(bytearray(4)) == 0


async def test_fin_after_a_short_read_wakes(channel, peer):
    peer.send(b"last")
    assert await receive_some(channel) == b"last"
    peer.shutdown(socket.SHUT_WR)

    assert await receive_some(channel) == b""


async def test_fin_while_parked_wakes(channel, peer, nursery):
    async def later():
        await wait_all_tasks_blocked()
        peer.close()

    nursery.start_soon(later)
    assert await receive_some(channel) == b""


async def test_half_close_lets_the_other_direction_live(channel, peer):
    channel.shutdown_write()
    peer.send(b"still")

    assert await receive_some(channel) == b"still"
    await trio.lowlevel.wait_readable(peer)
    assert peer.recv(1) == b""


async def test_peer_reset_raises_oserror(poller):
    left, right = tcp_pair()
    channel = socket_channel(left, poller)
    reset(right)

    with pytest.raises(OSError, match="reset"):
        await receive_some(channel)
    channel.close()


async def test_peer_reset_wakes_a_parked_writer(poller, nursery):
    left, right = tcp_pair()
    channel = socket_channel(left, poller)

    async def later():
        await wait_all_tasks_blocked()
        reset(right)

    nursery.start_soon(later)
    with pytest.raises(OSError):  # noqa: PT011 - ECONNRESET or EPIPE
        await send_all(channel, bytes(32 * 1024 * 1024))
    channel.close()


async def test_reset_gives_the_peer_an_error(poller):
    left, right = tcp_pair()
    socket_channel(left, poller).reset()

    await trio.lowlevel.wait_readable(right)
    with pytest.raises(ConnectionResetError):
        right.recv(1)
    right.close()


async def test_a_slow_reader_gets_all_and_memory_is_the_kernels(channel, peer, nursery):
    data = bytes(range(256)) * 16384
    nursery.start_soon(send_all, channel, data)
    await wait_all_tasks_blocked()
    got = bytearray()

    while len(got) < len(data):
        await trio.lowlevel.wait_readable(peer)
        got += peer.recv(100_000)

    assert got == data


async def test_send_takes_nothing_when_the_peer_is_full(channel):
    while channel.send(bytes(65536)):
        pass

    assert channel.send(b"x") == 0


async def test_room_that_came_before_the_wait_is_not_missed(channel, peer):
    while channel.send(bytes(65536)):
        pass
    drain(peer)
    await wait_all_tasks_blocked(0.005)

    with trio.fail_after(2):
        await channel.wait_write()
    assert channel.send(b"x") == 1


async def test_cancelled_while_parked_leaves_the_channel_usable(channel, peer):
    for _ in range(2):
        with trio.move_on_after(0.005) as scope:
            await channel.wait_read()
        assert scope.cancelled_caught

    peer.send(b"x")
    assert await receive_some(channel) == b"x"


async def test_cancelled_writer_leaves_the_channel_usable(channel, peer):
    while channel.send(bytes(65536)):
        pass
    with trio.move_on_after(0.005) as scope:
        await channel.wait_write()
    assert scope.cancelled_caught

    drain(peer)
    with trio.fail_after(2):
        await channel.wait_write()
    assert channel.send(b"x") == 1


async def test_an_edge_and_a_cancellation_in_one_tick_do_not_crash(channel, peer, nursery):
    scope = trio.CancelScope()

    async def read():
        with scope:
            await channel.wait_read()

    nursery.start_soon(read)
    await wait_all_tasks_blocked()
    peer.send(b"x")
    scope.cancel()
    await wait_all_tasks_blocked()

    assert await receive_some(channel) == b"x"


async def test_waiting_is_a_checkpoint_even_when_ready(channel, peer):
    peer.send(b"x")
    await channel.wait_read()
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.wait_read()
    assert scope.cancelled_caught

    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.wait_write()
    assert scope.cancelled_caught


async def test_close_while_parked_wakes_reader_and_writer_into_oserror(channel, nursery):
    while channel.send(bytes(65536)):
        pass
    ended = []

    async def read():
        with pytest.raises(OSError, match="Bad file"):
            await receive_some(channel)
        ended.append("reader")

    async def write():
        with pytest.raises(OSError, match="Bad file"):
            await send_all(channel, b"x")
        ended.append("writer")

    nursery.start_soon(read)
    nursery.start_soon(write)
    await wait_all_tasks_blocked()
    channel.close()
    await wait_all_tasks_blocked()

    assert sorted(ended) == ["reader", "writer"]
    assert channel.closed


async def test_close_is_idempotent_and_later_calls_raise(channel):
    channel.close()
    channel.close()
    channel.reset()
    channel.shutdown_write()

    with pytest.raises(OSError, match="Bad file"):
        channel.recv_into(bytearray(1))
    with pytest.raises(OSError, match="Bad file"):
        channel.send(b"x")


async def test_what_was_sent_before_close_arrives(channel, peer):
    channel.send(b"bye")
    channel.close()

    await trio.lowlevel.wait_readable(peer)
    assert peer.recv(10) == b"bye"
    assert peer.recv(10) == b""


class TestReadable:
    async def test_idle_is_not(self, channel, peer):
        await wait_all_tasks_blocked()
        assert not channel.readable()

    async def test_data_or_the_end_is(self, channel, peer):
        peer.send(b"x")
        await channel.wait_read()
        assert channel.readable()

        assert await receive_some(channel) == b"x"
        assert not channel.readable()
        peer.close()
        await channel.wait_read()
        assert channel.readable()

    async def test_a_read_that_filled_its_buffer_leaves_no_false_alarm(self, channel, peer):
        peer.send(b"abcd")
        assert await receive_some(channel, 4) == b"abcd"

        assert not channel.readable()

    async def test_a_reset_is(self, poller):
        left, right = tcp_pair()
        channel = socket_channel(left, poller)
        reset(right)
        await channel.wait_read()

        assert channel.readable()
        channel.close()


class TestOnGone:
    async def test_fin_while_nobody_reads(self, channel, peer):
        gone = trio.Event()
        channel.on_gone = gone.set
        peer.close()

        with trio.fail_after(2):
            await gone.wait()
        assert channel.on_gone is None

    async def test_fin_that_came_before(self, channel, peer):
        peer.send(b"GET")
        peer.shutdown(socket.SHUT_WR)
        assert await receive_some(channel) == b"GET"
        await wait_all_tasks_blocked()
        gone = trio.Event()
        channel.on_gone = gone.set

        with trio.fail_after(2):
            await gone.wait()

    async def test_reset_while_nobody_reads(self, poller):
        left, right = tcp_pair()
        channel = socket_channel(left, poller)
        gone = trio.Event()
        channel.on_gone = gone.set
        reset(right)

        with trio.fail_after(2):
            await gone.wait()
        channel.close()

    async def test_a_parked_reader_is_woken_instead(self, channel, peer, nursery):
        called = []
        channel.on_gone = lambda: called.append(1)

        async def close():
            await wait_all_tasks_blocked()
            peer.close()

        nursery.start_soon(close)

        assert await receive_some(channel) == b""
        assert called == []

    async def test_data_alone_is_not_the_end(self, channel, peer):
        called = []
        channel.on_gone = lambda: called.append(1)
        peer.send(b"next request")
        await channel.wait_read()
        await trio.sleep(0.15)

        assert called == []

    async def test_taken_back_is_not_called(self, channel, peer):
        called = []
        channel.on_gone = lambda: called.append(1)
        channel.on_gone = None
        peer.close()
        await channel.wait_read()
        await trio.sleep(0.15)

        assert called == []

    async def test_close_takes_it_back(self, channel, peer):
        called = []
        channel.on_gone = lambda: called.append(1)
        channel.close()
        peer.close()
        await trio.sleep(0.15)

        assert called == []

    async def test_a_fault_in_it_does_not_stop_the_poller(self, channel, peer, poller, caplog):
        channel.on_gone = lambda: 1 / 0
        peer.send(b"x")
        peer.close()
        while channel.on_gone is not None:
            await trio.sleep(0.01)
            assert await receive_some(channel) in (b"x", b"")

        left, right = tcp_pair()
        other = socket_channel(left, poller)
        right.send(b"y")
        assert await receive_some(other) == b"y"
        assert "ZeroDivisionError" in caplog.text
        other.close()
        right.close()


async def test_another_channel_may_go_on_with_the_socket(channel, peer, poller):
    peer.send(b"x")
    await channel.wait_read()
    other = SocketChannel(channel.sock, poller, channel.info, below=channel)
    channel.close()
    await channel.wait_read()

    assert channel.closed
    assert await receive_some(other) == b"x"
    peer.send(b"y")
    assert await receive_some(other) == b"y"
    other.close()


async def test_many_channels_share_one_poller(poller, nursery):
    pairs = [tcp_pair() for _ in range(40)]
    echoed = []

    async def echo(channel):
        await send_all(channel, await receive_exactly(channel, 3))
        channel.close()

    async def ask(index, sock):
        channel = socket_channel(sock, poller)
        await send_all(channel, b"%03d" % index)
        echoed.append(await receive_all(channel))
        channel.close()

    async with trio.open_nursery() as both:
        for index, (left, right) in enumerate(pairs):
            both.start_soon(echo, socket_channel(left, poller))
            both.start_soon(ask, index, right)

    assert sorted(echoed) == [b"%03d" % index for index in range(40)]


async def test_a_descriptor_used_again_starts_afresh(nursery):
    poller = EpollPoller()
    nursery.start_soon(poller.run)
    left, right = tcp_pair()
    channel = socket_channel(left, poller)
    right.close()
    await channel.wait_read()
    channel.close()

    again, peer = tcp_pair()
    channel = socket_channel(again, poller)
    await wait_all_tasks_blocked()

    assert not channel.ended
    assert channel.recv_into(bytearray(1)) is None
    channel.close()
    peer.close()


async def test_bytes_of_their_own(channel, peer, nursery):
    assert channel.recv(10) is None

    peer.send(b"abcdef")
    await channel.wait_read()
    assert channel.recv(4) == b"abcd"
    assert channel.recv(4) == b"ef"
    assert channel.recv(4) is None
    peer.close()
    await channel.wait_read()
    assert channel.recv(4) == channel.recv(4) == b""
    assert channel.info.bytes_received == 6


async def test_bytes_of_their_own_that_fill_the_limit_then_nothing(channel, peer):
    peer.send(b"abcd")
    await channel.wait_read()

    assert channel.recv(4) == b"abcd"
    assert channel.recv(4) is None


async def test_a_closed_channel_gives_no_bytes(channel, peer):
    channel.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        channel.recv(4)


async def test_a_closed_channel_is_freed_at_once(poller):
    left, right = tcp_pair()
    left_over = weakref.ref(left)
    channel = socket_channel(left, poller)
    channel.close()
    gc.disable()
    try:
        del left, channel
        assert left_over() is None
    finally:
        gc.enable()
    right.close()
