"""The fork server itself: real processes, which do next to nothing."""

import os
import signal
import socket
import sys
from types import SimpleNamespace

import pytest
import trio

from tests.waiting import eventually
from trio_envoy.server.workers.spawner import CloseListener, Ended, Mute, ReopenFiles, Spawn, Spawned, Spawner
from trio_envoy.stats.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")


class Sockets:
    """What the fork server does with listeners, written to a pipe."""

    def __init__(self, fd):
        self.fd = fd

    def close(self):
        os.write(self.fd, b"close\n")

    def mute(self, index):
        os.write(self.fd, f"mute {index}\n".encode())

    def reopen(self):
        os.write(self.fd, b"reopen\n")

    reopen_now = reopen


class Listeners(Sockets):
    @property
    def listeners(self):
        return [Sockets(self.fd)]

    def close(self):
        """By the process that forks, and again at its end."""


def work(sock, index, serial):
    """Wait for a byte, and end with it as the exit code; a worker without one goes when the main process has gone."""
    said = sock.recv(1)
    if said == b"\xff":
        raise RuntimeError("a bug")
    return said[0] if said else index + serial


@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr("trio_envoy.server.workers.spawner._LAST_WAIT", 0.3)
    reading, writing = os.pipe()
    sockets = Listeners(writing)
    services = SimpleNamespace(log_files=sockets, stats=Store())
    server = SimpleNamespace(listeners=sockets, services=services)
    spawner = Spawner(server, sockets, work)
    os.close(writing)
    yield SimpleNamespace(spawner=spawner, told=reading)
    spawner.end()
    os.close(reading)


def spawn(spawner, serial, index=0):
    ours, theirs = socket.socketpair()
    with theirs:
        spawner.send(Spawn(serial, index), theirs.fileno())
    return ours


async def test_it_tells_who_has_begun_and_how_each_has_ended(forked):
    first, second, third = (spawn(forked.spawner, serial, 1) for serial in (7, 8, 9))
    with first, second, third, trio.fail_after(10):
        begun = [await forked.spawner.receive() for _ in range(3)]
        assert [told.serial for told in begun] == [7, 8, 9]
        assert all(isinstance(told, Spawned) for told in begun)
        first.send(b"\x03")
        assert await forked.spawner.receive() == Ended(7, 3)
        os.kill(begun[1].pid, signal.SIGKILL)
        assert await forked.spawner.receive() == Ended(8, -9)
        third.send(b"\xff")
        assert await forked.spawner.receive() == Ended(9, 70)


async def test_a_worker_has_its_own_end_alone(forked):
    first, second = (spawn(forked.spawner, serial) for serial in (1, 2))
    with trio.fail_after(10):
        for _ in range(2):
            await forked.spawner.receive()
        with second:
            first.close()  # the first one sees the end although the second one lives
            assert await forked.spawner.receive() == Ended(1, 1)
        assert await forked.spawner.receive() == Ended(2, 2)


async def test_it_does_to_sockets_and_logs_what_it_is_told(forked):
    for command in (CloseListener(0), Mute(3), ReopenFiles()):
        forked.spawner.send(command)
    os.set_blocking(forked.told, False)
    said = b""

    def more():
        nonlocal said
        try:
            said += os.read(forked.told, 100)
        except BlockingIOError:
            return False
        return said.count(b"\n") == 4

    await eventually(more)
    assert said.decode().split("\n")[:-1] == ["close", "mute 3", "reopen", "reopen"]


async def test_workers_and_it_ignore_the_signals_of_a_terminal(forked):
    with spawn(forked.spawner, 1) as sock, trio.fail_after(10):
        begun = await forked.spawner.receive()
        for pid in (forked.spawner.pid, begun.pid):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                os.kill(pid, number)
        sock.send(b"\x05")

        assert await forked.spawner.receive() == Ended(1, 5)


async def test_when_it_is_killed_the_main_process_sees_it(forked):
    os.kill(forked.spawner.pid, signal.SIGKILL)

    with trio.fail_after(10):
        assert await forked.spawner.receive() is None
    with pytest.raises(OSError, match="Broken pipe"):
        forked.spawner.send(Mute(0))


def test_workers_that_do_not_end_by_themselves_are_killed(forked):
    sock = spawn(forked.spawner, 1)  # it sees no end as long as this is open

    async def begun():
        return await forked.spawner.receive()

    pid = trio.run(begun).pid
    forked.spawner.end()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    sock.close()
