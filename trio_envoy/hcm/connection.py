"""One downstream connection under the HCM: each request from the codec to the access log.

A request walks handle() -> edge and target rules -> route -> filters -> codec, in the codec's task. Deadlines and a
lost peer cancel that task through its guard; the codec then calls interrupted(), which answers what can be.
"""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from trio_envoy.config.hcm import ServerHeaderTransformation
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.hcm.complete import complete, count_informational, count_rejected
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http import grpc
from trio_envoy.http.codec import ServerStream
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.address import IpAddress
from trio_envoy.net.filter import Connection
from trio_envoy.net.stream_info import DC, DPE, DR, SI, UMSDR, StreamInfo
from trio_envoy.routing.entry import ForwardAction
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Cause
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.hcm.manager import HttpConnectionManager

_LOG: Final = logger("http")

_FORCE_TRACE: Final = b"x-envoy-force-trace"
_APPEND_IF_ABSENT: Final = ServerHeaderTransformation.APPEND_IF_ABSENT
_TOO_SLOW: Final = 408
_BUG: Final = LocalReply(500, b"Internal Server Error", details="internal_error")
# Of a request that is complete; of others the status is 408.
_TIMEOUTS: Final = {
    Cause.STREAM_IDLE: LocalReply(504, b"stream timeout", details="stream_idle_timeout", flag=SI),
    Cause.REQUEST: LocalReply(408, b"request timeout", details="request_overall_timeout"),
    Cause.MAX_STREAM_DURATION: LocalReply(
        504, b"downstream duration timeout", details="max_duration_timeout", grpc_status=grpc.DEADLINE_EXCEEDED
    ),
    Cause.UPSTREAM_DURATION: LocalReply(
        504, b"upstream max stream duration reached", details="upstream_max_stream_duration_reached", flag=UMSDR
    ),
}
_EARLY_TIMEOUTS: Final = {cause: attrs.evolve(reply, status=408) for cause, reply in _TIMEOUTS.items()}


