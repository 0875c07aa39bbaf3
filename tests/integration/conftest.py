"""A whole server in this process, from YAML, on real loopback sockets of free ports; scripted origins beside it."""

import contextlib
import textwrap
from contextlib import asynccontextmanager

import pytest
import trio

from trio_envoy.config.loader import load
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.server import Server

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_TUNNELS = (
    "http.ingress.downstream_cx_active",
    "http.ingress.downstream_cx_upgrades_active",
    "http.ingress.downstream_rq_active",
    "cluster.origin.upstream_cx_active",
    "cluster.origin.upstream_rq_active",
)


class World:
    """A running server.

    Attributes:
        server: the Server.
        port: of its first listener.
    """

    def __init__(self, server, tasks):
        self.server = server
        self.tasks = tasks
        self.port = server.listeners.listeners[0].addresses[0].port if server.listeners.listeners else 0

    def stat(self, name):
        try:
            return int(self.server.services.stats.value(name))
        except KeyError:
            return 0

    def has_tunnels(self):
        """Whether anything of an upgrade or a CONNECT is still there, on either side."""
        return any(map(self.stat, _TUNNELS))

    async def connect(self, port=0):
        return await trio.open_tcp_stream("127.0.0.1", port or self.port)

    async def ask(self, data, port=0):
        """Send bytes on a connection of its own; everything that comes back until it is closed."""
        async with await self.connect(port) as stream:
            await stream.send_all(data)
            return await read_all(stream)

    async def get(self, path="/", port=0):
        return await self.ask(f"GET {path} HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\n\r\n".encode(), port)


async def read_all(stream):
    parts = []
    try:
        while data := await stream.receive_some():
            parts.append(data)
    except trio.BrokenResourceError:
        parts.append(b"<reset>")
    return b"".join(parts)


@asynccontextmanager
async def serving(config, **options):
    """The server of this YAML, live; stopped at the end."""
    loaded = load("", textwrap.dedent(config), resolve=config_class)
    server = Server(loaded, CommandLine(**options))
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        yield World(server, tasks)
        server.lifecycle.stop()


@asynccontextmanager
async def origin(handler):
    """A TCP server that runs `handler(stream)` for each connection; gives its port."""
    async with trio.open_nursery() as tasks:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def serve(stream):
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await handler(stream)

        tasks.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        tasks.cancel_scope.cancel()


async def read_head(stream):
    """Bytes up to the end of a request's head, or less if the peer closes."""
    data = b""
    while b"\r\n\r\n" not in data and (more := await stream.receive_some()):
        data += more
    return data


async def answer_ok(stream):
    """An origin that answers every request on a connection with `ok`."""
    while await read_head(stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def proxy_config(port, *, cluster="", hcm="", listener="", route=""):
    """YAML of one listener in front of one origin."""
    return f"""
    admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
    static_resources:
      listeners:
      - name: listener_0
        address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
        {listener}
        filter_chains:
        - filters:
          - name: http
            typed_config:
              "@type": {HCM}
              stat_prefix: ingress
              {hcm}
              route_config:
                virtual_hosts:
                - name: all
                  domains: ["*"]
                  routes:
                  - match: {{prefix: /}}
                    route: {{cluster: origin{route}}}
              http_filters:
              - name: router
                typed_config: {{"@type": {ROUTER}}}
      clusters:
      - name: origin
        {cluster}
        load_assignment:
          cluster_name: origin
          endpoints:
          - lb_endpoints:
            - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
    """


@pytest.fixture
def live():
    """The helpers of this file, by name."""

    class Helpers:
        pass

    for function in (serving, origin, read_head, read_all, answer_ok, proxy_config):
        setattr(Helpers, function.__name__, staticmethod(function))
    return Helpers
