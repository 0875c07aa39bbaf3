"""Stand-ins for what tests do not want for real.

Network: connected pairs of sockets, channels on them, and the Services of a process that was never configured.
HTTP: streams without a codec, filter chains without a listener, a cluster whose upstreams do what a test says.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random
from typing import ClassVar

import attrs
import trio

from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.errors import UpstreamFailure
from trio_envoy.hcm.context import FilterContext
from trio_envoy.hcm.filter import HttpFilterChain, Slot
from trio_envoy.hcm.local_reply import to_response
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.body import BytesBody
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.address import IpAddress, from_sockaddr
from trio_envoy.net.filter import Connection
from trio_envoy.net.poller import Poller, make_poller
from trio_envoy.net.services import Options, Services
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.sockets import Network, NetworkTable
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo
from trio_envoy.registry import Category, register
from trio_envoy.routing.entry import ForwardAction, Route, VirtualHost
from trio_envoy.routing.overrides import NO_OVERRIDES
from trio_envoy.runtime import Runtime, RuntimeStats
from trio_envoy.stats.store import Store
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.context import NoHealthyUpstream
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.pool.keeper import Keeper
from trio_envoy.util.deadlines import Guard, Timers
from trio_envoy.util.logfile import LogFiles

_connection_id = count().__next__


@attrs.frozen(kw_only=True, eq=False)
class Scripted:
    """Config of a network, listener or transport "extension" that does what a test says."""

    __proto__: ClassVar[str] = "test.Scripted"

    serve: Callable[[Connection], Awaitable[None]] | None = None
    on_connection: Callable[[Connection], Awaitable[None]] | None = None
    on_accept: Callable[[Connection], Awaitable[None]] | None = None
    accept: Callable[..., Awaitable[object]] | None = None
    handshake_failed: Callable[..., None] | None = None


@register(Category.NETWORK_FILTER, "test.scripted", config=Scripted)
@register(Category.LISTENER_FILTER, "test.scripted", config=Scripted)
@register(Category.TRANSPORT_SOCKET_DOWNSTREAM, "test.scripted", config=Scripted)
def _scripted(config: Scripted, context: object) -> object:
    made = type("Scripted", (), {})()
    made.context = context
    for name in ("serve", "on_connection", "on_accept", "accept", "handshake_failed"):
        does = getattr(config, name)
        if does is not None:
            setattr(made, name, does)
    return made


def a_services(*, table: NetworkTable | None = None, options: Options | None = None) -> Services:
    """Everything fresh; timers, poller and log files do not run."""
    store = Store()
    return Services(
        stats=store,
        runtime=Runtime(None, store.scope("runtime.").block(RuntimeStats)),
        timers=Timers(),
        poller=make_poller(),
        network=Network(table),
        random=Random(1),
        log_files=LogFiles(),
        options=options or Options(),
    )


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback, non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    for end in (left, right):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return left, right


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a Unix domain stream, non-blocking."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    return left, right


def socket_channel(sock: socket.socket, poller: Poller) -> SocketChannel:
    """A channel with the addresses of its socket."""
    local = from_sockaddr(sock.family, sock.getsockname())
    remote = from_sockaddr(sock.family, sock.getpeername())
    return SocketChannel(sock, poller, ConnectionInfo(_connection_id(), local, remote))


async def receive_some(channel, limit: int = 65536) -> bytes:
    """The next bytes of a channel, b"" at its end; waits as codecs do."""
    buffer = bytearray(limit)
    while (received := channel.recv_into(buffer)) is None:
        await channel.wait_read()
    return bytes(buffer[:received])


async def receive_exactly(channel, size: int) -> bytes:
    """The next `size` bytes of a channel; fewer when it ends before."""
    parts = []
    while size and (part := await receive_some(channel, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


async def receive_all(channel) -> bytes:
    """What a channel carries until its end."""
    parts = []
    while part := await receive_some(channel):
        parts.append(part)
        await trio.lowlevel.checkpoint()
    return b"".join(parts)


def headers(fields=()):
    """Headers from a dict or pairs, of str or bytes."""
    pairs = fields.items() if isinstance(fields, dict) else fields
    return Headers([tuple(part if isinstance(part, bytes) else part.encode() for part in pair) for pair in pairs])


class Pieces:
    """A body of bytes, pauses (seconds) and an exception at its end."""

    def __init__(self, *pieces, trailers=None):
        self._pieces = deque(pieces)
        self.trailers = trailers
        self.read_bytes = 0

    def read_nowait(self):
        if not self._pieces:
            return b""
        if isinstance(self._pieces[0], bytes):
            data = self._pieces.popleft()
            self.read_bytes += len(data)
            return data
        return None

    async def read(self):
        while (data := self.read_nowait()) is None:
            piece = self._pieces[0]
            if isinstance(piece, Exception):
                raise piece
            await trio.sleep(piece)
            self._pieces.popleft()
        return data


class FakeCodec:
    """The codec's side of one exchange: what is written is kept.

    Attributes:
        informed: (status, headers) of informational responses.
        response, sent: what was given to respond(), and the body as far as it was pulled.
        fault: raised by respond() instead of writing.
        closes, was_reset, finished: what has become of the exchange.
    """

    end_details = ""

    def __init__(self, request, info, guard, *, complete=None):
        self.request = request
        self.info = info
        self.guard = guard
        self.responded = self.finished = self.closes = self.was_reset = False
        self.informed = []
        self.response = None
        self.sent = b""
        self.fault = None
        self._complete = complete
        self._body = request.body
        if request.body is None:
            info.request_end = info.start

    @property
    def request_complete(self):
        if self._complete is not None:
            return self._complete
        return self._body is None or self._body.read_nowait() == b""

    @property
    def request_here(self):
        return self._body is None

    async def inform(self, status, headers):
        self.informed.append((status, list(headers)))

    async def respond(self, response):
        if self.fault is not None:
            raise self.fault
        self.response = response
        self.responded = True
        while response.body is not None and (data := await response.body.read()):
            self.sent += data
        self.finished = True

    def reset(self):
        self.was_reset = True

    def close_after(self):
        self.closes = True


LOCAL = IpAddress("127.0.0.1", 8000)
PEER = IpAddress("10.0.0.9", 4000)
HOST = IpAddress("10.0.0.1", 80)


def a_stream(
    method=b"GET",
    path=b"/",
    fields=(),
    body=None,
    *,
    scheme=b"http",
    route=None,
    tasks=None,
    guard=None,
    complete=None,
    protocol="",
    upgrade=b"",
):
    """One request without a connection; its codec is a FakeCodec."""
    request = Request(method, b"a.com", path, scheme, headers(fields), body, upgrade)
    try:
        start = trio.current_time()
    except RuntimeError:
        start = 0.0  # not in trio
    info = StreamInfo(start, 0.0, ConnectionInfo(_connection_id(), LOCAL, PEER))
    info.protocol = protocol or "HTTP/1.1"
    guard = guard or Guard(Timers())
    codec = FakeCodec(request, info, guard, complete=complete)
    return HttpStream(request, info, route, guard, codec, first_route=route, tasks=tasks)


def a_route(action=None, *, host=None, overrides=NO_OVERRIDES, **fields):
    """A compiled route, to cluster `c` unless there is another action."""
    fields = {"request_headers": None, "response_headers": None, "body_buffer_limit": None, **fields}
    return Route("r", host or VirtualHost("v"), overrides, action or ForwardAction("c"), **fields)


async def echo_terminal(stream):
    """A terminal filter's answer(): 200 with the method as its body."""
    return Response(200, Headers(), BytesBody(stream.request.method))


