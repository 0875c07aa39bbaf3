"""`trio-envoy` as a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import httpcore
import trio

from tests.waiting import eventually

COMMAND = (sys.executable, "-m", "trio_envoy")
_STOP = 10.0  # s


def run(*arguments, module="trio_envoy"):
    """Run a command that ends by itself; what it gave."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


class Command:
    """A command that runs.

    Attributes:
        process: the trio.Process.
        log, out: files of its stderr and stdout.
        admin: port of its admin interface; 0 while there is none.
    """

    def __init__(self, process, log, out):
        self.process = process
        self.log = log
        self.out = out
        self.admin = 0

    def said(self):
        """What is on stderr."""
        return self.log.read_text()

    def send(self, number):
        os.kill(self.process.pid, number)

    async def wait(self):
        """Its exit code."""
        with trio.fail_after(_STOP):
            return await self.process.wait()

    async def ask(self, path, *, method="GET", port=0):
        """A request to its admin interface, or to another port."""
        async with httpcore.AsyncConnectionPool() as pool:
            with trio.fail_after(_STOP):
                return await pool.request(method, f"http://127.0.0.1:{port or self.admin}{path}")

    async def ready(self):
        """Whether it is LIVE."""
        try:
            return (await self.ask("/ready")).status == 200
        except (httpcore.ConnectError, httpcore.ReadError, httpcore.RemoteProtocolError):
            return False


@asynccontextmanager
async def started(directory, *arguments, module="trio_envoy", name="command"):
    """Start a command; it is ended with SIGTERM, or SIGKILL if it does not listen. One process serves, unless asked."""
    if module == "trio_envoy" and "--concurrency" not in arguments:
        arguments += ("--concurrency", "1")
    log, out = directory / f"{name}.log", directory / f"{name}.out"
    with log.open("wb") as stderr, out.open("wb") as stdout:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    command = Command(process, log, out)
    try:
        yield command
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                command.send(signal.SIGTERM)
                with trio.move_on_after(_STOP):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def serving(directory, config, *arguments, name="command"):
    """trio-envoy with this YAML, LIVE; the YAML has an admin interface on port 0."""
    path, address = directory / f"{name}.yaml", directory / f"{name}.admin"
    path.write_text(config)
    async with started(directory, "-c", path, "--admin-address-path", address, *arguments, name=name) as command:

        async def live():
            assert command.process.returncode is None, command.said()
            if not command.admin and address.exists() and (text := address.read_text()):
                command.admin = int(text.rpartition(":")[2])
            return bool(command.admin) and await command.ready()

        await eventually(live, within=30)
        yield command
