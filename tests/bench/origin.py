"""The origins behind the proxies: nginx for HTTP/1.1, nghttpd for HTTP/2, our own for WebSocket."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import running
from tests.bench.tools import tool

GRPC_PATH = "/bench.Echo/Say"
GRPC_MESSAGE = b"\x00\x00\x00\x00\x40" + b"x" * 64  # not compressed, 64 bytes

_NGINX = """\
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type text/plain;
  sendfile on;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {place}/root;
    location = /64 {{ return 200 "{small}"; }}
    location = /upload {{  # reads all of the body before it answers; "return" alone does not
      client_body_buffer_size 2m;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:{port}/64;
    }}
    location = /1k {{ return 200 "{medium}"; }}
  }}
}}
"""


@attrs.frozen
class Origins:
    """Where they listen on 127.0.0.1.

    Attributes:
        http: /64, /1k and /1m answer with so many bytes, to GET and (but /1m) POST;
            /upload reads all of a body and answers as /64.
        h2: HTTP/2 with prior knowledge; a gRPC message and its status for each POST; None: nghttpd is not installed.
        websocket: echoes messages of at most 125 bytes.
    """

    http: int
    h2: int | None
    websocket: int


@contextlib.contextmanager
def origins(place: Path, on: frozenset[int]) -> Iterator[Origins]:
    """Start all of them on these cores.

    Raises:
        BenchError: nginx is not installed, or one did not start.
    """
    with contextlib.ExitStack() as stack:

        def start(name: str, port: int, command: list[str]) -> int:
            log = place / f"{name}.log"
            process = stack.enter_context(running(command, on=on, log=log))
            wait_until_listening(port, process, log)
            return port

        http, h2, websocket = free_port(), free_port(), free_port()
        yield Origins(
            http=start("nginx", http, _nginx(place, http)),
            h2=start("nghttpd", h2, _nghttpd(place, h2)) if shutil.which("nghttpd") else None,
            websocket=start("echo", websocket, [sys.executable, "-m", "tests.bench.websocket_echo", str(websocket)]),
        )


def _nginx(place: Path, port: int) -> list[str]:
    root = place / "root"
    root.mkdir()
    (root / "1m").write_bytes(b"x" * (1 << 20))
    config = place / "nginx.conf"
    config.write_text(_NGINX.format(place=place, port=port, small="x" * 64, medium="x" * 1024))
    return [tool("nginx"), "-c", str(config), "-p", str(place), "-e", "stderr"]


def _nghttpd(place: Path, port: int) -> list[str]:
    file = place / "grpc" / GRPC_PATH.removeprefix("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(GRPC_MESSAGE)
    root = str(place / "grpc")
    return [tool("nghttpd"), "--no-tls", "-a127.0.0.1", f"-d{root}", "--trailer=grpc-status: 0", str(port)]