def a_chain(*filters, terminal=echo_terminal, **slot):
    """A filter chain of (name, filter) pairs; keywords go into each Slot."""
    return HttpFilterChain([Slot(name, each, **slot) for name, each in filters], terminal, to_response)


class ScriptedStream:
    """An upstream exchange that does what its script says (http.codec.ClientStream).

    Args:
        owner: gets `released` and what was sent.
        script: the response, an UpstreamFailure to raise, or None to never answer; pauses and (status, headers) of
            informational responses may come before it.
    """

    protocol = "HTTP/1.1"
    reused = False

    def __init__(self, owner, script):
        self.owner = owner
        self.script = deque(script)
        self.connection = ConnectionInfo(_connection_id(), LOCAL, HOST)
        self.connection_id = self.connection.id
        self.info = None
        self._upload_scope = trio.CancelScope()

    async def exchange(self, request, tasks, inform):
        sent = [request.method, request.authority, request.path, dict(request.headers), b""]
        self.owner.sent.append(sent)
        if request.body is not None:
            while data := request.body.read_nowait():
                sent[-1] += data
            if data is None:
                tasks.start_soon(self._upload, request.body, sent)
        await trio.lowlevel.checkpoint()
        while self.script:
            act = self.script.popleft()
            if isinstance(act, Exception):
                raise act
            if isinstance(act, Response):
                self.info.upstream_first_byte_received = trio.current_time()
                return act
            if isinstance(act, tuple):
                await inform(act[0], headers(act[1]))
            else:
                await trio.sleep(act)
        await trio.sleep_forever()
        raise AssertionError("sleep_forever returned")

    async def _upload(self, body, sent):
        with self._upload_scope:
            while data := await body.read():
                sent[-1] += data

    def release(self, *, unread=False):
        self._upload_scope.cancel()
        self.owner.released.append(unread)
        self.owner.breakers[0].requests.give()


