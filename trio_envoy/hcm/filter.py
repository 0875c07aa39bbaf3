"""HTTP filters: flat async hooks in order, then one terminal, then the encoders in reverse.

Rules, as in Envoy's filter_manager.cc:
1. Decoders run in config order, encoders in reverse order.
2. A LocalReply from a decoder is seen by every encoder, also those of filters behind the one that answered.
3. A LocalReply from an encoder goes straight to the codec.
4. Which filters run is settled by the first route; how they are set, by the current one; a filter that assigns
   stream.route changes the config of the filters behind it, those before it are not run again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.routing.entry import Route
from trio_envoy.routing.overrides import NO_OVERRIDES, NOTHING_SAID, Overrides

Hook = Callable[[HttpStream], Awaitable[LocalReply | None]]
Terminal = Callable[[HttpStream], Awaitable[Response | LocalReply]]
ToResponse = Callable[[HttpStream, LocalReply], Response]


class HttpFilter:
    """One configured HTTP filter; shared by all requests of its chain, so it keeps no request state."""

    async def decode(self, stream: HttpStream) -> LocalReply | None:
        """On the way up. Return a LocalReply to answer here. Awaiting is Envoy's StopIteration."""
        return None

    async def encode(self, stream: HttpStream) -> LocalReply | None:
        """On the way down; stream.response is set. A LocalReply from here goes straight to the codec."""
        return None

    def for_route(self, configs: Sequence[Any]) -> HttpFilter | None:
        """The filter for a route with these messages, least to most specific; None: not on this route."""
        raise NotImplementedError(f"{type(self).__name__} takes no per-route config")


class TerminalFilter:
    """The last filter of a chain: it answers (the router)."""

    async def answer(self, stream: HttpStream) -> Response | LocalReply:
        """Answer the request.

        Raises:
            UpstreamFailure: only once response headers were returned, through the response body.
        """
        raise NotImplementedError


@attrs.frozen(eq=False)
class Slot:
    """One entry of http_filters.

    Attributes:
        name: HttpFilter.name; typed_per_filter_config is keyed by it.
        filter: the configured filter.
        disabled: HttpFilter.disabled: off unless a route turns it on.
    """

    name: str
    filter: HttpFilter
    disabled: bool = False


@attrs.frozen(eq=False)
class _Compiled:
    """Bound hooks, only overridden ones, for one route's overrides."""

    decoders: tuple[tuple[int, Hook], ...]
    encoders: tuple[Hook, ...]


class HttpFilterChain:
    """The HTTP filters of one HCM, compiled per distinct route overrides on first use.

    Attributes:
        terminal: answers what no decoder has answered.
        bare: there is no other filter: nothing but terminal and response() is needed.
    """

    def __init__(self, slots: Sequence[Slot], terminal: Terminal, local: ToResponse) -> None:
        self._slots = tuple(slots)
        self.bare = not slots
        self.terminal = terminal
        self._local = local
        self._compiled: dict[tuple[Overrides, Overrides], _Compiled] = {}

    async def run(self, stream: HttpStream) -> Response:
        """Decoders in order, terminal, encoders in reverse; gives the response to write."""
        return await self.encode(stream, await self._decode(stream, -1))

    async def encode(self, stream: HttpStream, answer: Response | LocalReply) -> Response:
        """The way down alone: for an answer that did not come out of the decoders, as a timeout's."""
        stream.response = self.response(stream, answer)
        for hook in self._for(stream.first_route, stream.route).encoders:
            reply = await hook(stream)
            if reply is not None:
                return self._local(stream, reply)
        return stream.response

    def response(self, stream: HttpStream, answer: Response | LocalReply) -> Response:
        """An answer as a response; encoders have not seen it."""
        return self._local(stream, answer) if isinstance(answer, LocalReply) else answer

    async def _decode(self, stream: HttpStream, after: int) -> Response | LocalReply:
        route = stream.route
        for position, hook in self._for(stream.first_route, route).decoders:
            if position <= after:
                continue
            reply = await hook(stream)
            if reply is not None:
                return reply
            if stream.route is not route:  # go on with the new route's config
                return await self._decode(stream, position)
        return await self.terminal(stream)

    def _for(self, first: Route | None, now: Route | None) -> _Compiled:
        on_off = first.overrides if first else NO_OVERRIDES
        configs = now.overrides if now else NO_OVERRIDES
        compiled = self._compiled.get((on_off, configs))
        if compiled is None:
            compiled = self._compiled[on_off, configs] = self._compile(on_off, configs)
        return compiled

    def _compile(self, on_off: Overrides, configs: Overrides) -> _Compiled:
        live: list[tuple[int, HttpFilter]] = []
        for position, slot in enumerate(self._slots):
            said = on_off.by_name.get(slot.name, NOTHING_SAID).disabled
            own = configs.by_name.get(slot.name, NOTHING_SAID).configs
            picked: HttpFilter | None = slot.filter.for_route(own) if own else slot.filter
            if picked is not None and not (slot.disabled if said is None else said):
                live.append((position, picked))
        return _Compiled(
            tuple((p, f.decode) for p, f in live if type(f).decode is not HttpFilter.decode),
            tuple(f.encode for _, f in reversed(live) if type(f).encode is not HttpFilter.encode),
        )
