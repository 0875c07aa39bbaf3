"""envoy.transport_sockets.raw_buffer: plain bytes, what a connection has when no transport socket is named.

Config: envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import trio

from trio_envoy.net.channel import Channel
from trio_envoy.net.filter import TransportContext
from trio_envoy.registry import Category, register


@attrs.frozen
class RawBuffer:
    """It has no fields."""

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"


class RawBufferSocket:
    """Shakes no hands, on either side."""

    async def accept(self, channel: Channel) -> Channel:
        """The channel as it is."""
        await trio.lowlevel.checkpoint()
        return channel

    async def connect(
        self,
        channel: Channel,
        *,
        hostname: str = "",
        server_name: str = "",
        verified_name: str = "",
        alpn: Sequence[str] = (),
    ) -> Channel:
        """The channel as it is."""
        await trio.lowlevel.checkpoint()
        return channel


@register(Category.TRANSPORT_SOCKET_UPSTREAM, "envoy.transport_sockets.raw_buffer", config=RawBuffer)
@register(Category.TRANSPORT_SOCKET_DOWNSTREAM, "envoy.transport_sockets.raw_buffer", config=RawBuffer)
def make(_config: RawBuffer, _context: TransportContext) -> RawBufferSocket:
    """For either side."""
    return RawBufferSocket()
