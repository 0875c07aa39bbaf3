"""envoy.filters.network.echo: send back what comes.

Config: envoy.extensions.filters.network.echo.v3.Echo; docs: configuration/listeners/network_filters/echo_filter.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import trio

from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.channel import send_rest
from trio_envoy.net.filter import Connection
from trio_envoy.net.poller import TURNS, Poller
from trio_envoy.registry import Category, register


@attrs.frozen
class Echo:
    """It has no fields."""

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.echo.v3.Echo"


class EchoFilter:
    """Terminal: reads no further while the client does not take what came before."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller

    async def serve(self, connection: Connection) -> None:
        """Echo until the client ends; then close."""
        channel = connection.channel
        buffer, view = self._poller.buffer, self._poller.view
        turns = 0
        try:
            while True:
                received = channel.recv_into(buffer)
                if received is None:
                    await channel.wait_read()
                    turns = 0
                    continue
                if not received:
                    return
                sent = channel.send(view[:received])
                if sent != received:
                    await send_rest(channel, bytes(view[sent:received]), 0)
                turns += 1
                if turns == TURNS:
                    turns = 0
                    await trio.lowlevel.checkpoint()
        finally:
            channel.close()


@register(Category.NETWORK_FILTER, "envoy.filters.network.echo", config=Echo)
def make(_config: Echo, context: FilterContext) -> EchoFilter:
    """One for all connections."""
    return EchoFilter(context.services.poller)
