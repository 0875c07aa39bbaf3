"""Under which conditions the figures were taken: versions, and the words for docs/benchmarks.md."""

import datetime as dt
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import tables
from tests.bench.results import Result
from tests.bench.setting import Setting
from tests.bench.tools import tool, version

_PACKAGES = ("trio", "httptools", "attrs", "cattrs")
_DOCUMENT = """\
# Benchmarks

What a request costs here, beside the real Envoy with the same configuration and beside other proxies, in one run.
`make bench` writes this file anew. Figures of one machine say little about another: read the **ratios** (CPU time of
ours / of Envoy; below 1 ours is cheaper). "must" and "reach for" are the goals of the project for the ratio, or, where
they have a unit, for the figure itself.

{tables}
## Conditions

* {date}; {system}, {cores} cores ({model}); {python}; {packages}. The run took {minutes} minutes.
* Run it with the Python of a distribution, which is built with optimizations: one that was built without them, as pyenv
  does unless told otherwise, costs a tenth more for each request.
* It needs wrk, h2load and nghttpd (both of nghttp2), nginx, openssl, and haproxy if that is to take part (on Debian
  `wrk`, `nghttp2-client`, `nghttp2-server`, `nginx-light`, `openssl`, `haproxy`). The Python proxies are installed by
  pip at the first run, in the virtual environment's folder `peers`; one that cannot be is left out, with a note.
* Envoy {envoy}; {others}; origins nginx {nginx} (HTTP/1.1), nghttpd {nghttpd} (HTTP/2) and one of our own (WebSocket);
  load by wrk {wrk}, h2load {h2load}, OpenSSL {openssl}, and our own for WebSocket, resumptions and the open loop.
* Envoy and ours: one worker, HTTP connection manager with its default statistics, three routes, the router, an access
  log of the default format to a file, one static cluster.
* The others, as configured in tests/bench/peers: one process. nginx and haproxy write an access log; the Python ones
  don't, to their favour. Each Python one has a virtual environment of its own, of the same interpreter as ours.
  proxy.py has a thread for each connection, for its other mode dies under load.
* The proxy has a core of its own; the load generator and the origin share another, so req/s of a cheap proxy is bounded
  by that core: CPU per request tells more. HTTP/1.1 requests carry five headers beside Host.
* CPU per request: user and system time of the proxy's whole tree of processes / answered requests. {rounds} rounds of
  {seconds} s for each row; the proxies take turns, in the opposite order every other time, after a warm-up. Given is
  the median of the rounds (and the least and the most); the ratio is the median of the ratios of the rounds.
* gRPC: posts of a message of 64 bytes, answered with one and a trailer, as h2load and nghttpd can do it.
* TLS: the certificate is ECDSA P-256. Handshakes are one after another; full ones are without a request.
* WebSocket: a request is an echo, that is a message there and one back.
* Open loop: latency counts from when the request was due, not from when a connection was free for it.
* Memory is read a second after the start; a connection's share after one request on each of 10,000. Time to listening
  is from exec to the first accepted connection.
"""


def document(results: Sequence[Result], setting: Setting, minutes: float) -> str:
    """The text of docs/benchmarks.md."""
    return _DOCUMENT.format(
        tables=tables(results),
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        system=platform.system(),
        cores=os.cpu_count(),
        model=_processor(),
        python=f"{platform.python_implementation()} {platform.python_version()} ({_build()})",
        packages=", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
        minutes=round(minutes),
        envoy=version([*setting.envoy.command, "--version"], r"/(\d+\.\d+\.\d+)/"),
        others=", ".join(f"{peer.name} {peer.version}" for peer in setting.others),
        nginx=version([tool("nginx"), "-v"]),
        nghttpd=version(["nghttpd", "--version"]) if setting.origins.h2 else "(not there)",
        wrk=version(["wrk", "--version"]),
        h2load=version(["h2load", "--version"]),
        openssl=version(["openssl", "version"]),
        rounds=setting.rounds,
        seconds=setting.seconds,
    )


def _processor() -> str:
    """What Linux says of the first one."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _build() -> str:
    """How the interpreter is linked, which moves our figures by a tenth and more."""
    shared = "/libpython" in Path("/proc/self/maps").read_text()
    return "as a shared library" if shared else "as one binary"
