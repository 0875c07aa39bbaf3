"""The load generators: how wrk, h2load, openssl s_time and our own are called, and what their output says."""

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.bench.processes import BenchError, pinned
from tests.bench.tools import tool

# What a browser-like client sends beside Host; the same on all HTTP/1.1 rows.
HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate",
    "X-Trace: 7f3c2a91",
    "Cookie: session=0123456789abcdef",
)
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
_POST = 'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\n'


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
class Target:
    """Where a load goes.

    Attributes:
        port: of the proxy, on 127.0.0.1.
        place: a directory for the files of the load.
        tls: whether to speak TLS.
    """

    port: int
    place: Path
    tls: bool = False


@attrs.frozen
class Wrk:
    """HTTP/1.1 on so many connections.

    Attributes:
        path: what is asked for.
        connections: how many at a time, each with one request at a time.
        post: bytes of the body that is posted; 0: GET.
        close: a new connection for each request.
        host: the Host header; empty: the address.
    """

    path: str
    connections: int
    post: int = 0
    close: bool = False
    host: str = ""

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        scheme = "https" if target.tls else "http"
        command = [tool("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency"]
        headers = [
            *HEADERS,
            *(["Connection: close"] if self.close else []),
            *([f"Host: {self.host}"] if self.host else []),
        ]
        for header in headers:
            command += ["-H", header]
        if self.post:
            script = target.place / "post.lua"
            script.write_text(_POST.format(size=self.post))
            command += ["-s", str(script)]
        return parse_wrk(_run([*command, f"{scheme}://127.0.0.1:{target.port}{self.path}"], seconds, on))


@attrs.frozen
class H2Load:
    """HTTP/2 without TLS on so many connections, with so many streams at a time on each."""

    path: str
    connections: int
    streams: int
    grpc: bytes = b""  # a message that is posted as gRPC does; empty: GET

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        log = target.place / "h2load.log"
        log.unlink(missing_ok=True)
        command = [tool("h2load"), f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}", f"--log-file={log}"]
        if self.grpc:
            message = target.place / "message"
            message.write_bytes(self.grpc)
            command += [f"--data={message}", "-H", "content-type: application/grpc", "-H", "te: trailers"]
        output = _run([*command, f"http://127.0.0.1:{target.port}{self.path}"], seconds, on)
        return parse_h2load(output, log.read_text())


@attrs.frozen
class Handshakes:
    """Full TLS handshakes, one after the other, nothing sent."""

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        command = [tool("openssl"), "s_time", "-connect", f"127.0.0.1:{target.port}", "-new", "-time", str(seconds)]
        return parse_s_time(_run(command, seconds, on))


@attrs.frozen
class Resumptions:
    """Resumed TLS handshakes, one after the other, nothing sent; one that is not resumed is an error."""

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        return parse_resume(_python(seconds, on, "resume", target.port, seconds))


@attrs.frozen
class WebSocket:
    """Echoes of 125 bytes on so many connections, one at a time on each."""

    connections: int

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        return parse_summary(_python(seconds, on, "websocket_load", target.port, seconds, self.connections))


@attrs.frozen
class Paced:
    """So many HTTP/1.1 requests a second, whether the answers come or not."""

    rate: int

    def run(self, target: Target, seconds: int, on: frozenset[int]) -> Load:
        return parse_summary(_python(seconds, on, "paced", target.port, seconds, self.rate))


Generator = Wrk | H2Load | Handshakes | Resumptions | WebSocket | Paced


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


def summary(times: Sequence[float], seconds: float) -> str:
    """What our own generators print: of times and their whole in seconds."""
    ordered = sorted(round(time * 1e6) for time in times)
    middle, late = percentile(ordered, 0.50), percentile(ordered, 0.99)
    return f"{len(times)} answers in {seconds:.3f} seconds, p50 {middle} us, p99 {late} us"


def parse_summary(output: str) -> Load:
    """Read a summary."""
    found = re.search(r"(\d+) answers in ([\d.]+) seconds, p50 ([\d.]+) us, p99 ([\d.]+) us", output)
    if found is None:
        raise BenchError(f"a load generator said {output!r}")
    return Load(requests=int(found[1]), seconds=float(found[2]), p50=float(found[3]), p99=float(found[4]))


def percentile(ordered: Sequence[int], fraction: float) -> float | None:
    """The smallest value that so many of the values don't exceed; None of nothing."""
    return float(ordered[max(0, math.ceil(len(ordered) * fraction) - 1)]) if ordered else None


def _run(command: list[str], seconds: int, on: frozenset[int]) -> str:
    with pinned(on):
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 30, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{Path(command[0]).name} did not end") from error
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed: {done.stderr or done.stdout}")
    return done.stdout


def _python(seconds: int, on: frozenset[int], module: str, *arguments: int) -> str:
    return _run([sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)], seconds, on)
