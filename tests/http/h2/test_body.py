"""Bodies that a peer sends: window is given back when they are read."""

import pytest
import trio

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2.body import StreamBody
from trio_envoy.http.headers import Headers


class Credits:
    """The part of a driver that a body needs: who got how much window back."""

    def __init__(self):
        self.given = []

    def credit(self, stream_id, size):
        self.given.append((stream_id, size))


@pytest.fixture
def window():
    return Credits()


@pytest.fixture
def body(window):
    return StreamBody(window, 1)


async def test_window_is_given_back_when_a_chunk_is_read_and_not_before(body, window):
    body.put(b"abc", 5)
    assert window.given == []

    assert await body.read() == b"abc"
    assert window.given == [(1, 5)]
    assert body.received == 3


async def test_an_empty_frame_is_no_chunk_and_its_padding_is_given_back(body, window):
    body.put(b"", 7)

    assert window.given == [(1, 7)]
    assert body.read_nowait() is None


async def test_the_end_comes_after_what_is_here_and_stays(body):
    trailers = Headers([(b"t", b"1")])
    body.put(b"a", 1)
    body.end(trailers)

    assert [await body.read(), await body.read(), body.read_nowait()] == [b"a", b"", b""]
    assert body.trailers is trailers


async def test_a_reader_waits_for_the_next_chunk(body, autojump_clock):
    async def later():
        await trio.sleep(3)
        body.put(b"late", 4)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later)
        assert await body.read() == b"late"


async def test_a_fault_comes_after_what_is_here_and_not_after_the_end(body):
    body.put(b"a", 1)
    body.fail(RemoteProtocolError("broken"))

    assert await body.read() == b"a"
    with pytest.raises(RemoteProtocolError, match="broken"):
        await body.read()


async def test_a_body_that_ended_does_not_fail_any_more(body):
    body.end()
    body.fail(OSError("gone"))

    assert await body.read() == b""


async def test_what_nobody_reads_is_given_back_when_it_is_dropped(body, window):
    body.put(b"a" * 10, 10)
    body.put(b"b" * 20, 20)

    body.drop()

    assert sum(size for _, size in window.given) == 30


async def test_pieces_that_nobody_reads_are_put_together_while_they_are_small(body, window):
    for _ in range(10_000):
        body.put(b"x", 256)  # a byte, and padding
    body.put(b"y" * 5000, 5000)
    body.put(b"z" * 5000, 5000)

    pieces = []
    while (piece := body.read_nowait()) is not None:
        pieces.append(piece)
    assert b"".join(pieces) == b"x" * 10_000 + b"y" * 5000 + b"z" * 5000
    assert len(pieces) < 6
    assert sum(size for _, size in window.given) == 10_000 * 256 + 10_000


async def test_who_asks_a_body_whose_stream_broke_gets_the_fault_each_time(body):
    body.fail(RemoteProtocolError("broken"))
    body.fail(OSError("gone"))

    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="broken"):
            await body.read()
