from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import a_services
from tests.waiting import eventually
from trio_envoy.config.address import Address, SocketAddress
from trio_envoy.config.core import TrafficDirection
from trio_envoy.config.listener import Filter, FilterChain
from trio_envoy.config.listener import Listener as Config
from trio_envoy.extensions.filters.network.echo import Echo
from trio_envoy.net.address import IpAddress
from trio_envoy.net.services import Options
from trio_envoy.net.sockets import BindError
from trio_envoy.server.listeners import ListenerManager

ECHO = FilterChain(filters=(Filter(name="echo", typed_config=Echo()),))


def a_config(name: str, port: int = 0, chain=ECHO, **more) -> Config:
    address = Address(socket_address=SocketAddress(address="127.0.0.1", port_value=port))
    return Config(name=name, address=address, filter_chains=(chain,), **more)


@pytest.fixture
async def services(nursery):
    made = a_services(options=Options(drain_time=0.05))
    nursery.start_soon(made.poller.run)
    return made


async def is_open(address: IpAddress) -> bool:
    try:
        stream = await trio.open_tcp_stream(address.host, address.port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def test_all_are_opened_and_counted(nursery, services):
    manager = ListenerManager([a_config("a"), a_config("b")], services, None)
    stats = manager.stats
    assert (stats.listener_added, stats.total_listeners_warming, stats.total_listeners_active) == (2, 2, 0)

    await nursery.start(manager.run)
    assert (stats.total_listeners_warming, stats.total_listeners_active, stats.workers_started) == (0, 2, 1)
    assert stats.listener_create_success == 2
    assert [listener.name for listener in manager.listeners] == ["a", "b"]
    first, second = (listener.addresses[0] for listener in manager.listeners)
    assert await is_open(first)
    assert await is_open(second)
    stream = await trio.open_tcp_stream(first.host, first.port)
    await stream.send_all(b"x")
    await stream.receive_some()
    assert manager.connections() == 1
    await stream.aclose()


async def test_no_listeners_at_all(nursery, services):
    await nursery.start(ListenerManager([], services, None).run)


def test_all_faults_are_gathered():
    bad = [a_config("a", chain=FilterChain(filters=(Filter(name="x"),))), Config(name="b", filter_chains=(ECHO,))]
    manager = ListenerManager([*bad, a_config("c")], a_services(), None)

    assert [str(error) for error in manager.errors] == [
        "didn't find a registered implementation for 'x' with type URL: ''",
        "address is necessary",
    ]
    assert [listener.name for listener in manager.listeners] == ["c"]


def test_two_on_one_address_are_a_fault():
    manager = ListenerManager(
        [
            a_config("a", 8080),
            a_config("b", 8080),
            a_config("c", 8080, bind_to_port=False),
            a_config("d"),
            a_config("e"),
        ],
        a_services(),
        None,
    )

    assert [str(error) for error in manager.errors] == [
        f"error adding listener: '{name}' has duplicate address '127.0.0.1:8080' as existing listener" for name in "bc"
    ]


def test_a_second_one_of_a_name_is_ignored(caplog):
    manager = ListenerManager([a_config("a", 1), a_config("a", 2), a_config(""), a_config("")], a_services(), None)

    assert [str(listener.addresses[0]) for listener in manager.listeners][:1] == ["127.0.0.1:1"]
    assert len(manager.listeners) == 3
    assert "'a' is there already" in caplog.text


async def test_a_port_that_is_taken(services, caplog):
    taken = services.network.bind(IpAddress("127.0.0.1", 0), reuse_port=False)
    taken.listen(1)
    port = taken.getsockname()[1]
    manager = ListenerManager([a_config("fine"), a_config("a", port)], services, None)

    with pytest.raises(BindError, match=f"cannot bind '127.0.0.1:{port}': Address already in use"):
        manager.bind()
    assert f"listener 'a' failed to bind or apply socket options: cannot bind '127.0.0.1:{port}'" in caplog.text
    assert manager.stats.listener_create_failure == 1
    assert not await is_open(manager.listeners[0].addresses[0])
    taken.close()


class TestDrain:
    @pytest.fixture
    async def manager(self, nursery, services):
        inbound = a_config("in", traffic_direction=TrafficDirection.INBOUND)
        made = ListenerManager([inbound, a_config("other")], services, None)
        await nursery.start(made.run)
        return made

    async def open_ones(self, manager):
        await wait_all_tasks_blocked()
        return [listener.name for listener in manager.listeners if await is_open(listener.addresses[0])]

    async def test_all_stop_at_once(self, manager):
        manager.drain()
        manager.drain()

        assert await self.open_ones(manager) == []
        assert manager.stats.listener_stopped == 2
        assert manager.stats.total_listeners_active == 2

    async def test_inbound_only(self, manager):
        manager.drain(inbound_only=True)

        assert await self.open_ones(manager) == ["other"]
        assert manager.stats.listener_stopped == 1

    async def test_graceful_stops_after_the_drain_time(self, manager):
        manager.drain(graceful=True)
        assert all(listener._drain.started for listener in manager.listeners)
        assert await self.open_ones(manager) == ["in", "other"]

        await trio.sleep(0.1)
        assert await self.open_ones(manager) == []
        assert manager.stats.listener_stopped == 2

    async def test_skip_exit_never_stops(self, manager):
        manager.drain(graceful=True, skip_exit=True)
        await trio.sleep(0.1)

        assert all(listener._drain.started for listener in manager.listeners)
        assert await self.open_ones(manager) == ["in", "other"]
        assert manager.stats.listener_stopped == 0


async def test_a_worker_does_not_count_what_is_counted_once(nursery, services):
    manager = ListenerManager([a_config("a"), a_config("b")], services, None)
    manager.bind()
    manager.become_worker(0)
    await nursery.start(manager.run)
    manager.drain()

    stats = manager.stats
    assert (stats.total_listeners_active, stats.workers_started, stats.listener_stopped) == (0, 0, 0)
    assert stats.listener_create_success == 2


async def test_a_main_process_counts_and_tells_which_ones_were_stopped(nursery, services):
    manager = ListenerManager(
        [a_config("a"), a_config("b", traffic_direction=TrafficDirection.INBOUND)], services, None
    )
    places = []
    manager.on_stop = places.append
    await nursery.start(manager.oversee)
    assert (manager.stats.total_listeners_active, manager.stats.workers_started) == (2, 1)
    manager.drain(inbound_only=True)
    assert places == [1]
    manager.drain(graceful=True)
    await eventually(lambda: places == [1, 0])

    assert manager.stats.listener_stopped == 2
