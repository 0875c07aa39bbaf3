"""How a main process deals with workers that fail, hang or lie: they are made up here, and so is the time."""

import logging
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager

import pytest
import trio

from tests.server.workers.conftest import compiled
from trio_envoy.net.sockets import BindError
from trio_envoy.server.lifecycle import State
from trio_envoy.server.workers import fleet as module
from trio_envoy.server.workers.fleet import Fleet
from trio_envoy.server.workers.link import Link
from trio_envoy.server.workers.messages import (
    CannotListen,
    Collect,
    DrainListeners,
    HealthFailed,
    Listening,
    LogLevels,
    Open,
    Report,
    Stop,
    UseHosts,
    UseRuntime,
)
from trio_envoy.server.workers.spawner import CloseListener, Ended, Mute, ReopenFiles, Spawn, Spawned
from trio_envoy.stats.declare import Kind
from trio_envoy.stats.share import Row
from trio_envoy.util.log import COMPONENTS, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")

CONFIG = """
layered_runtime: {layers: [{name: admin, admin_layer: {}}]}
static_resources:
  clusters:
  - name: c
    type: STRICT_DNS
    circuit_breakers: {thresholds: [{max_requests: 5, track_remaining: true}]}
    load_assignment:
      cluster_name: c
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: localhost, port_value: 1}}}}]}]
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters: [{name: e, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]
"""


class FakeWorker:
    """The other end of a socket pair."""

    def __init__(self, spawn, sock):
        self.serial = spawn.serial
        self.index = spawn.index
        self.link = Link(sock)
        self.heard = []

    async def hear(self, kind):
        """The next message of this kind; what came before it is dropped."""
        while True:
            message = await self.link.receive()
            assert message is not None
            if isinstance(message, kind):
                return message

    async def listen(self):
        """As one that does well."""
        opened = await self.hear(Open)
        self.link.post(Listening())
        return opened

    def report(self, asked, *rows, connections=0):
        self.link.post(Report(asked.number, connections, list(rows), []))


class FakeSpawner:
    """Forks nothing."""

    pid = 1

    def __init__(self, server, _log, _work):
        self.commands = []
        self.ended = False
        self._begun, self.workers = trio.open_memory_channel(100)
        self._tell, self._told = trio.open_memory_channel(100)
        server.listeners.close()

    def send(self, command, *fds):
        if self.ended:
            raise BrokenPipeError(32, "Broken pipe")
        if isinstance(command, Spawn):
            self.tell(Spawned(command.serial, 1000 + command.serial))
            self.forked.append(FakeWorker(command, socket.socket(fileno=os.dup(fds[0]))))
            self._begun.send_nowait(self.forked[-1])
        else:
            self.commands.append(command)

    def tell(self, what):
        self._tell.send_nowait(what)

    def kill(self, worker, code=-9):
        worker.link.close()
        self.tell(Ended(worker.serial, code))

    def go(self):
        self.ended = True
        self._tell.close()

    async def receive(self):
        try:
            return await self._told.receive()
        except trio.EndOfChannel:
            return None

    def end(self):
        self.ended = True


class Log:
    def reopen(self):
        pass


class World:
    def __init__(self, server, fleet, tasks):
        self.server = server
        self.fleet = fleet
        self.spawner = fleet._spawner
        self.tasks = tasks
        self.killed = []

    def stat(self, name):
        return self.server.services.stats.value(name)

    async def next_worker(self):
        return await self.spawner.workers.receive()

    async def both(self):
        workers = [await self.next_worker(), await self.next_worker()]
        return sorted(workers, key=lambda worker: worker.index)

    async def opened(self):
        """Two workers that listen."""
        workers = await self.both()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self.fleet.open)
            for worker in workers:
                await worker.listen()
        return workers


