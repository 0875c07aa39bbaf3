"""A worker in this very process: what the main process says to it comes over a socket pair, as always."""

import gc
import os
import random
import socket
import stat
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from tests.server.workers.conftest import compiled
from tests.waiting import eventually
from trio_envoy.server.workers.hosts import HostBook
from trio_envoy.server.workers.link import Link
from trio_envoy.server.workers.messages import (
    CannotListen,
    Collect,
    DrainListeners,
    HealthFailed,
    HostFailed,
    Listening,
    Open,
    ReopenLogs,
    Stop,
    UseHosts,
)
from trio_envoy.server.workers.worker import Worker
from trio_envoy.upstream.host import HealthFlag

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")

CONFIG = """
static_resources:
  clusters:
  - name: c
    circuit_breakers: {thresholds: [{max_connections: 5, max_retries: 1, track_remaining: true}]}
    load_assignment:
      cluster_name: c
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]
    health_checks:
    - {timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}
  listeners:
  - name: l
    stat_prefix: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters: [{name: e, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]
"""


class Log:
    reopened = 0

    def reopen(self):
        self.reopened += 1


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


@asynccontextmanager
async def a_worker(*, index=1, serial=5, bind=True, config=CONFIG):
    server = compiled(config, concurrency=2)
    if bind:
        server.listeners.bind(2)
    ours, theirs = socket.socketpair()
    log = Log()
    worker = Worker(server, log, HostBook(server.clusters.clusters), theirs, index, serial)
    server.services.stats.clear()  # as the fork server does
    worker._become()
    link = Link(ours)
    async with trio.open_nursery() as tasks:
        ended = trio.Event()

        async def run():
            await worker._run()
            ended.set()

        tasks.start_soon(run)
        yield SimpleNamespace(server=server, link=link, worker=worker, log=log, ended=ended)
        tasks.cancel_scope.cancel()
    link.close()
    worker._link.close()
    server.listeners.close()


async def opened(world, *orders):
    world.link.post(Open(orders))
    assert isinstance(await world.link.receive(), Listening)


async def report(world, number=1):
    world.link.post(Collect(number))
    found = await world.link.receive()
    assert found.number == number
    return {row.prefix + row.name: row.value for row in found.stats}, found


async def test_it_listens_when_it_is_told_to_and_reports_what_it_has_counted_since():
    async with a_worker() as world:
        await opened(world)
        port = world.server.listeners.listeners[0].addresses[0].port
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"

        stats, whole = await report(world)
        assert stats["listener.l.downstream_cx_total"] == 1
        assert stats["listener.l.worker_1.downstream_cx_total"] == 1
        assert stats["listener_manager.listener_create_success"] == 1
        assert whole.connections == 1
        assert "listener_manager.total_listeners_active" not in stats
        assert "cluster_manager.cluster_added" not in stats
        await stream.aclose()
        await eventually(lambda: not world.server.listeners.connections())
        stats, whole = await report(world, 2)
        assert stats["listener.l.downstream_cx_active"] == 0
        assert whole.connections == 0


async def test_it_ends_when_it_is_told_to():
    async with a_worker() as world:
        await opened(world)
        world.link.post(Stop())

        await world.ended.wait()


@pytest.mark.parametrize("is_open", [True, False])
async def test_it_ends_when_the_main_process_has_gone(is_open):
    async with a_worker() as world:
        if is_open:
            await opened(world)
        world.link.close()

        await world.ended.wait()


async def test_it_says_why_it_cannot_listen():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = CONFIG.replace("port_value: 0", f"port_value: {taken.getsockname()[1]}")
        async with a_worker(bind=False, config=config) as world:
            world.link.post(Open(()))
            told = await world.link.receive()
            await world.ended.wait()

    assert isinstance(told, CannotListen)
    assert "Address already in use" in told.reason
    assert world.worker._code == 1


async def test_orders_are_obeyed_before_it_listens_and_later():
    async with a_worker() as world:
        await opened(world, HealthFailed(True))
        assert world.server.services.health_failed
        world.link.post(UseHosts("c", (0,), (0,), {}))
        world.link.post(ReopenLogs())
        world.link.post(HealthFailed(False))
        await report(world)

        assert not world.server.services.health_failed
        assert world.log.reopened == 1
        assert world.server.clusters.clusters["c"].hosts.hosts[0].healthy


async def test_listeners_that_were_drained_before_it_came_stay_closed():
    async with a_worker() as world:
        await opened(world, DrainListeners())

        stats, _ = await report(world)
        assert "listener_manager.listener_stopped" not in stats  # that is counted once, by the main process
        assert world.server.listeners.listeners[0].stopped


async def test_a_host_that_asks_to_be_taken_out_is_told_of():
    async with a_worker() as world:
        cluster = world.server.clusters.clusters["c"]
        await opened(world, UseHosts("c", (0,), (0,), {}))
        cluster.fail_health(cluster.hosts.hosts[0])

        assert await world.link.receive() == HostFailed("c", 0)
        assert cluster.hosts.hosts[0].healthy  # until the main process says otherwise
        world.link.post(UseHosts("c", (0,), (int(HealthFlag.FAILED_ACTIVE_HC),), {}))
        await report(world)
        assert not cluster.hosts.hosts[0].healthy


async def test_it_shares_with_the_others_only_what_is_to_be_shared():
    async with a_worker() as first, a_worker(index=0, serial=0) as second:
        for world in (first, second):
            await opened(world)
        one, other = first.server.services, second.server.services

        assert one.random.random() != other.random.random()
        assert isinstance(one.random, random.Random)
        assert one.connection_id() == 5_000_000_000
        assert other.connection_id() == 0
        breakers = first.server.clusters.clusters["c"].breakers[0]
        assert (breakers.connections.limit, breakers.retries.limit) == (3, 1)
        stats, _ = await report(first)
        assert stats["cluster.c.circuit_breakers.default.remaining_cx"] == 3
        of_the_server = [name for name in stats if name.startswith("server.")]
        assert [name for name in of_the_server if "watchdog" not in name] == []  # its watchdog is its own
        sockets = first.server.listeners.listeners[0]._of_workers
        assert [len(group) for group in sockets] == [1]
        assert all(stat.S_ISSOCK(os.fstat(group[0].fileno()).st_mode) for group in sockets)
