"""envoy.health_checkers.http: a request is answered with an expected status.

Config: envoy.config.core.v3.HealthCheck.HttpHealthCheck; docs: intro/arch_overview/upstream/health_checking.
Source: Envoy, extensions/health_checkers/http/health_checker_impl.cc. Calls go through httpcore over the cluster's
transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
import httpcore
import trio

from trio_envoy.config.core import HeaderAppendAction, HeaderValueOption, RequestMethod
from trio_envoy.config.healthcheck import HttpHealthCheck
from trio_envoy.config.types import CodecClientType, Int64Range
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import compile_text
from trio_envoy.formatter.context import Logged
from trio_envoy.http.h1.options import Http1Stats
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.matching.strings import BytesTest, string_test
from trio_envoy.net.channel import Channel
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo
from trio_envoy.registry import Category, register
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.health import Probe, Result
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.payload import Expected, payload_bytes
from trio_envoy.upstream.stats import HealthCheckStats
from trio_envoy.upstream.subrequest import ORIGIN, ChannelBackend
from trio_envoy.util.clock import now

_USER_AGENT: Final = b"Envoy/HC"
_DEFAULT_BUFFER: Final = 1024  # bytes; HttpHealthCheck.response_buffer_size
_WITH_BODY: Final = (RequestMethod.POST, RequestMethod.PUT, RequestMethod.PATCH, RequestMethod.OPTIONS)
_VERIFY_KEY: Final = "health_check.verify_cluster"
_FIRST_STATUS, _BEHIND_LAST_STATUS = 100, 600
_IMMEDIATE: Final = b"x-envoy-immediate-health-check-fail"
_DEGRADED: Final = b"x-envoy-degraded"
_SERVICE: Final = b"x-envoy-upstream-healthchecked-cluster"
_BROKEN: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ConnectionNotAvailable,
)

HeaderStep = Callable[[list[tuple[bytes, bytes]], Logged], None]


@attrs.frozen(eq=False)
class HttpChecker:
    """HTTP checks of one cluster, compiled; upstream.health.Checker.

    Attributes:
        context: of the cluster.
        http2: speak HTTP/2 with prior knowledge.
        method, path, host, body: of the request; a host's own health check hostname wins over `host`.
        steps: changes of its headers, in order.
        expected_statuses, retriable_statuses: half-open ranges.
        expected: what the body must hold.
        buffer_bytes: how much of it is looked at; 0 is all.
        service: test of x-envoy-upstream-healthchecked-cluster; None takes any.
        stats: `cluster.<name>.health_check.`
    """

    context: ClusterContext
    http2: bool
    method: bytes
    path: bytes
    host: bytes
    body: bytes
    steps: tuple[HeaderStep, ...]
    expected_statuses: tuple[range, ...]
    retriable_statuses: tuple[range, ...]
    expected: Expected
    buffer_bytes: int
    service: BytesTest | None
    stats: HealthCheckStats

    def session(self, host: Host) -> HttpSession:
        """Begin to check a host."""
        return HttpSession(self, host)

    def judge(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Probe:
        """What an answer means."""
        fields = {name.lower(): value for name, value in headers}
        if not any(status in statuses for statuses in self.expected_statuses):
            if any(status in statuses for statuses in self.retriable_statuses):
                return Probe(Result.RETRIABLE)
            return Probe(Result.UNHEALTHY, excluded=_IMMEDIATE in fields)
        if not self._is_service(fields) or not self.expected.match(body):
            return Probe(Result.UNHEALTHY, excluded=_IMMEDIATE in fields)
        return Probe(Result.DEGRADED if _DEGRADED in fields else Result.HEALTHY)

    def _is_service(self, fields: dict[bytes, bytes]) -> bool:
        if self.service is None:
            return True
        services = self.context.services
        if not services.runtime.snapshot.enabled(_VERIFY_KEY, 100, 100, services.random.getrandbits(32)):
            return True
        self.stats.verify_cluster += 1
        return self.service(fields.get(_SERVICE, b""))


class HttpSession:
    """Checks of one host; upstream.health.Session."""

    def __init__(self, checker: HttpChecker, host: Host) -> None:
        self._checker = checker
        self._host = host
        self._connection: httpcore.AsyncHTTPConnection | None = None
        self._channel: Channel | None = None

    async def probe(self) -> Probe:
        """One check."""
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            self.close()
            connection = self._connection = self._connect()
        try:
            response = await connection.handle_async_request(self._request())
            try:
                body = await self._read(response)
            finally:
                await response.aclose()
        except _BROKEN:
            self.close()
            return Probe(Result.NETWORK)
        return self._checker.judge(response.status, response.headers, body)

    def _connect(self) -> httpcore.AsyncHTTPConnection:
        http2 = self._checker.http2
        return httpcore.AsyncHTTPConnection(
            ORIGIN, http1=not http2, http2=http2, network_backend=ChannelBackend(self._dial)
        )

    async def _dial(self) -> Channel:
        host = self._host
        self._channel = await self._checker.context.dialer.dial(
            host.health_check_address, hostname=host.hostname, alpn=("h2",) if self._checker.http2 else ("http/1.1",)
        )
        return self._channel

    def _request(self) -> httpcore.Request:
        checker, host = self._checker, self._host
        authority = host.health_check_host.encode() or checker.host
        headers = [(b"host", authority), (b"user-agent", _USER_AGENT)]
        if checker.steps:
            context = _context_of(host, checker.method, authority, checker.path)
            for step in checker.steps:
                step(headers, context)
        if checker.body:
            headers.append((b"content-length", b"%d" % len(checker.body)))
        url = httpcore.URL(scheme=b"http", host=b"cluster", port=80, target=checker.path)
        return httpcore.Request(checker.method, url, headers=headers, content=checker.body or None)

    async def _read(self, response: httpcore.Response) -> bytes:
        """As much of the body as is looked at; the rest is read and dropped, so that the connection can be kept."""
        limit = self._checker.buffer_bytes if self._checker.expected.parts else 1
        kept = bytearray()
        async for chunk in response.aiter_stream():
            if not limit or len(kept) < limit:
                kept += chunk
        return bytes(kept[:limit] if limit else kept)

    def close(self) -> None:
        """Give up the connection."""
        channel, self._channel, self._connection = self._channel, None, None
        if channel is not None:
            channel.close()


def _context_of(host: Host, method: bytes, authority: bytes, path: bytes) -> Logged:
    """What header templates of a check can refer to."""
    connection = ConnectionInfo(0, host.health_check_address, host.health_check_address)
    info = StreamInfo(trio.current_time(), now(), connection)
    info.upstream_host = host
    return Logged(info, Request(method, authority, path, b"http", Headers()))


def _header_step(config: HeaderValueOption) -> HeaderStep:
    name = config.header.key.lower().encode()
    if name == b"host" or name.startswith(b":"):
        raise ConfigError(":-prefixed or host headers may not be modified", at=config.header, field="key")
    render = compile_text(
        config.header.value or config.header.raw_value, missing=b"", at=config.header, field="value"
    ).render
    action = config.append_action
    if config.append is False:
        action = HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD

    def step(headers: list[tuple[bytes, bytes]], context: Logged) -> None:
        value = render(context)
        present = any(field == name for field, _ in headers)
        if not value and not config.keep_empty_value:
            return
        if action is HeaderAppendAction.ADD_IF_ABSENT and present:
            return
        if action is HeaderAppendAction.OVERWRITE_IF_EXISTS and not present:
            return
        if action is not HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD:
            headers[:] = [field for field in headers if field[0] != name]
        headers.append((name, value))

    return step


def _removal(name: str, at: HttpHealthCheck) -> HeaderStep:
    removed = name.lower().encode()
    if removed == b"host" or removed.startswith(b":"):
        raise ConfigError(":-prefixed or host headers may not be removed", at=at, field="request_headers_to_remove")

    def step(headers: list[tuple[bytes, bytes]], context: Logged) -> None:
        headers[:] = [field for field in headers if field[0] != removed]

    return step


def _statuses(ranges: Sequence[Int64Range], kind: str) -> tuple[range, ...]:
    for each in ranges:
        if each.start >= each.end:
            raise ConfigError(
                f"Invalid http {kind} status range: expecting start < end, but found start={each.start} and "
                f"end={each.end}",
                at=each,
            )
        if each.start < _FIRST_STATUS:
            raise ConfigError(
                f"Invalid http {kind} status range: expecting start >= 100, but found start={each.start}", at=each
            )
        if each.end > _BEHIND_LAST_STATUS:
            raise ConfigError(
                f"Invalid http {kind} status range: expecting end <= 600, but found end={each.end}", at=each
            )
    return tuple(range(each.start, each.end) for each in ranges)


def _declare_codec_stats(context: ClusterContext, *, http2: bool) -> None:
    """The stats of a codec appear with its first connection, in Envoy also with that of a health check."""
    if http2:
        context.scope.scope("http2.").block(Http2Stats)
    else:
        context.scope.scope("http1.").block(Http1Stats)


@register(Category.HEALTH_CHECKER, "envoy.health_checkers.http")
def make(config: HttpHealthCheck, context: ClusterContext) -> HttpChecker:
    """The checker of a cluster."""
    if config.codec_client_type is CodecClientType.HTTP3:
        raise ConfigError("codec_client_type HTTP3 is not supported here", at=config, field="codec_client_type")
    method = RequestMethod.GET if config.method is RequestMethod.METHOD_UNSPECIFIED else config.method
    if config.send is not None and method not in _WITH_BODY:
        raise ConfigError(
            f"HTTP health check cannot specify a request payload with method '{method}'. Only methods that support a "
            "request body (POST, PUT, PATCH, OPTIONS) can be used with payload.",
            at=config,
            field="send",
        )
    expected = Expected.of(config.receive)
    buffer_bytes = _DEFAULT_BUFFER if config.response_buffer_size is None else config.response_buffer_size
    length = sum(map(len, expected.parts))
    if buffer_bytes and length > buffer_bytes:
        raise ConfigError(
            f"The expected response length '{length}' is over than http health response buffer size '{buffer_bytes}'",
            at=config,
            field="receive",
        )
    matcher = config.service_name_matcher
    http2 = config.codec_client_type is CodecClientType.HTTP2
    _declare_codec_stats(context, http2=http2)
    return HttpChecker(
        context=context,
        http2=http2,
        method=method.value.encode(),
        path=config.path.encode(),
        host=(config.host or context.config.name).encode(),
        body=b"" if config.send is None else payload_bytes(config.send),
        steps=(
            *(_removal(name, config) for name in config.request_headers_to_remove),
            *map(_header_step, config.request_headers_to_add),
        ),
        expected_statuses=_statuses(config.expected_statuses, "expected") or (range(200, 201),),
        retriable_statuses=_statuses(config.retriable_statuses, "retriable"),
        expected=expected,
        buffer_bytes=buffer_bytes,
        service=None if matcher is None else string_test(matcher, context.services.runtime),
        stats=context.scope.scope("health_check.").block(HealthCheckStats),
    )