@pytest.fixture
def fleet(monkeypatch):
    forked = []
    monkeypatch.setattr(FakeSpawner, "forked", forked, raising=False)
    monkeypatch.setattr(module, "Spawner", FakeSpawner)

    @asynccontextmanager
    async def make():
        server = compiled(CONFIG, concurrency=2)
        made = Fleet(server, Log())
        async with trio.open_nursery() as tasks:
            world = World(server, made, tasks)
            monkeypatch.setattr(os, "kill", lambda pid, number: world.killed.append((pid, number)))
            await tasks.start(made.run)
            server.lifecycle.live()
            yield world
            tasks.cancel_scope.cancel()

    yield make
    for worker in forked:
        worker.link.close()


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger(ROOT), "propagate", True)
    caplog.set_level("INFO", ROOT)
    return caplog


async def test_open_returns_when_all_listen(autojump_clock, fleet):
    async with fleet() as world:
        await world.opened()

        assert world.stat("workers.live") == 2
        assert world.fleet.pids() == (1, 1000, 1001)


async def test_who_cannot_listen_is_the_end_of_the_start(autojump_clock, fleet):
    async with fleet() as world:
        workers = await world.both()
        workers[1].link.post(CannotListen("cannot bind 'a': in use"))

        with pytest.raises(BindError, match="cannot bind 'a': in use"):
            await world.fleet.open()


async def test_one_that_ends_is_replaced_with_pauses_that_grow_and_the_server_is_not_ready_while_it_goes_on(
    autojump_clock, fleet, log
):
    async with fleet() as world:
        worker, _ = await world.opened()
        began = trio.current_time()
        for _ in range(12):
            world.spawner.kill(worker)
            worker = await world.next_worker()
        assert 5 < trio.current_time() - began < 60
        assert world.server.lifecycle.state is State.INITIALIZING
        assert world.stat("workers.died") == 12
        assert world.stat("workers.live") == 1
        assert world.spawner.commands == [Mute(0)] * 11

        await worker.listen()
        await trio.testing.wait_all_tasks_blocked()
        assert world.server.lifecycle.state is State.LIVE
        assert "worker 0 (pid 1000) was ended by signal 9 (Killed); another one takes its place in" in log.text


async def test_after_a_long_life_an_end_is_no_failure(autojump_clock, fleet):
    async with fleet() as world:
        worker, _ = await world.opened()
        for _ in range(4):
            await trio.sleep(11)
            began = trio.current_time()
            world.spawner.kill(worker, 3)
            worker = await world.next_worker()
            assert trio.current_time() - began < 0.15
            assert world.server.lifecycle.state is State.LIVE
            await worker.listen()

        assert world.spawner.commands == []


async def test_one_that_could_not_be_forked_is_tried_again(autojump_clock, fleet, log):
    async with fleet() as world:
        worker, _ = await world.both()
        worker.link.close()
        world.spawner.tell(Ended(worker.serial, None, "Resource temporarily unavailable"))
        again = await world.next_worker()

        assert (again.index, again.serial) == (0, 2)
        assert "could not be forked (Resource temporarily unavailable)" in log.text


async def test_what_is_in_force_is_told_to_who_comes_later(autojump_clock, fleet):
    async with fleet() as world:
        first, second = await world.opened()
        server = world.server
        server.tell(HealthFailed(True))
        server.tell(DrainListeners(graceful=True))
        server.services.runtime.modify({"a": "1"})
        assert await first.hear(HealthFailed) == HealthFailed(True)
        assert await first.hear(DrainListeners) == DrainListeners(graceful=True)
        assert (await first.hear(UseRuntime)).snapshot.get_int("a", 0) == 1
        await trio.sleep(2)
        server.tell(DrainListeners(graceful=True))
        world.spawner.kill(second)
        third = await world.next_worker()
        orders = (await third.listen()).orders

    by_kind = {type(order): order for order in orders}
    assert len(by_kind) == len(orders)
    assert by_kind[HealthFailed].failed
    assert by_kind[UseRuntime].snapshot.get_int("a", 0) == 1
    assert by_kind[LogLevels].levels.keys() == set(COMPONENTS)
    assert by_kind[UseHosts].cluster == "c"
    assert by_kind[DrainListeners].graceful
    assert 2 <= by_kind[DrainListeners].ago < 3


