"""What the HCM and the router know of a codec: streams in, streams out; HTTP/1 and HTTP/2 alike.

Downstream a codec calls its Handler, once for each request: HTTP/1 in turn in the connection's task, HTTP/2 in a task
for each stream. Upstream a pool hands out ClientStreams.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo
from trio_envoy.util.deadlines import Cause, Guard

Inform = Callable[[int, Headers], Awaitable[None]]
"""Pass an informational (1xx) response on."""


class ServerStream(Protocol):
    """One exchange as a server codec hands it up.

    Attributes:
        request: the request, its body still flowing.
        info: made by the codec: start, protocol, connection, byte counts; the HCM fills in the rest.
        guard: deadlines of the task that serves this stream.
        responded: response headers have been written.
        request_complete: the request was read to its end. A response that begins before that closes an HTTP/1
            connection, and is counted as downstream_rq_response_before_rq_complete.
        request_here: the last byte of the request has come, read or not.
    """

    request: Request
    info: StreamInfo
    guard: Guard
    responded: bool

    @property
    def request_complete(self) -> bool:
        """See above."""

    @property
    def request_here(self) -> bool:
        """See above."""

    async def inform(self, status: int, headers: Headers) -> None:
        """Write an informational response."""

    async def respond(self, response: Response) -> None:
        """Write headers, then pull response.body to its end. What is here already rides with the headers.

        Raises:
            UpstreamFailure: from the body; nothing more can be written, the caller resets.
            OSError: the downstream connection broke.
        """

    @property
    def end_details(self) -> str:
        """Why the codec ended the stream, as %RESPONSE_CODE_DETAILS%; "" if the peer did (PEER_GONE, PEER_RESET)."""

    def reset(self) -> None:
        """End the stream at once: HTTP/1 closes the connection, HTTP/2 sends RST_STREAM. Never blocks."""

    def close_after(self) -> None:
        """After this response the connection goes: `connection: close`, or GOAWAY. Call it before respond()."""


class Handler(Protocol):
    """What a server codec calls: the HCM."""

    async def handle(self, stream: ServerStream) -> None:
        """Answer one request. Deadlines and a lost peer arrive as Cancelled through stream.guard."""

    async def interrupted(self, stream: ServerStream, cause: Cause) -> None:
        """The guard fired during handle(): answer (504, 408) if nothing was sent, else reset; finish the log."""

    def continued(self) -> None:
        """The codec has answered `expect: 100-continue` itself: count it."""

    def protocol_error(self, stream_info: StreamInfo, details: str, status: int) -> None:
        """A request that never became one (400, 431, 426 ...) was answered by the codec: count and log it.

        Also for one that broke off in its head: 408 (it was too slow), or status 0 with a flag: DC (the client left),
        DPE (malformed, HTTP/2) or DR (too large, HTTP/2).
        """


class ServerStats(Protocol):
    """What a server codec counts; a part of `http.<stat_prefix>.`."""

    downstream_cx_http1_active: int
    downstream_cx_http1_total: int
    downstream_cx_http2_active: int
    downstream_cx_http2_total: int
    downstream_cx_protocol_error: int
    downstream_cx_destroy_active_rq: int
    downstream_cx_destroy_local: int
    downstream_cx_destroy_local_active_rq: int
    downstream_cx_destroy_remote: int
    downstream_cx_destroy_remote_active_rq: int
    downstream_cx_delayed_close_timeout: int
    downstream_cx_idle_timeout: int
    downstream_cx_max_duration_reached: int
    downstream_cx_max_requests_reached: int
    downstream_rq_header_timeout: int
    downstream_rq_too_many_premature_resets: int


class ServerConnection(Protocol):
    """A downstream connection speaking one HTTP version."""

    async def serve(self) -> None:
        """Run the handler for each request until the peer, a deadline or a drain ends it; then close the channel."""

    def drain(self) -> None:
        """Finish what is under way, take no new request: `connection: close`, or GOAWAY. Never blocks."""


class ClientStream(Protocol):
    """One exchange on an upstream connection, as a pool hands it out.

    Attributes:
        connection_id: number of the upstream connection.
        connection: its addresses and TLS facts.
        protocol: "HTTP/1.1" or "HTTP/2".
        reused: the connection has served before (a failure before the first byte may be retried).
        info: where upstream_* times and byte counts go; whoever asks for the exchange sets it before, or leaves None.
    """

    connection_id: int
    connection: ConnectionInfo
    protocol: str
    reused: bool
    info: StreamInfo | None

    async def exchange(self, request: Request, tasks: trio.Nursery | None, inform: Inform | None) -> Response:
        """Send the request and return the answer with a live body.

        Args:
            request: a body of None, or one that is here whole (read_nowait gives it), goes out with the headers.
            tasks: gets the upload child if the body is not here yet; may be None if all of it is.
            inform: where 1xx go; None drops them.

        Raises:
            UpstreamFailure: with Envoy's reset reason and flag.

        Cancelled: the exchange is over; release() will close an HTTP/1 connection, reset an HTTP/2 stream.
        """

    def release(self, *, unread: bool = False) -> None:
        """Give the connection back if the exchange ended cleanly, else close or reset. Once; never blocks.

        Args:
            unread: the body of the response was not wanted: close or reset although all of it may be here.
        """
