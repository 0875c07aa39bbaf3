from __future__ import annotations

import pytest

from tests.fakes import socket_channel, tcp_pair, unix_pair
from tests.net.tls_pair import Pair, client_context, server_context
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


@pytest.fixture(params=[tcp_pair, unix_pair])
def pair_of(request, poller):
    made = []

    def make(server=None, client=None, **options):
        made.append(Pair(poller, server or server_context(), client or client_context(), pair=request.param, **options))
        return made[-1]

    yield make
    for pair in made:
        pair.server.close()
        pair.client.close()


@pytest.fixture
async def shaken(pair_of):
    return await pair_of().shake()
