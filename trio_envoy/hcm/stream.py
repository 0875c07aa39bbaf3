"""HttpStream: one request and its answer, as filters, header operators and access logs see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from trio_envoy.http.codec import Inform, ServerStream
from trio_envoy.http.message import LocalReply, Request, Response
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.entry import Route
from trio_envoy.util.deadlines import Guard

if TYPE_CHECKING:
    from trio_envoy.hcm.filter import HttpFilterChain


class HttpStream:
    """One request and its answer.

    Attributes:
        request: filters may change it until the router has sent it.
        info: times, bytes, flags, details.
        route: the compiled route, or None; a filter may assign another.
        first_route: the route that the request began with: it settles which filters run.
        guard: deadlines.
        codec: the codec's side, for inform() and reset().
        tasks: nursery that lives as long as the exchange; None when all of the request is here.
        response: set before encoders run.
        local: a filter's own per-request state, keyed by the filter itself; None until one has some.
        on_complete: called, in order, when all is over; never block, never raise.
        timeout_reply: what to answer when ROUTE_TIMEOUT cuts the exchange; set by the router, who arms it.
        inform: where informational responses go; None: nobody wants them.
        now: trio.current_time, without the detour where the HCM knows one.
        chain: the filters of its own that an upgrade has; None: those of the HCM.
    """

    __slots__ = (
        "chain",
        "codec",
        "first_route",
        "guard",
        "info",
        "inform",
        "local",
        "now",
        "on_complete",
        "request",
        "response",
        "route",
        "tasks",
        "timeout_reply",
    )

    def __init__(
        self,
        request: Request,
        info: StreamInfo,
        route: Route | None,
        guard: Guard,
        codec: ServerStream,
        *,
        first_route: Route | None = None,
        tasks: trio.Nursery | None = None,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.request = request
        self.info = info
        self.route = route
        self.guard = guard
        self.codec = codec
        self.first_route = first_route
        self.tasks = tasks
        self.now = now
        self.response: Response | None = None
        self.local: dict[object, Any] | None = None
        self.on_complete: list[Callable[[], None]] = []
        self.timeout_reply: LocalReply | None = None
        self.inform: Inform | None = None
        self.chain: HttpFilterChain | None = None
