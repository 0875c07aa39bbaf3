"""What the server codecs of one HCM share: limits, timeouts, and the options of each HTTP version.

Proto: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import Final

import attrs

from trio_envoy.config.hcm import CodecType, HttpConnectionManager, ServerHeaderTransformation
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.http.codec import ServerStats
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.util.deadlines import Timers

DEFAULT_IDLE_TIMEOUT: Final = 3600.0  # s; HttpProtocolOptions.idle_timeout
DEFAULT_DELAYED_CLOSE_TIMEOUT: Final = 1.0  # s; HttpConnectionManager.delayed_close_timeout
DEFAULT_DRAIN_TIMEOUT: Final = 5.0  # s; HttpConnectionManager.drain_timeout

Reshape = Callable[[StreamInfo, int, bytes], tuple[int, bytes, Headers]]

_NOTHING_COMMON: Final = HttpProtocolOptions()


@attrs.frozen(kw_only=True, eq=False)
class CodecOptions:
    """Options of server connections. Seconds; inf is off.

    Attributes:
        codec_type: which HTTP; AUTO finds out.
        http1, http2: of each version.
        server_name: the `server` header of answers that the codec makes; None: they carry none.
        idle_timeout: without a stream; then the connection drains.
        max_connection_duration: then the connection drains.
        max_requests: of one connection; the last response closes it.
        headers_timeout: from the first byte of a request to the end of its headers.
        delayed_close_timeout: for a client to read the last response when we have not read all of its request.
        flush_timeout: for an HTTP/2 client to take the rest of a response; None: the stream's idle timeout.
        drain_timeout: between the notice that a connection drains and its end; see drain_delay().
        drain_jitter: up to that share more, drawn with `random`.
        random: for drain_jitter.
        safe_duration: after max_connection_duration an idle HTTP/1 connection waits for its next request instead of
            ending by a timer.
        proxy_100_continue: `expect: 100-continue` goes to the upstream instead of being answered here.
        close_on_bad_request: a 400 ends an HTTP/1 connection.
        reshape: what becomes of status, text and headers of an answer that the codec makes; None: it stays as it is.
    """

    codec_type: CodecType = CodecType.AUTO
    http1: Http1Options = attrs.Factory(Http1Options)
    http2: Http2Options = attrs.Factory(Http2Options)
    server_name: bytes | None = b"envoy"
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    max_connection_duration: float = inf
    max_requests: float = inf
    headers_timeout: float = inf
    delayed_close_timeout: float = DEFAULT_DELAYED_CLOSE_TIMEOUT
    flush_timeout: float | None = None
    drain_timeout: float = DEFAULT_DRAIN_TIMEOUT
    drain_jitter: float = 0.0
    random: Random | None = None
    safe_duration: bool = False
    proxy_100_continue: bool = False
    close_on_bad_request: bool = True
    reshape: Reshape | None = None

    def drain_delay(self) -> float:
        """Seconds between the notice that a connection drains and its end, drawn for one connection."""
        if self.random is None:
            return self.drain_timeout
        return self.drain_timeout * (1 + self.random.random() * self.drain_jitter)

    @classmethod
    def of_downstream(cls, config: HttpConnectionManager, random: Random) -> CodecOptions:
        """The options that an HCM's config says; random is for drain_timeout_jitter."""
        common = config.common_http_protocol_options or _NOTHING_COMMON
        http1 = config.http_protocol_options
        keep_on_error = http1.override_stream_error_on_invalid_http_message if http1 is not None else None
        if keep_on_error is None:
            keep_on_error = config.stream_error_on_invalid_http_message
        jitter = config.drain_timeout_jitter.value / 100 if config.drain_timeout_jitter is not None else 0.0
        named = config.server_header_transformation is not ServerHeaderTransformation.PASS_THROUGH
        return cls(
            codec_type=config.codec_type,
            http1=Http1Options.of_downstream(
                http1,
                common,
                config.max_request_headers_kb,
                check_scheme=bool(config.use_remote_address) and not config.xff_num_trusted_hops,
            ),
            http2=Http2Options.of_downstream(config.http2_protocol_options, common, config.max_request_headers_kb),
            server_name=(config.server_name.encode() or b"envoy") if named else None,
            idle_timeout=_seconds(common.idle_timeout, DEFAULT_IDLE_TIMEOUT),
            max_connection_duration=_seconds(common.max_connection_duration, inf),
            max_requests=common.max_requests_per_connection or inf,
            headers_timeout=_seconds(config.request_headers_timeout, inf),
            delayed_close_timeout=_delay(config.delayed_close_timeout),
            flush_timeout=_flush(config.stream_flush_timeout),
            drain_timeout=DEFAULT_DRAIN_TIMEOUT if config.drain_timeout is None else config.drain_timeout,
            drain_jitter=jitter,
            random=random if jitter else None,
            safe_duration=config.http1_safe_max_connection_duration,
            proxy_100_continue=config.proxy_100_continue,
            close_on_bad_request=not keep_on_error,
        )


@attrs.frozen(eq=False)
class ServerContext:
    """What the server connections of one HCM are built with.

    Attributes:
        options: of the HCM.
        stats: what is counted of connections.
        http1_stats, http2_stats: `http1.` and `http2.` of the process.
        timers: for the guards of streams.
        view: the worker's receive buffer (Poller.view); not held across an await.
        limit: (runtime key, default) to what the runtime says now.
    """

    options: CodecOptions
    stats: ServerStats
    http1_stats: Http1Stats
    http2_stats: Http2Stats
    timers: Timers
    view: memoryview
    limit: Callable[[str, int], int] = attrs.field(default=lambda _key, default: default)


def _seconds(value: float | None, default: float) -> float:
    return default if value is None else value or inf


def _delay(value: float | None) -> float:
    return DEFAULT_DELAYED_CLOSE_TIMEOUT if value is None else value


def _flush(value: float | None) -> float | None:
    return None if value is None else value or inf
