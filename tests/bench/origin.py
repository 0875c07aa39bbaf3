"""The origin behind both proxies: an nginx of its own, on a port of its own, with answers of three sizes."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import BenchError, running

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
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type text/plain;
  sendfile on;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {place}/root;
    location = /64 {{ return 200 "{small}"; }}
    location = /1k {{ return 200 "{medium}"; }}
  }}
}}
"""


@contextlib.contextmanager
def origin(place: Path, on: frozenset[int]) -> Iterator[int]:
    """Start it on these cores; gives its port. /64, /1k and /1m answer with so many bytes, to GET and (but /1m) POST.

    Raises:
        BenchError: nginx is not installed, or did not start.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise BenchError("no nginx")
    port = free_port()
    root = place / "root"
    root.mkdir()
    (root / "1m").write_bytes(b"x" * (1 << 20))
    config = place / "nginx.conf"
    config.write_text(_NGINX.format(place=place, port=port, small="x" * 64, medium="x" * 1024))
    log = place / "nginx.log"
    with running([nginx, "-c", str(config), "-p", str(place), "-e", str(log)], on=on, log=log) as process:
        wait_until_listening(port, process, log)
        yield port
