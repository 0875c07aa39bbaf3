from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import a_services, receive_all, receive_some
from trio_envoy.extensions.filters.network.echo import EchoFilter
from trio_envoy.net.channel import send_all
from trio_envoy.net.filter import Connection
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.util.deadlines import Guard


@pytest.fixture
async def client(nursery):
    """The client's end of an echoed connection."""
    services = a_services()
    near, far = memory_channel_pair()
    connection = Connection(far, far.info, Guard(services.timers))
    nursery.start_soon(EchoFilter(services.poller).serve, connection)
    near.echoed = connection
    return near


async def test_what_comes_goes_back(autojump_clock, client):
    client.send(b"one")
    assert await receive_some(client) == b"one"
    client.send(b"two")
    client.shutdown_write()

    assert await receive_all(client) == b"two"
    await wait_all_tasks_blocked()
    assert client.echoed.channel.closed


async def test_a_client_that_does_not_read_is_not_read_from(autojump_clock, client, nursery):
    total = 1_000_000
    nursery.start_soon(send_all, client, bytes(total))
    await wait_all_tasks_blocked()
    assert client.echoed.info.bytes_received <= 3 * 65536

    received = 0
    while received < total:
        received += len(await receive_some(client))
    assert received == total


async def test_cancelled_it_closes(autojump_clock):
    services = a_services()
    near, far = memory_channel_pair()
    with trio.move_on_after(1):
        await EchoFilter(services.poller).serve(Connection(far, far.info, Guard(services.timers)))

    assert await receive_all(near) == b""
