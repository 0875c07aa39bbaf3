"""What a tree of processes has used: CPU time and memory, read from /proc (Linux)."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")  # s in a unit of utime and stime
_STOP = 10.0  # s from SIGTERM to SIGKILL


class BenchError(Exception):
    """Something of the benchmark did not start, failed or is not installed; the text says what."""


@attrs.frozen
class Stat:
    """The fields of /proc/<pid>/stat that count here.

    Attributes:
        parent: the pid of the parent.
        cpu: seconds in user and in system mode, all threads.
    """

    parent: int
    cpu: float


@attrs.frozen
class Memory:
    """Memory of a tree of processes, in bytes; PSS divides shared pages among those who map them."""

    rss: int
    pss: int


def parse_stat(text: str) -> Stat:
    """Read one /proc/<pid>/stat; the command in it may hold blanks and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(parent=int(fields[1]), cpu=(int(fields[11]) + int(fields[12])) * _TICK)


def parse_rollup(text: str) -> Memory:
    """Read one /proc/<pid>/smaps_rollup."""
    sizes = {}
    for line in text.splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * 1024
    return Memory(rss=sizes["Rss"], pss=sizes["Pss"])


def tree(root: int) -> dict[int, Stat]:
    """The process and all its living descendants."""
    stats: dict[int, Stat] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stats[int(entry.name)] = parse_stat((entry / "stat").read_text())
    found = {root}
    grown = True
    while grown:
        children = {pid for pid, stat in stats.items() if stat.parent in found} - found
        found |= children
        grown = bool(children)
    return {pid: stats[pid] for pid in found if pid in stats}


def cpu_seconds(root: int) -> float:
    """User and system time of a tree so far, in seconds."""
    return sum(stat.cpu for stat in tree(root).values())


def memory(root: int) -> Memory:
    """What a tree holds now."""
    parts = [parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in tree(root)]
    return Memory(rss=sum(part.rss for part in parts), pss=sum(part.pss for part in parts))


def cores() -> tuple[frozenset[int], frozenset[int]]:
    """Where the proxy runs and where everything else does; the same set twice when there is only one core."""
    mine = sorted(os.sched_getaffinity(0))
    return (frozenset(mine[:1]), frozenset(mine[1:2] or mine[:1]))


@contextlib.contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Processes that are started inside run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(
    command: Sequence[str], *, on: frozenset[int], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on these cores that is ended with the block, by its pid; what it says goes to a file."""
    with log.open("wb") as output, pinned(on):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
