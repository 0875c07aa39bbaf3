"""A whole server in this process whose admin interface is asked over real sockets, as people do with curl."""

import textwrap
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlencode

import httpcore
import pytest
import trio

from trio_envoy.config.loader import load
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.server import Server
from trio_envoy.util.log import COMPONENTS, level_of, logger

ADDRESS = "address: {socket_address: {address: 127.0.0.1, port_value: 0}}"
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.fields = [(name.decode(), value.decode()) for name, value in response.headers]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.text = response.content.decode()


class Admin:
    """The admin interface of a live server."""

    def __init__(self, server, tasks):
        self.server = server
        self.tasks = tasks
        self.port = server.admin.address.port

    async def ask(self, method, path, *, headers=(), body=None, form=None):
        fields = {"host": f"127.0.0.1:{self.port}", **dict(headers)}
        if form is not None:
            body = urlencode(form).encode()
            fields.setdefault("content-type", "application/x-www-form-urlencoded")
        if body is not None:
            fields["content-length"] = str(len(body))
        target = httpcore.URL(scheme=b"http", host=b"127.0.0.1", port=self.port, target=path.encode())
        with trio.fail_after(10):
            async with httpcore.AsyncConnectionPool() as pool:
                return Answer(await pool.request(method, target, headers=fields, content=body))

    async def get(self, path, **more):
        return await self.ask("GET", path, **more)

    async def post(self, path, **more):
        return await self.ask("POST", path, **more)

    async def stat(self, name):
        answer = await self.get(f"/stats?filter=^{name}$")
        return answer.text.strip().partition(": ")[2]


def compiled(config, **options):
    """A server that has not been started."""
    loaded = load("", textwrap.dedent(config), resolve=config_class)
    return Server(loaded, CommandLine(**options))


@asynccontextmanager
async def serving(config=f"admin: {{{ADDRESS}}}", **options):
    """The server of this YAML, live; stopped at the end."""
    server = compiled(config, **options)
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        yield Admin(server, tasks)
        server.lifecycle.stop()


def cluster(name, *ports, more=""):
    """YAML of one static cluster, for one line."""
    hosts = ", ".join(
        f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}" for port in ports
    )
    assignment = f"{{cluster_name: {name}, endpoints: [{{lb_endpoints: [{hosts}]}}]}}"
    return f"{{name: {name}, type: STATIC, load_assignment: {assignment}{more}}}"


def listener(name, *, prefix="ingress", more=""):
    """YAML of one listener that answers `hello` to all, for one line."""
    route = "{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}"
    table = f"{{name: {name}_routes, virtual_hosts: [{{name: all, domains: ['*'], routes: [{route}]}}]}}"
    filters = f"[{{name: router, typed_config: {{'@type': {ROUTER}}}}}]"
    hcm = f"{{'@type': {HCM}, stat_prefix: {prefix}, route_config: {table}, http_filters: {filters}}}"
    chain = f"[{{filters: [{{name: hcm, typed_config: {hcm}}}]}}]"
    return f"{{name: {name}, {ADDRESS}, filter_chains: {chain}{more}}}"


@pytest.fixture
def admin():
    """The helpers of this file, by name."""
    return SimpleNamespace(
        serving=serving, compiled=compiled, cluster=cluster, listener=listener, address=ADDRESS, hcm=HCM
    )


@pytest.fixture(autouse=True)
def _levels_stay():
    before = {component: level_of(component) for component in COMPONENTS}
    numbers = {component: logger(component).level for component in before}
    yield
    for component, number in numbers.items():
        logger(component).setLevel(number)
