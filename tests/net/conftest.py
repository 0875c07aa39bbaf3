from __future__ import annotations

import pytest

from tests.fakes import socket_channel, tcp_pair, unix_pair
from trio_envoy.net.poller import EpollPoller, PlainPoller


@pytest.fixture(params=[EpollPoller, PlainPoller])
async def poller(request, nursery):
    """A running poller of each kind."""
    made = request.param()
    nursery.start_soon(made.run)
    return made


@pytest.fixture(params=[tcp_pair, unix_pair])
def sockets(request):
    """A connected pair of each family."""
    left, right = request.param()
    yield left, right
    left.close()
    right.close()


@pytest.fixture
async def channel(sockets, poller):
    """A channel on one end of `sockets`."""
    return socket_channel(sockets[0], poller)


@pytest.fixture
def peer(sockets):
    """The other end, a plain socket."""
    return sockets[1]
