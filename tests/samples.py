"""The samples as live servers in this process: what docker-compose and the internet are, on free loopback ports."""

import socket
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trustme

from trio_envoy.config.loader import load
from trio_envoy.demo import web
from trio_envoy.net.sockets import Network, NetworkTable
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.server import Server

SAMPLES = Path(__file__).parent.parent / "sample_configs"
FRONT = SAMPLES / "front_proxy"
_IPS = {"service1": "172.18.0.3", "service2": "172.18.0.4"}


@asynccontextmanager
async def running(path, table):
    """The server of a sample, live."""
    line = CommandLine(config_path=str(path))
    server = Server(load(str(path), "", resolve=config_class), line, network=Network(table))
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        yield server
        server.lifecycle.stop()


def free_ports(count):
    """Different ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@asynccontextmanager
async def web_application(number, egress):
    """The application behind a sidecar, in a thread; gives its port."""
    application = web.Application(number, 0, egress)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(trio.to_thread.run_sync, application.serve_forever, 0.01)
        try:
            yield application.server_address[1]
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(application.shutdown)
            application.server_close()


@attrs.frozen
class Mesh:
    """Where everything of the front proxy listens on 127.0.0.1; nothing runs yet.

    Attributes:
        public, admin: of the front proxy.
        ingress, admins: of the sidecars, by service.
        applications: behind the sidecars, by service.
        egress: of service 1.
    """

    public: int
    admin: int
    ingress: dict[str, int]
    admins: dict[str, int]
    applications: dict[str, int]
    egress: int

    @classmethod
    def free(cls):
        """All of it on free ports."""
        ports = iter(free_ports(9))
        return cls(next(ports), next(ports), *[{name: next(ports) for name in _IPS} for _ in range(3)], next(ports))

    def table(self, binds, connects=None):
        mesh = {f"{ip}:80": f"127.0.0.1:{self.ingress[name]}" for name, ip in _IPS.items()}
        binds = {f"0.0.0.0:{port}": f"127.0.0.1:{real}" for port, real in binds.items()}
        return NetworkTable.of({name: [ip] for name, ip in _IPS.items()}, binds, mesh | (connects or {}))

    def front(self, kind=""):
        """The front proxy; kind is "" for v2, ".v3" for v3."""
        return running(FRONT / f"front-envoy{kind}.yaml", self.table({80: self.public, 8001: self.admin}))

    def sidecar(self, name, kind=""):
        """The sidecar of a service."""
        binds = {80: self.ingress[name], 8001: self.admins[name], 9000: self.egress}
        table = self.table(binds, {"127.0.0.1:8080": f"127.0.0.1:{self.applications[name]}"})
        return running(FRONT / f"{name}-envoy{kind}.yaml", table)


class Google:
    """Stands in for Google on loopback: TLS for www.google.com, one page, and it looks closely at who asks.

    Attributes:
        page: what it answers.
        port: where it listens.
        asked: (server name of the handshake, request line, Host header) of each request.
    """

    page = b"<!doctype html><title>Google</title>"

    def __init__(self):
        self.asked = []
        self.port = 0
        self._name = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("www.google.com").configure_cert(self._context)
        self._context.sni_callback = self._note

    def _note(self, _connection, name, _context):
        self._name = name

    async def _serve(self, stream):
        tls = trio.SSLStream(stream, self._context, server_side=True)
        data = b""
        while b"\r\n\r\n" not in data and (more := await tls.receive_some()):
            data += more
        line, *fields = data.decode().split("\r\n")
        host = next((field.partition(": ")[2] for field in fields if field.lower().startswith("host:")), None)
        self.asked.append((self._name, line, host))
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(self.page)}\r\nconnection: close\r\n\r\n"
        await tls.send_all(head.encode() + self.page)
        await stream.aclose()

    @asynccontextmanager
    async def open(self):
        """Listening."""
        async with trio.open_nursery() as tasks:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            tasks.start_soon(trio.serve_listeners, self._serve, [listener])
            yield
            tasks.cancel_scope.cancel()
