"""What is sent on one stream, piece by piece, as windows and socket have room."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.fakes import OK, frames_of
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.h2.outbound import Outbound
from trio_envoy.http.h2.sender import Sender
from trio_envoy.http.h2.state import StreamState
from trio_envoy.http.headers import Headers


class Socket:
    """The part of a driver that a sender needs; what is flushed counts as sent."""

    def __init__(self):
        self.session = Outbound(Http2Options(), client=True)
        self.session.take_output()
        self.congested = False
        self.unflushed = 0
        self.sent = b""

    def flush(self):
        self.sent += self.session.take_output()
        self.unflushed = 0

    flush_soon = flush


@pytest.fixture
def socket():
    return Socket()


@pytest.fixture
def sender(socket):
    state = StreamState()
    socket.session.open(state)
    return Sender(socket, state)


def sizes(socket):
    return [len(frame) - frames.HEAD_BYTES for frame in frames_of(socket.sent) if frame[3] == frames.DATA]


def test_a_piece_that_fits_is_sent_at_once_and_may_be_the_end(socket, sender):
    assert sender.data_nowait(b"abc", ended=True) == 3
    assert sender.ended
    assert (sender.sent, socket.unflushed) == (3, 3)


def test_a_piece_that_does_not_fit_is_not_the_end(socket, sender):
    sender.state.send_window = 2

    assert sender.data_nowait(b"abc", ended=True) == 2
    assert not sender.ended
    assert sender.data_nowait(b"c", ended=True) == 0
    assert not sender.ended


def test_while_the_socket_is_full_bodies_wait_but_ends_do_not(socket, sender):
    socket.congested = True

    assert sender.data_nowait(b"abc", ended=True) == 0
    assert not sender.ended
    assert sender.data_nowait(b"", ended=True) == 0
    assert sender.ended


def test_not_all_of_a_large_piece_is_sent_at_once(socket, sender):
    socket.session.send_window = sender.state.send_window = 1 << 20

    assert sender.data_nowait(b"x" * 200_000, ended=True) == 65536


def test_a_window_that_settings_made_less_than_nothing_is_no_room(socket, sender):
    sender.state.send_window = -5

    assert sender.data_nowait(b"abc", ended=False) == 0


async def test_a_body_waits_for_window_and_what_is_before_it_is_sent(socket, sender, autojump_clock):
    sender.state.send_window = 10
    sender.head(OK, ended=False)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.body, BytesBody(b"x" * 25))
        await wait_all_tasks_blocked()
        assert sizes(socket) == [10]
        for _ in range(2):
            sender.state.send_window += 10
            sender.wake()
            await wait_all_tasks_blocked()
    assert sizes(socket) == [10, 10, 5]
    assert list(frames_of(socket.sent))[-1][4] == frames.END_STREAM


async def test_trailers_follow_the_body(socket, sender):
    await sender.body(BytesBody(b"abc", Headers([(b"t", b"1")])))

    data, trailers = frames_of(socket.sent)
    assert (data[3], data[4]) == (frames.DATA, 0)
    assert (trailers[3], trailers[4]) == (frames.HEADERS, frames.END_HEADERS | frames.END_STREAM)


async def test_a_stream_that_is_closed_while_its_body_waits(socket, sender, autojump_clock):
    sender.state.send_window = 0
    broken = []

    async def send():
        with pytest.raises(BrokenPipeError):
            await sender.body(BytesBody(b"abc"))
        broken.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        socket.session.forget(sender.state)
        sender.wake()
    assert broken
