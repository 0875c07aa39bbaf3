"""Under which conditions the figures were taken: versions, and the words for docs/benchmarks.md."""

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.proxies import envoy
from tests.bench.report import tables
from tests.bench.results import Result
from tests.bench.rows import Setting

_PACKAGES = ("trio", "httptools", "h2", "attrs", "cattrs")
_DOCUMENT = """\
# Benchmarks

What a request costs here, beside the real Envoy with the same configuration in the same run. `make bench` writes this
file anew. Figures of one machine say little about another: read the **ratios** (CPU time of ours / of Envoy; below 1
ours is cheaper).

{tables}
## Conditions

* {date}; {system}, {cores} cores; {python}; {packages}.
* Run it with the Python of a distribution, which is built with optimizations: one that was built without them, as pyenv
  does unless told otherwise, costs a tenth more for each request.
* {envoy}; origin {nginx}; load by {tools}.
* Both proxies: one worker, HTTP connection manager with its default statistics, three routes, the router, an access log
  of the default format to a file, one static HTTP/1.1 cluster.
* The proxy has a core of its own; the load generator and the origin share another, so req/s of a cheap proxy is bounded
  by that core: CPU per request tells more. HTTP/1.1 requests carry five headers beside Host.
* CPU per request: user and system time of the proxy's processes / answered requests. {rounds} rounds of {seconds} s
  for each row; both proxies take turns, in the opposite order every other time, after a warm-up. Given is the median of
  the rounds (and the least and the most); the ratio is the median of the ratios of the rounds.
* TLS: the certificate is ECDSA P-256. Handshakes are full ones, one after another, without a request.
* Memory is read a second after the start; a connection's share after one request on each of 400. Time to listening is
  from exec to the first accepted connection.
"""


def document(results: Sequence[Result], setting: Setting) -> str:
    """The text of docs/benchmarks.md."""
    return _DOCUMENT.format(
        tables=tables(results),
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        system=platform.system(),
        cores=os.cpu_count(),
        python=f"{platform.python_implementation()} {platform.python_version()} ({_build()})",
        packages=", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
        envoy="Envoy " + _version([*envoy().command, "--version"], r"/(\d+\.\d+\.\d+)/"),
        nginx="nginx " + _version(["nginx", "-v"], r"nginx/([\d.]+)"),
        tools=", ".join(
            (
                "wrk " + _version(["wrk", "--version"], r"([\d.]+\d)"),
                "h2load " + _version(["h2load", "--version"], r"nghttp2/([\d.]+)"),
                "OpenSSL " + _version(["openssl", "version"], r"OpenSSL ([\d.]+)"),
            )
        ),
        rounds=setting.rounds,
        seconds=setting.seconds,
    )


def _build() -> str:
    """How the interpreter is linked, which moves our figures by a tenth and more."""
    shared = "/libpython" in Path("/proc/self/maps").read_text()
    return "as a shared library" if shared else "as one binary"


def _version(command: Sequence[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"
