"""A listener whose sockets several workers share."""

import os
import socket

import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import a_services
from trio_envoy.config.address import Address, SocketAddress
from trio_envoy.config.listener import Filter, FilterChain
from trio_envoy.config.listener import Listener as Config
from trio_envoy.extensions.filters.network.echo import Echo
from trio_envoy.net.services import Options
from trio_envoy.runtime import Entry
from trio_envoy.server.listener import Listener

ECHO = FilterChain(filters=(Filter(name="echo", typed_config=Echo()),))
ANYWHERE = Address(socket_address=SocketAddress(address="127.0.0.1", port_value=0))


def a_listener(services, **config) -> Listener:
    return Listener(Config(name="l", address=ANYWHERE, filter_chains=(ECHO,), **config), services, None)


async def ask(address, data=b"hello") -> bytes:
    async with await trio.open_tcp_stream(address.host, address.port) as stream:
        await stream.send_all(data)
        await stream.send_eof()
        return b"".join([part async for part in stream])


async def test_each_worker_has_its_socket_and_counts_as_itself(nursery):
    services = a_services(options=Options(concurrency=2))
    nursery.start_soon(services.poller.run)
    main, second = a_listener(services, stat_prefix="x"), a_listener(services, stat_prefix="x")
    main.bind(2)
    ((first_socket, second_socket),) = main._of_workers
    second._sockets, second._of_workers = [first_socket], [[socket.socket(fileno=os.dup(second_socket.fileno()))]]
    second.addresses = main.addresses
    main.become_worker(1)
    assert first_socket.fileno() == -1
    await nursery.start(main.run)

    assert await ask(main.addresses[0]) == b"hello"
    assert services.stats.value("listener.x.worker_1.downstream_cx_total") == 1
    assert services.stats.value("listener.x.worker_0.downstream_cx_total") == 0
    second.close()


async def test_what_a_muted_worker_had_goes_to_the_others(nursery):
    services = a_services(options=Options(concurrency=2))
    nursery.start_soon(services.poller.run)
    listener = a_listener(services)
    listener.bind(2)
    ((first, second),) = listener._of_workers
    listener.mute(0)  # it had not listened: nothing happens
    for sock in (first, second):
        sock.listen()
    listener.mute(0)
    for _ in range(20):
        (await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port)).socket.close()

    for _ in range(20):
        second.accept()[0].close()
    listener.close()


async def test_a_limit_of_connections_is_shared_by_the_workers(nursery):
    services = a_services(options=Options(concurrency=2))
    nursery.start_soon(services.poller.run)
    services.runtime.snapshot.entries["envoy.resource_limits.listener.l.connection_limit"] = Entry("3", 3.0)
    listener = a_listener(services)
    await nursery.start(listener.run)
    streams = [await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port) for _ in range(3)]
    await wait_all_tasks_blocked(0.05)

    assert listener.connections() == 2
    assert listener.stats.downstream_cx_overflow == 1
    for stream in streams:
        await stream.aclose()


async def test_a_main_process_stops_a_listener_when_its_drain_is_over(nursery, autojump_clock):
    stopped = []
    config = Config(name="l", address=ANYWHERE, filter_chains=(ECHO,))
    listener = Listener(config, a_services(), None, lambda: stopped.append(True))
    nursery.start_soon(listener.oversee)
    listener.drain(10)
    await trio.sleep(9.9)
    assert not stopped
    await trio.sleep(0.2)

    assert stopped == [True]
    assert listener.stopped
