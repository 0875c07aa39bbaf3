"""The samples as live servers in this process: what docker-compose and the internet are, on free loopback ports."""

import socket
import ssl
from collections import ChainMap
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trustme

from trio_envoy.config.loader import load
from trio_envoy.demo import web
from trio_envoy.net.address import IpAddress, parse_ip_port
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


def ports_of(server):
    """The real ports of a server: of its listeners in order, then of its admin interface."""
    return [*(listener.addresses[0].port for listener in server.listeners.listeners), server.admin.address.port]


@asynccontextmanager
async def web_application(number):
    """The application behind a sidecar, in a thread."""
    application = web.Application(number, 0, 0)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(trio.to_thread.run_sync, application.serve_forever, 0.01)
        try:
            yield application
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(application.shutdown)
            application.server_close()


class Mesh:
    """The front proxy and its services on free ports of 127.0.0.1, from the files of the tutorial.

    What does not run yet is a port that is taken but where nobody listens.

    Attributes:
        public, admin: ports of the front proxy, once it runs.
        admins: ports of the sidecars' admin interfaces, by service, once they run.
        egress: port of the way from service 1 to service 2, once its sidecar runs.
        applications: sockets behind the sidecars, by service, on which nobody listens yet.
    """

    def __init__(self):
        self.public = self.admin = self.egress = 0
        self.admins = {}
        self.applications = {name: _reserved() for name in _IPS}
        self._nobody = _reserved()
        self._connects = {_address(f"{ip}:80"): _of(self._nobody) for ip in _IPS.values()}

    def close(self):
        for sock in (*self.applications.values(), self._nobody):
            sock.close()

    @asynccontextmanager
    async def front(self, kind=""):
        """The front proxy; kind is "" for v2, ".v3" for v3."""
        async with running(FRONT / f"front-envoy{kind}.yaml", self._table(self._connects)) as server:
            self.public, self.admin = ports_of(server)
            yield server

    @asynccontextmanager
    async def sidecar(self, name, application=None, kind=""):
        """The sidecar of a service; behind it is this web application, or whoever listens on `applications`."""
        behind = _of(application.socket if application else self.applications[name])
        connects = ChainMap({_address("127.0.0.1:8080"): behind}, self._connects)
        async with running(FRONT / f"{name}-envoy{kind}.yaml", self._table(connects)) as server:
            ingress, *egress, self.admins[name] = ports_of(server)
            self.egress = egress[0] if egress else self.egress
            self._connects[_address(f"{_IPS[name]}:80")] = IpAddress("127.0.0.1", ingress)
            yield server

    def _table(self, connects):
        binds = {_address(f"0.0.0.0:{port}"): IpAddress("127.0.0.1", 0) for port in (80, 8001, 9000)}
        return NetworkTable({name: (ip,) for name, ip in _IPS.items()}, binds, connects)


def _address(text):
    return parse_ip_port(text)


def _reserved():
    """A port that is taken, where connections are refused until somebody listens on it."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _of(sock):
    return IpAddress("127.0.0.1", sock.getsockname()[1])


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
