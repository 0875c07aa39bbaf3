"""The other proxies of the comparison; their configurations are in the directory `peers`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from tests.bench.configuration import Front
from tests.bench.processes import BenchError
from tests.bench.tools import tool, version
from tests.bench.venvs import environment


@attrs.frozen(eq=False)
class Peer:
    """Another proxy.

    Attributes:
        version: of the program.
    """

    name: str
    serve: Callable[[Path, Front], list[str]]
    version: str
    env = None


# How many times dearer than ours each should be at least.
GOALS = {"proxy.py": 5.0, "mitmproxy": 15.0, "aiohttp": 2.5}

_FILES = Path(__file__).parent / "peers"
_PROXY_PY = "--threaded --num-workers 1 --num-acceptors 1 --log-level e --enable-reverse-proxy"


def peers() -> tuple[Sequence[Peer], Mapping[str, str]]:
    """Those that are there; and for the rest why not, by name."""
    found, absent = [], {}
    for name, make in _PEERS.items():
        try:
            found.append(make(name))
        except BenchError as error:
            absent[name] = str(error)
    return found, absent


def nginx(name: str) -> Peer:
    """One process, keep-alive to the origin, buffered access log."""
    program = tool("nginx")

    def serve(place: Path, front: Front) -> list[str]:
        return [program, "-c", str(_filled("nginx.conf", place, front)), "-p", str(place), "-e", "stderr"]

    return Peer(name, serve, version([program, "-v"]))


def haproxy(name: str) -> Peer:
    """One process with one thread, access log."""
    program = tool("haproxy")

    def serve(place: Path, front: Front) -> list[str]:
        return [program, "-db", "-f", str(_filled("haproxy.cfg", place, front))]

    return Peer(name, serve, version([program, "-v"]))


def proxy_py(name: str) -> Peer:
    """A thread for each connection: its other mode dies under load."""
    python = environment(_FILES / "proxy_py.txt") / "python"

    def serve(place: Path, front: Front) -> list[str]:
        plugin = ["env", f"PYTHONPATH={_FILES}", f"BENCH_ORIGIN={front.origin}"]
        program = [str(python), "-m", "proxy", *_PROXY_PY.split(), "--plugins", "proxy_py_routes.Routes"]
        return [*plugin, *program, "--hostname", "127.0.0.1", "--port", str(front.port), "--data-dir", str(place)]

    return Peer(name, serve, _pinned("proxy_py.txt"))


def mitmproxy(name: str) -> Peer:
    """Its reverse mode, silent, streaming what is large."""
    program = environment(_FILES / "mitmproxy.txt") / "mitmdump"

    def serve(place: Path, front: Front) -> list[str]:
        ports = ["--mode", f"reverse:http://127.0.0.1:{front.origin}", "--listen-port", str(front.port)]
        options = ["--set", f"confdir={place}", "--set", "stream_large_bodies=64k"]
        return [str(program), "-q", "--listen-host", "127.0.0.1", *ports, *options]

    return Peer(name, serve, _pinned("mitmproxy.txt"))


def aiohttp(name: str) -> Peer:
    """One process of peers/aiohttp_proxy.py."""
    python = environment(_FILES / "aiohttp.txt") / "python"

    def serve(place: Path, front: Front) -> list[str]:
        return [str(python), str(_FILES / "aiohttp_proxy.py"), str(front.port), str(front.origin)]

    return Peer(name, serve, _pinned("aiohttp.txt"))


_PEERS: Mapping[str, Callable[[str], Peer]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "proxy.py": proxy_py,
    "mitmproxy": mitmproxy,
    "aiohttp": aiohttp,
}


def _filled(name: str, place: Path, front: Front) -> Path:
    """A configuration with its ports and its directory put in."""
    text = (_FILES / name).read_text()
    for mark, value in (("@PLACE@", place), ("@PORT@", front.port), ("@ORIGIN@", front.origin)):
        text = text.replace(mark, str(value))
    path = place / name
    path.write_text(text)
    return path


def _pinned(requirements: str) -> str:
    """The version that a file of one requirement pins."""
    return (_FILES / requirements).read_text().strip().partition("==")[2]
