from __future__ import annotations

import sys

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_some, socket_channel, tcp_pair
from trio_envoy.net.poller import BUFFER_BYTES, EpollPoller, PlainPoller, Pollable, make_poller


@pytest.mark.skipif(sys.platform != "linux", reason="epoll")
def test_linux_gets_epoll_unless_asked():
    assert isinstance(make_poller(), EpollPoller)
    assert isinstance(make_poller(plain=True), PlainPoller)


def test_other_systems_get_the_plain_one(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")

    assert isinstance(make_poller(), PlainPoller)


async def test_the_shared_buffer_and_its_view_are_one(poller):
    poller.buffer[:2] = b"ab"

    assert poller.view[:2] == b"ab"
    assert len(poller.view) == BUFFER_BYTES


async def test_channels_added_before_it_runs_are_served(nursery):
    poller = EpollPoller()
    left, right = tcp_pair()
    channel = socket_channel(left, poller)
    right.send(b"x")
    nursery.start_soon(poller.run)

    assert await receive_some(channel) == b"x"
    channel.close()
    right.close()


async def test_channels_can_be_closed_when_it_no_longer_runs(poller):
    left, right = tcp_pair()
    other = type(poller)()
    with trio.move_on_after(0.001):
        await other.run()
    channel = socket_channel(left, other)

    channel.close()
    right.close()


async def test_two_readers_are_a_bug(nursery):
    poller = EpollPoller()
    left, right = tcp_pair()
    channel = socket_channel(left, poller)

    async def wait():
        await channel.wait_read()

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()

    with pytest.raises(AssertionError, match="one reader"):
        await channel.wait_read()
    channel.close()
    right.close()


async def test_the_plain_one_forgets_channels_that_no_longer_ask(nursery):
    poller = PlainPoller()
    nursery.start_soon(poller.run)
    left, right = tcp_pair()
    channel = socket_channel(left, poller)
    called = []
    channel.on_gone = lambda: called.append(1)
    channel.on_gone = None
    await trio.sleep(0.15)
    right.close()
    channel.on_gone = lambda: called.append(2)
    await trio.sleep(0.25)

    assert called == [2]
    channel.close()


def test_what_is_polled_can_tell_whether_its_peer_ended():
    with pytest.raises(NotImplementedError):
        Pollable(0, EpollPoller()).peer_ended()


async def test_an_event_of_a_descriptor_that_left_is_passed_over(nursery):
    poller = EpollPoller()
    left, right = tcp_pair()
    other, peer = tcp_pair()
    channel, stays = socket_channel(left, poller), socket_channel(other, poller)
    del poller._channels[channel.fd]  # as if it had left between the event and its dispatch
    nursery.start_soon(poller.run)
    right.send(b"x")
    peer.send(b"y")

    assert await receive_some(stays) == b"y"
    assert not channel.can_read
    for sock in (left, right, other, peer):
        sock.close()
