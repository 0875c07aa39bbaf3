"""A body that is whatever comes on a connection."""

import trio

from trio_envoy.http.raw_body import RawBody
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.poller import TURNS


class Noted(RawBody):
    """Notes what its hooks are told."""

    def __init__(self, channel, early=b""):
        super().__init__(channel, early)
        self.sizes, self.ends = [], []

    def _came(self, size):
        self.sizes.append(size)

    async def _ended(self, *, broken):
        self.ends.append(broken)
        return b""


async def test_what_came_already_is_first_and_not_counted_as_read():
    near, far = memory_channel_pair()
    body = Noted(near, b"early")
    far.send(b"late")

    assert await body.read() == b"early"
    assert body.read_nowait() is None
    assert await body.read() == b"late"
    assert body.sizes == [4]
    assert body.trailers is None


async def test_it_can_be_taken_without_waiting():
    near, _ = memory_channel_pair()
    body = Noted(near, b"early")

    assert body.read_nowait() == b"early"
    assert body.read_nowait() is None


async def test_who_waits_gets_what_comes(autojump_clock):
    near, far = memory_channel_pair()
    body = Noted(near)
    async with trio.open_nursery() as tasks:

        @tasks.start_soon
        async def later():
            await trio.sleep(1)
            far.send(b"x")

        assert await body.read() == b"x"


async def test_its_end_and_a_break_are_told_apart():
    near, far = memory_channel_pair()
    body = Noted(near)
    far.close()
    assert await body.read() == b""
    near.close()
    assert await body.read() == b""
    assert body.ends == [False, True]


async def test_others_get_their_turn_though_there_is_always_more():
    class Endless:
        def recv(self, limit):
            return b"x"

    body, turns = Noted(Endless()), 0

    async def other():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as tasks:
        tasks.start_soon(other)
        while not turns:  # it has begun
            await trio.lowlevel.checkpoint()
        turns = 0
        for _ in range(10 * TURNS + 1):
            await body.read()
        tasks.cancel_scope.cancel()
    assert 9 <= turns <= 11
