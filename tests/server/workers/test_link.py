import socket

import pytest
import trio

from trio_envoy.server.workers import link as module
from trio_envoy.server.workers.link import Link
from trio_envoy.server.workers.messages import Collect, LogLevels, ProtocolFault


@pytest.fixture
def ends():
    links = [Link(sock) for sock in socket.socketpair()]
    yield links
    for link in links:
        link.close()


async def test_messages_arrive_in_turn_and_then_the_end(ends):
    left, right = ends
    for number in range(3):
        left.post(Collect(number))
    assert [await right.receive() for _ in range(3)] == [Collect(0), Collect(1), Collect(2)]
    left.close()

    assert await right.receive() is None
    right.post(Collect(4))  # nobody is there, and nobody minds


async def test_sending_does_not_wait_for_who_does_not_read(ends):
    left, right = ends
    long = LogLevels({"a": "x" * 10_000_000})
    left.post(long)
    left.post(Collect(1))

    async with trio.open_nursery() as tasks:
        tasks.start_soon(left.run)
        assert await right.receive() == long
        assert await right.receive() == Collect(1)
        tasks.cancel_scope.cancel()


async def test_flush_returns_when_all_is_sent(ends):
    left, right = ends
    long = LogLevels({"a": "x" * 10_000_000})
    left.post(long)
    got = []

    async def read():
        got.append(await right.receive())

    async with trio.open_nursery() as tasks:
        tasks.start_soon(read)
        await left.flush()

    assert got == [long]


async def test_what_is_kept_for_who_does_not_read_is_bounded(ends, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    left, _ = ends
    left.post(LogLevels({"a": "x" * 900_000}))

    with pytest.raises(ProtocolFault, match="takes no messages"):
        left.post(LogLevels({"a": "x" * 900_000}))


async def test_a_cancelled_receive_loses_nothing(ends):
    left, right = ends
    with trio.move_on_after(0):
        await right.receive()
    left.post(Collect(1))

    assert await right.receive() == Collect(1)