async def test_reports_are_asked_for_and_added_up(autojump_clock, fleet):
    async with fleet() as world:
        workers = await world.opened()

        async def answer(worker):
            asked = await worker.hear(Collect)
            rows = [Row("a.", Kind.COUNTER, "n", 5), Row("a.", Kind.GAUGE, "g", 1)]
            worker.report(asked, *rows, connections=3)

        async with trio.open_nursery() as tasks:
            for worker in workers:
                tasks.start_soon(answer, worker)
            began = trio.current_time()
            await world.server.collect()

        assert trio.current_time() - began < 1
        assert (world.stat("a.n"), world.stat("a.g"), world.fleet.connections()) == (10, 2, 6)
        world.spawner.kill(workers[0])
        await world.next_worker()
        assert (world.stat("a.n"), world.stat("a.g"), world.fleet.connections()) == (10, 1, 3)


async def test_one_that_does_not_answer_is_logged_and_counted_once_and_delays_the_admin_for_a_second(
    autojump_clock, fleet, log
):
    async with fleet() as world:
        hung, other = await world.opened()

        async def answer():
            while True:
                other.report(await other.hear(Collect))

        world.tasks.start_soon(answer)
        began = trio.current_time()
        await world.server.collect()
        assert 1 <= trio.current_time() - began < 1.5
        await trio.sleep(30)
        assert world.stat("workers.hung") == 1
        assert log.text.count("worker 0 (pid 1000) has not answered for") == 1
        assert world.server.lifecycle.state is State.LIVE

        hung.report(await hung.hear(Collect))
        await trio.sleep(20)
        assert world.stat("workers.hung") == 2  # it hangs again


async def test_one_that_sends_what_is_no_message_is_killed_and_replaced(autojump_clock, fleet, log):
    async with fleet() as world:
        worker, _ = await world.opened()
        worker.link._sock.send(b"\xff" * 8)
        await world.next_worker()

        assert world.killed == [(1000, signal.SIGKILL)]
        assert "worker 0 (pid 1000): a message of" in log.text


async def test_without_the_fork_server_nobody_is_replaced_and_the_end_of_the_last_one_is_that_of_the_server(
    autojump_clock, fleet, log
):
    async with fleet() as world:
        workers = await world.opened()
        world.spawner.go()
        await trio.testing.wait_all_tasks_blocked()
        assert world.server.lifecycle.state is State.LIVE
        workers[0].link.close()
        await trio.sleep(20)
        assert world.server.lifecycle.state is State.INITIALIZING
        assert not world.fleet.lost
        workers[1].link.close()
        await world.server.lifecycle.wait_stop()

        assert world.fleet.lost
        assert "no worker is left, and none can be started" in log.text


async def test_at_the_end_all_are_told_and_who_does_not_end_is_killed(autojump_clock, fleet, log):
    async with fleet() as world:
        good, bad = await world.opened()

        world.tasks.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await good.hear(Stop)
            good.link.close()
            await bad.hear(Stop)
            await trio.sleep(4.5)
            assert world.killed == []
            await trio.sleep(1)
    assert world.killed == [(1001, signal.SIGKILL)]
    assert "worker 1 (pid 1001) does not end: it is killed" in log.text


async def test_closed_listeners_and_logs_are_the_fork_servers_business_too(autojump_clock, fleet):
    async with fleet() as world:
        world.server.tell(DrainListeners())
        world.server.fleet.tell(module.ReopenLogs())

        assert world.spawner.commands == [CloseListener(0), ReopenFiles()]
        assert world.stat("listener_manager.listener_stopped") == 1


async def test_what_is_left_of_a_breaker_is_counted_by_the_workers_alone(autojump_clock, fleet):
    async with fleet() as world:
        server = world.server
        assert world.stat("cluster.c.circuit_breakers.default.remaining_rq") == 0
        breakers = server.clusters.clusters["c"].breakers[0]
        server.services.runtime.modify({"circuit_breakers.c.default.max_requests": "7"})

        assert breakers.requests.limit == 7  # as /clusters shows it
        breakers.divide(server.services.runtime.snapshot, 2)
        assert breakers.requests.limit == 4
