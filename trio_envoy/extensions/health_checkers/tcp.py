"""envoy.health_checkers.tcp: a connection can be made, and bytes on it are answered as expected.

Config: envoy.config.core.v3.HealthCheck.TcpHealthCheck; docs: intro/arch_overview/upstream/health_checking.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.config.healthcheck import TcpHealthCheck
from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.channel import Channel, send_all
from trio_envoy.registry import Category, register
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.health import Probe, Result
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.payload import Expected, payload_bytes
from trio_envoy.upstream.transport import Dialer

_MAX_BYTES: Final = 64 * 1024  # of an answer that does not match; more is no answer to a health check
_HEALTHY: Final = Probe(Result.HEALTHY)
_NETWORK: Final = Probe(Result.NETWORK)


@attrs.frozen(eq=False)
class TcpChecker:
    """TCP checks of one cluster; upstream.health.Checker.

    Attributes:
        dialer: of the cluster.
        send: what is sent; b"" for nothing.
        expected: what must come back; empty: to connect is enough.
    """

    dialer: Dialer
    send: bytes
    expected: Expected

    def session(self, host: Host) -> TcpSession:
        """Begin to check a host."""
        return TcpSession(self, host)


class TcpSession:
    """Checks of one host; upstream.health.Session."""

    def __init__(self, checker: TcpChecker, host: Host) -> None:
        self._checker = checker
        self._host = host
        self._channel: Channel | None = None

    async def probe(self) -> Probe:
        """One check."""
        checker = self._checker
        try:
            channel = self._channel
            if channel is None or channel.closed or channel.readable():
                self.close()
                channel = self._channel = await checker.dialer.dial(
                    self._host.health_check_address, hostname=self._host.hostname
                )
            if not checker.expected.parts:
                self.close()
                return _HEALTHY
            if checker.send:
                await send_all(channel, checker.send)
            if await self._answered(channel):
                return _HEALTHY
        except (UpstreamFailure, OSError):
            pass
        self.close()
        return _NETWORK

    async def _answered(self, channel: Channel) -> bool:
        """Read until the answer matches; False when it ends before."""
        buffer = bytearray(4096)
        received = bytearray()
        while len(received) < _MAX_BYTES:
            size = channel.recv_into(buffer)
            if size is None:
                await channel.wait_read()
            elif size == 0:
                return False
            else:
                received += memoryview(buffer)[:size]
                if self._checker.expected.match(received):
                    return True
        return False

    def close(self) -> None:
        """Give up the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


@register(Category.HEALTH_CHECKER, "envoy.health_checkers.tcp")
def make(config: TcpHealthCheck, context: ClusterContext) -> TcpChecker:
    """The checker of a cluster."""
    send = b"" if config.send is None else payload_bytes(config.send)
    return TcpChecker(context.dialer, send, Expected.of(config.receive))