class HcmConnection:
    """The codec's handler for one connection."""

    def __init__(self, manager: HttpConnectionManager, connection: Connection) -> None:
        self._manager = manager
        self._connection = connection
        self._peer = manager.edge.facts(connection.info)
        local = connection.info.local
        self._target = manager.target_for(local.port if isinstance(local, IpAddress) else 0)
        self._streams: dict[ServerStream, HttpStream] = {}
        self._draining = False
        self._received = self._sent = 0  # bytes that are counted
        self._now = trio.lowlevel.current_clock().current_time

    async def serve(self) -> None:
        """Choose the codec, run it to the end of the connection, count the connection."""
        stats = self._manager.stats
        started = trio.current_time()
        self._opened()
        try:
            codec = await self._manager.codecs.open(self._connection, self)
            if codec is not None:
                self._connection.drain = codec.drain
                await codec.serve()
        finally:
            self._connection.channel.close()
            self._connection.drain = None  # else the codec, the connection and we hold each other
            for stream in tuple(self._streams.values()):  # cut short by its guard and by the server at once
                self._abort(stream, DC, "downstream_local_disconnect")
            self._closed()
            stats.downstream_cx_length_ms.record((trio.current_time() - started) * 1000)

    def _opened(self) -> None:
        stats = self._manager.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        self._manager.services.stats.count_late(self._count_bytes)
        if self._connection.info.tls is not None:
            stats.downstream_cx_ssl_total += 1
            stats.downstream_cx_ssl_active += 1

    def _closed(self) -> None:
        stats, info = self._manager.stats, self._connection.info
        stats.downstream_cx_active -= 1
        stats.downstream_cx_destroy += 1
        self._manager.services.stats.count_no_longer(self._count_bytes)
        if info.tls is not None:
            stats.downstream_cx_ssl_active -= 1

    def _count_bytes(self) -> None:
        """What was moved since the last time: a connection may live for days."""
        stats, info = self._manager.stats, self._connection.info
        received, sent = info.bytes_received, info.bytes_sent
        stats.downstream_cx_rx_bytes_total += received - self._received
        stats.downstream_cx_tx_bytes_total += sent - self._sent
        self._received, self._sent = received, sent

    def handle(self, codec: ServerStream) -> Coroutine[Any, Any, None]:
        """Answer one request; see http.codec.Handler."""
        manager = self._manager
        info, guard = codec.info, codec.guard
        stats = manager.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        if info.protocol == "HTTP/2":
            stats.downstream_rq_http2_total += 1
        else:
            stats.downstream_rq_http1_total += 1
        stream = HttpStream(codec.request, info, None, guard, codec, now=self._now)
        self._streams[codec] = stream
        if manager.codec_options.proxy_100_continue:
            stream.inform = partial(self._inform, codec)
        start = info.start
        if manager.stream_idle_timeout is not None:
            guard.activity = start
            guard.arm_idle(manager.stream_idle_timeout)
        if manager.request_timeout is not None and codec.request.body is not None:
            guard.arm(Cause.REQUEST, start + manager.request_timeout)
        if manager.max_stream_duration is not None:
            guard.arm(Cause.MAX_STREAM_DURATION, start + manager.max_stream_duration)
        if manager.early_entries is not None:
            manager.early_entries.begun(stream)
        here = codec.request.body is None or codec.request_here
        return self._exchange(stream) if here else self._exchange_with_tasks(stream)

    async def _exchange_with_tasks(self, stream: HttpStream) -> None:
        """With a nursery for the upload of the request's body."""
        async with trio.open_nursery() as tasks:
            stream.tasks = tasks
            await self._exchange(stream)
            tasks.cancel_scope.cancel()  # an upload that nobody wants any more

    async def _exchange(self, stream: HttpStream) -> None:
        try:
            refused = self._admit(stream)
            chain = stream.chain or self._manager.chain
            if refused is not None:
                response = await chain.encode(stream, refused)
            elif chain.bare:
                terminal = chain.terminal  # called as a method it would be looked up in the class first
                answer = await terminal(stream)
                response = chain.response(stream, answer) if isinstance(answer, LocalReply) else answer
            else:
                response = await chain.run(stream)
            self._dress(stream, response)
            await stream.codec.respond(response)
        except trio.Cancelled:
            if stream.guard.fired is None:  # the server stops; a fired guard comes back as interrupted()
                self._abort(stream, DC, "downstream_local_disconnect")
            raise
        except UpstreamFailure as failure:
            reason = failure.reason.replace(" ", "_")
            self._abort(stream, failure.flag, f"upstream_reset_after_response_started{{{reason}}}")
        except RemoteProtocolError as error:
            await self._broken(stream, error)
        except OSError:
            self._abort(stream, DC, "downstream_remote_disconnect")
        except Exception:
            self._log_bug()
            await self._fail(stream)
        else:
            self._finish(stream)

    def _admit(self, stream: HttpStream) -> LocalReply | None:
        """Make the request what filters may rely on, and find its route; or say why not."""
        manager, request, info = self._manager, stream.request, stream.info
        refused = self._target.apply(request)
        if refused is not None:
            return refused
        refused = manager.edge.apply(request, info, self._peer)
        if refused is not None:
            manager.stats.downstream_rq_rejected_via_ip_detection += 1
            return refused
        if request.protocol and (refused := manager.upgrades.misplaced(request)) is not None:
            return refused
        match = manager.match
        route = match(request, info)
        stream.route = stream.first_route = route
        if route is not None:
            info.route_name = route.name
            info.virtual_host = route.virtual_host.name
            if isinstance(route.action, ForwardAction):
                info.upstream_cluster = route.action.cluster
        if manager.early_entries is not None:
            manager.early_entries.routed(stream)
        if request.protocol or request.method == b"CONNECT":
            return manager.upgrades.admit(stream)
        return None

    def _count_early_response(self) -> None:
        """A response before the end of its request: the rest of that is not wanted, which Envoy counts as a reset."""
        stats = self._manager.stats
        stats.downstream_rq_response_before_rq_complete += 1
        stats.downstream_rq_rx_reset += 1

    def _dress(self, stream: HttpStream, response: Response) -> None:
        """What every response has, whoever made it."""
        manager = self._manager
        headers = response.headers
        first = headers.first
        if b"date" not in first:
            headers.add(b"date", clock.http_date())
        if manager.overwrite_server or (manager.server_header is _APPEND_IF_ABSENT and b"server" not in first):
            headers.set(b"server", manager.server_name)
        info, codec = stream.info, stream.codec
        if manager.id_in_response or (info.internal and _FORCE_TRACE in stream.request.headers.first):
            self._show_request_id(stream, headers)
        if manager.via:
            headers.append(b"via", manager.via, b", ")
        if manager.proxy_status is not None:
            manager.proxy_status.tell(info, response)
        draining = manager.draining
        if draining():
            self._drain(codec)
        if info.request_end != info.request_end and not codec.request_complete:
            manager.stats.downstream_rq_response_before_rq_complete += 1
        info.status = response.status
        stream.response = response
        if manager.early_entries is not None:
            manager.early_entries.answered(stream)

    async def _respond(self, stream: HttpStream, response: Response) -> None:
        self._dress(stream, response)
        await stream.codec.respond(response)

    @staticmethod
    def _show_request_id(stream: HttpStream, headers: Headers) -> None:
        request_id = stream.request.headers.get(b"x-request-id")
        if request_id is not None:
            headers.set(b"x-request-id", request_id)

    def _drain(self, codec: ServerStream) -> None:
        if not self._draining:
            self._draining = True
            self._manager.stats.downstream_cx_drain_close += 1
        codec.close_after()

    async def _inform(self, codec: ServerStream, status: int, headers: Headers) -> None:
        """An informational response of the upstream goes on to the client."""
        if not codec.responded:
            count_informational(self._manager)
            await codec.inform(status, headers)

    async def _broken(self, stream: HttpStream, error: RemoteProtocolError) -> None:
        """The client broke the framing of the request's body: 400 if nothing was sent, else the stream is reset."""
        self._manager.stats.downstream_cx_protocol_error += 1
        self._connection.info.flags |= DPE
        if stream.codec.responded:
            self._abort(stream, DPE, error.details)
            return
        reply = LocalReply(error.status, error.text.encode(), details=error.details, flag=DPE, close=True)
        await self._exchange_reply(stream, reply)

    async def _fail(self, stream: HttpStream) -> None:
        """Our own bug: 500 if nothing was sent, else the stream is reset."""
        if stream.codec.responded:
            self._abort(stream, 0, "internal_error")
            return
        await self._write(stream, self._manager.local_response(stream, _BUG))

    def _log_bug(self) -> None:
        _LOG.exception("a request of connection %d met a bug", self._connection.info.id)

    async def interrupted(self, codec: ServerStream, cause: Cause) -> None:
        """A deadline passed, or the peer has gone; see http.codec.Handler."""
        stream = self._streams.get(codec)
        if stream is None:
            codec.reset()
            return
        stats = self._manager.stats
        if cause is Cause.PEER_GONE:
            self._abort(stream, DC, codec.end_details or "downstream_remote_disconnect")
            return
        if cause is Cause.PEER_RESET:
            flag = stream.info.flags & DPE or DR  # DPE: the codec gave it up because the client broke a rule
            self._abort(stream, flag, codec.end_details or "http2.remote_reset")
            return
        if cause is Cause.STREAM_FLUSH:  # all is written, as far as Envoy is concerned
            codec.reset()
            self._end(stream)
            return
        if cause is Cause.STREAM_IDLE:
            stats.downstream_rq_idle_timeout += 1
        elif cause is Cause.REQUEST:
            stats.downstream_rq_timeout += 1
        elif cause is Cause.MAX_STREAM_DURATION:
            stats.downstream_rq_max_duration_reached += 1
        if cause is Cause.ROUTE_TIMEOUT:
            reply = stream.timeout_reply
        else:
            reply = (_TIMEOUTS if codec.request_complete else _EARLY_TIMEOUTS).get(cause)
        if reply is None:
            self._abort(stream, 0, codec.end_details or "downstream_local_disconnect")
            return
        if codec.responded:
            self._abort(stream, reply.flag, reply.details)
            return
        await self._exchange_reply(stream, reply)

    async def _exchange_reply(self, stream: HttpStream, reply: LocalReply) -> None:
        """Our own answer instead of the one that does not come; the encoders see it."""
        try:
            response = await (stream.chain or self._manager.chain).encode(stream, reply)
        except trio.Cancelled:
            self._abort(stream, DC, "downstream_local_disconnect")
            raise
        except Exception:
            self._log_bug()
            response = self._manager.local_response(stream, _BUG)
        await self._write(stream, response)

    async def _write(self, stream: HttpStream, response: Response) -> None:
        """Write an answer of ours, and finish the stream whatever happens."""
        try:
            await self._respond(stream, response)
        except trio.Cancelled:
            self._abort(stream, DC, "downstream_local_disconnect")
            raise
        except OSError:
            self._abort(stream, DC, "downstream_remote_disconnect")
        else:
            self._finish(stream)

    def _abort(self, stream: HttpStream, flag: int, details: str) -> None:
        """End without (the rest of) a response."""
        stream.info.flags |= flag
        stream.info.details = details
        stats, codec = self._manager.stats, stream.codec
        if not (stream.info.flags & (DC | DR | DPE) or codec.end_details):  # else it was not we who wanted it
            stats.downstream_rq_tx_reset += 1
        stats.downstream_rq_rx_reset += 1
        codec.reset()
        self._end(stream)

    def _finish(self, stream: HttpStream) -> None:
        info = stream.info
        if info.request_end != info.request_end and not stream.codec.request_complete:
            self._manager.stats.downstream_rq_rx_reset += 1  # nobody wants the rest
        self._end(stream)

    def _end(self, stream: HttpStream) -> None:
        stream.guard.disarm_exchange()
        del self._streams[stream.codec]
        info = stream.info
        if info.end != info.end:  # the codec has not said it
            now = self._now
            info.end = now()
        complete(self._manager, stream)

    def continued(self) -> None:
        """The codec has said 100 Continue; see http.codec.Handler."""
        count_informational(self._manager)

    def protocol_error(self, info: StreamInfo, details: str, status: int) -> None:
        """What the codec has answered itself (400, 426, 431, 501), or, with status 0, what ended without an answer."""
        stats = self._manager.stats
        if status:
            self._count_early_response()
        else:
            stats.downstream_rq_rx_reset += 1
        if status and status != _TOO_SLOW:
            stats.downstream_cx_protocol_error += 1
            info.flags |= DPE
            self._connection.info.flags |= DPE
        info.details = details
        info.status = info.status or status  # local_reply_config may have made it another
        count_rejected(self._manager, info)
