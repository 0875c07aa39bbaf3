"""The proxy under test: its configuration, what it says of itself, and what its processes hold."""

import os
import re

import attrs
import trio

from tests.bench.processes import cpu_seconds, memory, tree
from tests.commands import Command
from tests.soak.names import NAME
from tests.soak.record import Record, Round

_TYPE = "type.googleapis.com/envoy.extensions"
_REST = 15.0  # s that the proxy has to come to rest once its clients have gone
_AT_REST = re.compile(r"(_active|_buffered|pending_send_bytes)$")
# Our own question is under way while the answer is written; not of exchanges; listeners and clusters are not traffic.
_OTHERS = re.compile(
    r"^(http\.admin|listener\.admin|listener_manager|cluster_manager|runtime|server)\.|overrides_active|lb_subsets"
)
_BUGS = re.compile(r"Traceback|\]\[(error|critical)\]|met a bug|Exception")


@attrs.define
class Ports:
    """Where the upstreams listen."""

    http1: int = 0
    http2: int = 0
    grpc: int = 0
    websocket: int = 0
    tls: int = 0
    restarting: int = 0
    moving: int = 0
    names: int = 0
    faulty: int = 0
    faulty2: int = 0
    bulk: int = 0


def config(ports: Ports, key: str = "", chain: str = "", *, secure: bool = True) -> str:
    """YAML: a plain listener and one with TLS, the same routes, a cluster per upstream.

    Args:
        ports: where the upstreams listen; those that are not there are left at 0.
        key, chain: PEM files of the listener with TLS.
        secure: whether there is a listener with TLS.
    """
    http2 = "explicit_http_config: {http2_protocol_options: {}}"
    http1 = "explicit_http_config: {http_protocol_options: {}}"
    tls = (
        f"transport_socket: {{name: tls, typed_config: {{'@type': {_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext, "
        "sni: localhost}}"
    )
    clusters = [
        _cluster("http1", ports.http1, http1),
        _cluster("http2", ports.http2, http2),
        _cluster("grpc", ports.grpc, http2),
        _cluster("websocket", ports.websocket, http1),
        _cluster("tls", ports.tls, http1, tls),
        _cluster("restarting", ports.restarting, http1),
        _cluster("faulty", ports.faulty, http1),
        _cluster("faulty2", ports.faulty2, http2),
        _cluster("bulk", ports.bulk, http1),
        _cluster(
            "moving",
            ports.moving,
            http1,
            "type: STRICT_DNS, dns_refresh_rate: 0.3s, dns_lookup_family: V4_ONLY, dns_resolvers: "
            f"[{{socket_address: {{address: 127.0.0.1, port_value: {ports.names}, protocol: UDP}}}}]",
            host=NAME.rstrip("."),
        ),
    ]
    transport = (
        "transport_socket: {name: tls, typed_config: "
        f"{{'@type': {_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext, "
        "common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: [{certificate_chain: "
        f"{{filename: {chain}}}, private_key: {{filename: {key}}}}}]}}}}}}"
    )
    return f"""
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - {_listener("plain", "")}
{"  - " + _listener("secure", transport) if secure else ""}
  clusters:
{chr(10).join(f"  - {one}" for one in clusters)}
"""


def _cluster(name: str, port: int, protocol: str, more: str = "", host: str = "127.0.0.1") -> str:
    address = f"{{socket_address: {{address: {host}, port_value: {port}}}}}"
    return (
        f"{{name: {name}, connect_timeout: 5s, load_assignment: {{cluster_name: {name}, endpoints: "
        f"[{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]}}, {more}{', ' if more else ''}"
        f"typed_extension_protocol_options: {{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
        f"{{'@type': {_TYPE}.upstreams.http.v3.HttpProtocolOptions, "
        f"common_http_protocol_options: {{idle_timeout: 1s}}, {protocol}}}}}}}"
    )


def _listener(name: str, more: str) -> str:
    names = ("http1", "http2", "tls", "restarting", "moving", "faulty", "faulty2")
    routes = [f"{{match: {{prefix: /{one}/}}, route: {{cluster: {one}, timeout: 20s}}}}" for one in names]
    routes.append("{match: {prefix: /test.Service/}, route: {cluster: grpc, timeout: 60s}}")
    routes.append("{match: {prefix: /bulk/}, route: {cluster: bulk, timeout: 0s}}")
    routes.append("{match: {prefix: /chat}, route: {cluster: websocket, timeout: 0s}}")
    hcm = (
        f"'@type': {_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: {name}, "
        "stream_idle_timeout: 10s, request_headers_timeout: 10s, common_http_protocol_options: {idle_timeout: 10s}, "
        "upgrade_configs: [{upgrade_type: websocket}], "
        f"route_config: {{virtual_hosts: [{{name: all, domains: ['*'], routes: [{', '.join(routes)}]}}]}}, "
        f"http_filters: [{{name: router, typed_config: {{'@type': {_TYPE}.filters.http.router.v3.Router}}}}]"
    )
    return (
        f"{{name: {name}, address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}, filter_chains: "
        f"[{{filters: [{{name: http, typed_config: {{{hcm}}}}}]{', ' if more else ''}{more}}}]}}"
    )


@attrs.define
class Proxy:
    """The running proxy.

    Attributes:
        plain, secure: ports of its listeners.
    """

    command: Command
    plain: int = 0
    secure: int = 0

    async def find_ports(self) -> None:
        """Ask it where it listens."""
        text = (await self.command.ask("/listeners")).content.decode()
        ports = dict(re.findall(r"(\w+)::127\.0\.0\.1:(\d+)", text))
        self.plain, self.secure = int(ports["plain"]), int(ports.get("secure", 0))

    async def stats(self) -> dict[str, int]:
        """Counters and gauges by their names."""
        text = (await self.command.ask("/stats")).content.decode()
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    async def rest(self, record: Record) -> Round:
        """Wait until nothing is under way; what it holds then."""
        busy: dict[str, int] = {}
        with trio.move_on_after(_REST):
            while busy := _busy(await self.stats()):  # noqa: ASYNC110 - another process tells nothing
                await trio.sleep(0.2)
        for name, value in busy.items():
            record.fault("gauge", f"{name} is {value} though nothing is under way")
        await trio.sleep(0.2)  # sockets are closed a turn after they are no longer counted
        pid = self.command.process.pid
        return Round(memory(pid).rss, _descriptors(pid), cpu_seconds(pid))

    def read_log(self, record: Record) -> None:
        """Whatever it says of its own faults is one of ours."""
        lines = self.command.said().splitlines()
        for number, line in enumerate(lines):
            if _BUGS.search(line):
                record.fault("log", "\n    ".join(lines[number : number + 30]))
        record.done["lines of log"] = len(lines)


def _busy(stats: dict[str, int]) -> dict[str, int]:
    return {
        name: value
        for name, value in stats.items()
        if value and _AT_REST.search(name) and not _OTHERS.search(name) and ".worker_" not in name
    }


def _descriptors(pid: int) -> int:
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in tree(pid))
