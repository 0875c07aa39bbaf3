"""The load generators: how wrk, h2load and openssl s_time are called, and what their output says."""

import math
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.bench.processes import BenchError, pinned

# What a browser-like client sends beside Host; the same on all HTTP/1.1 rows.
_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate",
    "X-Trace: 7f3c2a91",
    "Cookie: session=0123456789abcdef",
)
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
_POST = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\n'


@attrs.frozen
class Load:
    """What a generator counted in one run.

    Attributes:
        requests: answered requests, or handshakes.
        seconds: how long it ran.
        p50: median latency, us; None if the generator doesn't tell.
        p99: 99th percentile of the latency, us; None if the generator doesn't tell.
        errors: requests without an answer or with another status than 2xx.
    """

    requests: int
    seconds: float
    p50: float | None = None
    p99: float | None = None
    errors: int = 0


@attrs.frozen
class Wrk:
    """HTTP/1.1 keep-alive on so many connections."""

    path: str
    connections: int
    post: bool = False
    tls: bool = False

    def run(self, port: int, seconds: int, place: Path, on: frozenset[int]) -> Load:
        scheme = "https" if self.tls else "http"
        command = [_tool("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency"]
        for header in _HEADERS:
            command += ["-H", header]
        if self.post:
            script = place / "post.lua"
            script.write_text(_POST)
            command += ["-s", str(script)]
        return parse_wrk(_run([*command, f"{scheme}://127.0.0.1:{port}{self.path}"], seconds, on))


@attrs.frozen
class H2Load:
    """HTTP/2 without TLS on so many connections, with so many streams at a time on each."""

    path: str
    connections: int
    streams: int
    tls = False

    def run(self, port: int, seconds: int, place: Path, on: frozenset[int]) -> Load:
        log = place / "h2load.log"
        log.unlink(missing_ok=True)
        command = [_tool("h2load"), f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}"]
        output = _run([*command, f"--log-file={log}", f"http://127.0.0.1:{port}{self.path}"], seconds, on)
        return parse_h2load(output, log.read_text())


@attrs.frozen
class Handshakes:
    """Full TLS handshakes, one after the other, nothing sent."""

    tls = True

    def run(self, port: int, seconds: int, place: Path, on: frozenset[int]) -> Load:
        command = [_tool("openssl"), "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(seconds)]
        return parse_s_time(_run(command, seconds, on))


@attrs.frozen
class Resumptions:
    """Resumed TLS handshakes, one after the other, nothing sent; one that is not resumed is an error."""

    tls = True

    def run(self, port: int, seconds: int, place: Path, on: frozenset[int]) -> Load:
        return parse_resume(_run([sys.executable, "-m", "tests.bench.resume", str(port), str(seconds)], seconds, on))


Generator = Wrk | H2Load | Handshakes | Resumptions


def parse_wrk(output: str) -> Load:
    """Read what `wrk --latency` prints."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    if total is None:
        raise BenchError(f"wrk said {output!r}")
    percentiles = {
        mark: float(value) * _UNITS[unit] for mark, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s|m)\b", output)
    }
    errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", output))
    errors += sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    return Load(
        requests=int(total[1]),
        seconds=float(total[2]) * _UNITS[total[3]] / 1e6,
        p50=percentiles.get("50"),
        p99=percentiles.get("99"),
        errors=errors,
    )


def parse_h2load(output: str, log: str) -> Load:
    """Read what h2load prints, and its log: start, status and time (us) of each request."""
    seconds = re.search(r"finished in ([\d.]+)(us|ms|s|m),", output)
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if seconds is None or counts is None:
        raise BenchError(f"h2load said {output!r}")
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    return Load(
        requests=int(counts[1]),
        seconds=float(seconds[1]) * _UNITS[seconds[2]] / 1e6,
        p50=percentile(times, 0.50),
        p99=percentile(times, 0.99),
        errors=int(counts[2]) + int(counts[4]),
    )


def parse_s_time(output: str) -> Load:
    """Read what `openssl s_time -new` prints."""
    counts = re.search(r"(\d+) connections in (\d+) real seconds", output)
    if counts is None:
        raise BenchError(f"openssl s_time said {output!r}")
    return Load(requests=int(counts[1]), seconds=float(counts[2]))


def parse_resume(output: str) -> Load:
    """Read what tests.bench.resume prints."""
    counts = re.search(r"(\d+) handshakes in ([\d.]+) seconds, (\d+) of them resumed", output)
    if counts is None:
        raise BenchError(f"tests.bench.resume said {output!r}")
    return Load(requests=int(counts[1]), seconds=float(counts[2]), errors=int(counts[1]) - int(counts[3]))


def percentile(ordered: Sequence[int], fraction: float) -> float | None:
    """The smallest value that so many of the values don't exceed; None of nothing."""
    return float(ordered[max(0, math.ceil(len(ordered) * fraction) - 1)]) if ordered else None


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"no {name}")
    return found


def _run(command: list[str], seconds: int, on: frozenset[int]) -> str:
    with pinned(on):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed: {done.stderr or done.stdout}")
    return done.stdout