class ScriptedCluster(Cluster):
    """A cluster whose streams come from a script; what is counted is counted for real.

    Args:
        services: of the test.
        scripts: of each attempt in turn: see ScriptedStream; an UpstreamFailure or a pause alone, or before a list, is
            what becomes of the attempt to connect; a Host is chosen instead of the usual one.
        config: fields of the cluster.

    Attributes:
        host: the only one.
        idle: there is a connection already.
        sent: [method, authority, path, headers, body] of each attempt that had a connection.
        released: for each stream that was given back: whether its body was unread.
        priorities, protocols: of each attempt.
    """

    def __init__(self, services, *scripts, **config):
        super().__init__(ClusterConfig(name="c", **config), services, Keeper())
        self.host = Host(HOST)
        self.idle = False
        self.scripts = deque(scripts)
        self.sent = []
        self.released = []
        self.priorities = []
        self.protocols = []

    def take(self, context, protocol="HTTP/1.1"):
        context.host = self.host if self.idle else None
        if not self.idle:
            return None
        self.breakers[0].requests.take()
        return ScriptedStream(self, self.scripts.popleft())

    async def connect(self, context):
        return await self.wait(context, "TCP")

    async def wait(self, context, protocol="HTTP/1.1"):
        self.protocols.append(protocol)
        script = self.scripts.popleft()
        self.priorities.append(context.priority)
        if isinstance(script, NoHealthyUpstream):
            context.host = None
            raise script
        context.host = self.host
        if isinstance(script, Host):
            context.host = script
            script = self.scripts.popleft()
        if isinstance(script, float):
            await trio.sleep(script)
            script = self.scripts.popleft()
        if isinstance(script, UpstreamFailure):
            await trio.lowlevel.checkpoint()
            raise script
        self.breakers[0].requests.take()
        return ScriptedStream(self, script)


class Clusters(dict):
    """A ClusterManager as far as filters look at it: clusters by name."""

    @property
    def names(self):
        return set(self)


def a_filter_context(services=None, clusters=(), **fields):
    """What factories of filters get."""
    services = services or a_services()
    return FilterContext(
        **{
            "services": services,
            "clusters": Clusters({cluster.name: cluster for cluster in clusters}),
            "scope": services.stats.scope(""),
            "listener_scope": services.stats.scope("listener.127.0.0.1_0."),
            "listener_name": "l",
            "buffer_limit_bytes": 1 << 20,
            "direction": "UNSPECIFIED",
            "draining": lambda: False,
            "stat_prefix": "ingress",
            **fields,
        }
    )


def counted(services, prefix=""):
    """All counters and gauges below a prefix that are not 0: name -> value."""
    return {
        name.removeprefix(prefix): value
        for name, _, value in services.stats
        if name.startswith(prefix) and isinstance(value, int) and value
    }
