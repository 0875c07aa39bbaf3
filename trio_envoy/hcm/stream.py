"""HttpStream: one request and its answer, as filters, header operators and access logs see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_envoy.http.codec import Inform, ServerStream
from trio_envoy.http.message import LocalReply, Request, Response
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.entry import Route
from trio_envoy.util.deadlines import Guard

if TYPE_CHECKING:
    from trio_envoy.hcm.filter import HttpFilterChain


@attrs.define(eq=False)
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
        local: a filter's own per-request state, keyed by the filter itself.
        on_complete: called, in order, when all is over; never block, never raise.
        timeout_reply: what to answer when ROUTE_TIMEOUT cuts the exchange; set by the router, who arms it.
        inform: where informational responses go; None: nobody wants them.
        now: trio.current_time, without the detour where the HCM knows one.
        chain: the filters of its own that an upgrade has; None: those of the HCM.
    """

    request: Request
    info: StreamInfo
    route: Route | None
    guard: Guard
    codec: ServerStream
    first_route: Route | None = None
    tasks: trio.Nursery | None = None
    response: Response | None = None
    local: dict[object, Any] = attrs.Factory(dict)
    on_complete: list[Callable[[], None]] = attrs.Factory(list)
    timeout_reply: LocalReply | None = None
    inform: Inform | None = None
    now: Callable[[], float] = trio.current_time
    chain: HttpFilterChain | None = None
