"""Signals to this very process; tests/test_cli.py sends them to whole commands."""

import os
import signal
import sys

import pytest
import trio

from tests.waiting import eventually
from trio_envoy.config.loader import load
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.lifecycle import State
from trio_envoy.server.server import Server
from trio_envoy.server.signals import run_until_signal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


class Log:
    """Counts how often it was opened anew."""

    def __init__(self):
        self.reopened = 0

    def reopen(self):
        self.reopened += 1


@pytest.fixture
def server():
    return Server(load("", "{}", resolve=config_class), CommandLine())


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
async def test_these_end_it(server, number):
    with trio.fail_after(5):
        async with trio.open_nursery() as tasks:
            tasks.start_soon(run_until_signal, server, Log())
            await eventually(lambda: server.lifecycle.state is State.LIVE)
            os.kill(os.getpid(), getattr(signal, number))


async def test_these_do_not(server):
    log = Log()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(run_until_signal, server, log)
        await eventually(lambda: server.lifecycle.state is State.LIVE)

        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: log.reopened)

        assert (log.reopened, server.lifecycle.state) == (1, State.LIVE)
        server.lifecycle.stop()


async def test_it_ends_when_the_server_does(server):
    with trio.fail_after(5):
        async with trio.open_nursery() as tasks:
            tasks.start_soon(run_until_signal, server, Log())
            await eventually(lambda: server.lifecycle.state is State.LIVE)
            server.lifecycle.stop()
