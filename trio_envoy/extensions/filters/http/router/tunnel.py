"""Upgrades and CONNECT in the router: an exchange whose bodies are bytes of another protocol, once it is accepted.

Rules, as Envoy has them (router/upstream_codec_filter.cc, router/router.cc; measured on 1.40):
1. What a client sends behind a WebSocket handshake or a CONNECT waits until the upstream has accepted it.
2. A WebSocket handshake that an HTTP/1 upstream answers with something below 400 but 101 has failed: the client gets
   the headers of the answer, and nothing more.
3. The timeouts of a WebSocket handshake run from its beginning, for its request has no end; the answer 101 ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from trio_envoy.extensions.filters.http.router.exchange import Exchange
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.body import Body
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.routing.entry import ForwardAction, Route
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.context import LbContext
from trio_envoy.util.deadlines import Cause
from trio_envoy.util.wake import Wake

if TYPE_CHECKING:
    from trio_envoy.extensions.filters.http.router import RouterFilter

_WEBSOCKET: Final = b"websocket"
_CONNECT: Final = b"CONNECT"
_OF_BODIES: Final = frozenset({b"content-length", b"content-type", b"transfer-encoding"})
_HTTP2: Final = "HTTP/2"


def tunnel_of(
    router: RouterFilter, stream: HttpStream, route: Route, action: ForwardAction, cluster: Cluster
) -> Exchange:
    """The exchange for a request that may be an upgrade or a CONNECT."""
    request, tunnels = stream.request, action.tunnels
    if request.protocol:
        return TunnelExchange(router, stream, route, action, cluster)
    if tunnels is not None and request.method in tunnels.terminated:
        return TcpExchange(router, stream, route, action, cluster)
    kind = TunnelExchange if request.method == _CONNECT else Exchange
    return kind(router, stream, route, action, cluster)


class Payload:
    """What a client sends behind the head of an upgrade or a CONNECT, held back at first.

    Args:
        source: as the codec gives it.
        on_end: called with its end, once or more often.
        held: nothing goes on until release(), and nothing but what is here already is read.
    """

    __slots__ = ("_ahead", "_held", "_on_end", "_source", "_wake")

    def __init__(self, source: Body, on_end: Callable[[], None], *, held: bool) -> None:
        self._source = source
        self._on_end = on_end
        self._held = held
        self._ahead = source.read_nowait() if held else None
        self._wake = Wake()

    @property
    def trailers(self) -> Headers | None:
        """Those of the source."""
        return self._source.trailers

    def release(self) -> None:
        """The upstream has accepted: let it through."""
        self._held = False
        self._wake.set()

    def read_nowait(self) -> bytes | None:
        if self._held:
            return None
        data, self._ahead = self._ahead or self._source.read_nowait(), None
        if data == b"":
            self._on_end()
        return data

    async def read(self) -> bytes:
        while self._held:
            await self._wake.wait()
        data, self._ahead = self._ahead, None
        if not data:
            data = await self._source.read()
        if not data:
            self._on_end()
        return data


class TunnelExchange(Exchange):
    """An upgrade, or a CONNECT that goes on to the upstream."""

    __slots__ = ("_payload", "timed_at_once")

    def __init__(
        self, router: RouterFilter, stream: HttpStream, route: Route, action: ForwardAction, cluster: Cluster
    ) -> None:
        super().__init__(router, stream, route, action, cluster)
        self.timed_at_once = stream.request.protocol.lower() == _WEBSOCKET
        self._payload: Payload | None = None

    def _take_body(self, body: Body) -> None:
        """Hold it back; keep it for another attempt if the policy wants one."""
        request = self._stream.request
        held = self.timed_at_once or request.method == _CONNECT
        if self._policy is None:
            request.body = self._payload = Payload(body, self._request_complete, held=held)
        else:
            self._payload = Payload(body, _nothing, held=held)
            super()._take_body(self._payload)
        if self.timed_at_once and self._timing.total is not None:
            self._stream.guard.arm(Cause.ROUTE_TIMEOUT, self._stream.now() + self._timing.total)

    def _request_complete(self) -> None:
        if self._complete_at != self._complete_at:
            super()._request_complete()

    def _responded(self, response: Response) -> Response | LocalReply | None:
        if self._stream.codec.request_complete:  # its end is here, though what comes before may be held back yet
            self._request_complete()
        request, status, up = self._stream.request, response.status, self._up
        assert up is not None, "it has answered"
        handshake, plain = self.timed_at_once, up.protocol != _HTTP2
        if handshake and plain and status != 101 and status < 400:
            return self._failed_handshake(response)
        answer = super()._responded(response)
        if answer is None:
            return None
        guard = self._stream.guard
        if status == 101 or (request.method == _CONNECT and 200 <= status < 300):
            guard.disarm(Cause.REQUEST)
            if handshake:
                guard.disarm(Cause.ROUTE_TIMEOUT)
            self._let_through()
        elif handshake and not plain:
            self._let_through()
        return answer

    def _let_through(self) -> None:
        if self._payload is not None:
            self._payload.release()

    def _failed_handshake(self, response: Response) -> LocalReply:
        self._release(unread=response.body is not None)
        headers = tuple([field for field in response.headers if field[0] not in _OF_BODIES])
        return LocalReply(response.status, details="websocket_handshake_unsuccessful", headers=headers)


class TcpExchange(TunnelExchange):
    """A CONNECT that ends here, or a POST that is taken as one: its payload is all that the upstream sees."""

    __slots__ = ()

    def __init__(
        self, router: RouterFilter, stream: HttpStream, route: Route, action: ForwardAction, cluster: Cluster
    ) -> None:
        super().__init__(router, stream, route, action, cluster)
        self._source = _Connections(cluster)


class _Connections:
    """TCP connections of a cluster, where an exchange looks for streams."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def take(self, _context: LbContext, _protocol: str) -> ClientStream | None:
        return None

    async def wait(self, context: LbContext, _protocol: str) -> ClientStream:
        return await self._cluster.connect(context)


def _nothing() -> None:
    pass
