"""httpcore over our clusters: HTTP calls that the proxy makes on its own account (health checks and the like).

Never the data path. httpcore is imported with this module, so it costs nothing where no such call is configured.
Connections come from a dial function, which already speaks TLS where the cluster does: URLs are always http://.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable
from math import inf
from typing import Any, Final

import httpcore
import trio

from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.channel import Channel, send_all
from trio_envoy.net.poller import BUFFER_BYTES

Dial = Callable[[], Awaitable[Channel]]
"""Makes a connection. Raises UpstreamFailure."""

ORIGIN: Final = httpcore.Origin(b"http", b"cluster", 80)  # httpcore wants one; who is connected is the dial's business


class ChannelBackend(httpcore.AsyncNetworkBackend):
    """Gives httpcore connections that a dial function makes.

    Args:
        dial: makes one.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A new connection, whatever host and port say."""
        with trio.move_on_after(inf if timeout is None else timeout):
            try:
                return ChannelStream(await self._dial())
            except UpstreamFailure as failure:
                raise httpcore.ConnectError(failure.transport or failure.reason) from failure
        raise httpcore.ConnectTimeout

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same as connect_tcp()."""
        return await self.connect_tcp(path, 0, timeout)

    async def sleep(self, seconds: float) -> None:
        """As it says."""
        await trio.sleep(seconds)


class ChannelStream(httpcore.AsyncNetworkStream):
    """A channel as httpcore sees it; owns the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What is here next; b"" at the end."""
        buffer = bytearray(min(max_bytes, BUFFER_BYTES))
        with trio.move_on_after(inf if timeout is None else timeout):
            try:
                while (received := self._channel.recv_into(buffer)) is None:
                    await self._channel.wait_read()
                return bytes(memoryview(buffer)[:received])
            except OSError as error:
                raise httpcore.ReadError(str(error)) from error
        raise httpcore.ReadTimeout

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of it."""
        with trio.move_on_after(inf if timeout is None else timeout):
            try:
                await send_all(self._channel, buffer)
                return
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error
        raise httpcore.WriteTimeout

    async def aclose(self) -> None:
        """Close; never waits."""
        self._channel.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Not called: URLs are http://."""
        raise NotImplementedError("the cluster's transport socket speaks TLS")

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of an idle connection: whether its peer has closed."""
        return self._channel.readable() if info == "is_readable" else None
