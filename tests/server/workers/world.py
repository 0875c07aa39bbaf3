"""A proxy with two workers as real processes, and an upstream."""

import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import trio

from tests.commands import serving

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
CONFIG = f"""
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
stats_flush_interval: 0.2s
layered_runtime: {{layers: [{{name: admin, admin_layer: {{}}}}]}}
static_resources:
  clusters: [CLUSTERS]
  listeners:
  - name: l
    address: ADDRESS
    MORE
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": {HCM}
          stat_prefix: in
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ACCESS_LOG
              log_format:
                text_format_source: {{inline_string: "%CONNECTION_ID% %REQ(X-REQUEST-ID)% %REQ(:PATH)%\\n"}}
          http_filters: [{{name: router, typed_config: {{"@type": {ROUTER}}}}}]
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /up}}
                route: {{cluster: up, timeout: 30s}}
              - match:
                  prefix: /sometimes
                  runtime_fraction: {{default_value: {{numerator: 0}}, runtime_key: sometimes}}
                direct_response: {{status: 200}}
              - match: {{prefix: /hello}}
                direct_response: {{status: 200, body: {{inline_string: hello}}}}
  - name: nothing
    stat_prefix: nothing
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains: [{{filter_chain_match: {{destination_port: 1}}}}]
"""
ON_PORT_0 = "{socket_address: {address: 127.0.0.1, port_value: 0}}"
MANY = 64  # connections: the chance that all of them go to one of two workers is 2^-63


def cluster(port, more=""):
    host = f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}"
    assignment = f"{{cluster_name: up, endpoints: [{{lb_endpoints: [{host}]}}]}}"
    return f"{{name: up, load_assignment: {assignment}, connect_timeout: 5s{more}}}"


NOBODY = cluster(9)


class World:
    """A running proxy with two workers."""

    def __init__(self, command, access_log):
        self.command = command
        self.access_log = access_log
        self.ask = command.ask
        self.ports = {}
        self.streams = []

    async def text(self, path):
        return (await self.ask(path)).content.decode()

    async def post(self, path):
        response = await self.ask(path, method="POST")
        assert response.status == 200, response.content
        return response.content.decode()

    async def stats(self, pattern=""):
        lines = (await self.text(f"/stats?filter={pattern}")).splitlines()
        return {name: int(value) for name, _, value in (line.partition(": ") for line in lines) if value.isdigit()}

    async def stat(self, name):
        return (await self.stats(f"^{name}$")).get(name)

    def pids(self):
        """Of the workers that take connections now, by index."""
        found = {}
        for index, pid in re.findall(r"worker (\d) \(pid (\d+)\) takes", self.command.said()):
            found[int(index)] = int(pid)
        return [found[0], found[1]]

    def processes(self):
        """The fork server and the workers."""
        return descendants(self.command.process.pid)

    async def connect(self):
        return await trio.open_tcp_stream("127.0.0.1", self.ports["l"])

    async def get(self, path, stream=None, *, close=False):
        """The head of an answer, on this connection or one of its own."""
        if stream is None:
            async with await self.connect() as stream:
                return await self.get(path, stream, close=True)
        end = "connection: close\r\n" if close else ""
        await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: a\r\n{end}\r\n".encode())
        return await answer(stream)

    async def debug_lines(self):
        """Let each worker write lines at level debug to the log."""
        for _ in range(MANY):
            async with await trio.open_tcp_stream("127.0.0.1", self.ports["nothing"]) as stream:
                assert not await stream.receive_some()

    async def connections_to_both(self):
        """Connections that have had an answer, at least one to each worker."""
        streams = [await self.connect() for _ in range(MANY)]
        self.streams += streams
        for stream in streams:
            assert b"200 OK" in await self.get("/hello", stream)
        return streams


async def answer(stream):
    """What comes until the end of a head, with the body that came along; b"" when the connection is cut."""
    data = b""
    try:
        with trio.fail_after(15):
            while b"\r\n\r\n" not in data:
                more = await stream.receive_some()
                if not more:
                    return b""
                data += more
    except trio.BrokenResourceError:
        return b""
    return data


def descendants(pid):
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(child) for child in text.split()]
    return children + [below for child in children for below in descendants(child)]


def gone(pids):
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@asynccontextmanager
async def two_workers(directory, *arguments, config=CONFIG, clusters=NOBODY, address=ON_PORT_0, more=""):
    access_log = directory / "access.log"
    config = config.replace("CLUSTERS", clusters).replace("ADDRESS", address).replace("MORE", more)
    config = config.replace("ACCESS_LOG", str(access_log))
    async with serving(directory, config, "--concurrency", 2, *arguments) as command:
        world = World(command, access_log)
        ports = re.findall(r"^(\w+)::127.0.0.1:(\d+)$", await world.text("/listeners"), re.MULTILINE)
        world.ports = {name: int(port) for name, port in ports}
        try:
            yield world
        finally:
            for stream in world.streams:
                await trio.aclose_forcefully(stream)


@asynccontextmanager
async def origin(respond):
    """An upstream; `respond` is awaited with each request's bytes, and gives the answer."""

    async def serve(stream):
        async with stream:
            while data := await stream.receive_some():
                await stream.send_all(await respond(data))

    async with trio.open_nursery() as tasks:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def quietly(stream):
            with suppress(trio.BrokenResourceError):
                await serve(stream)

        tasks.start_soon(trio.serve_listeners, quietly, listeners)
        yield SimpleNamespace(port=listeners[0].socket.getsockname()[1])
        tasks.cancel_scope.cancel()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
