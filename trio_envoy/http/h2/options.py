"""What configuration says about HTTP/2, in the form that the codec asks for it; and its statistics.

Sources: envoy.config.core.v3.Http2ProtocolOptions and HttpProtocolOptions; defaults measured on 1.40.
"""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from trio_envoy.config.protocol import (
    HeadersWithUnderscoresAction,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
)
from trio_envoy.errors import ConfigError
from trio_envoy.stats.declare import Counter, Gauge, Histogram, StatsBlock

DEFAULT_STREAMS: Final = 1024
DEFAULT_STREAM_WINDOW: Final = 16 * 1024 * 1024  # bytes
DEFAULT_CONNECTION_WINDOW: Final = 24 * 1024 * 1024  # bytes
DEFAULT_TABLE_SIZE: Final = 4096  # bytes
DEFAULT_MAX_FIELDS: Final = 100
DEFAULT_OUTBOUND_FRAMES: Final = 10_000
DEFAULT_OUTBOUND_CONTROL_FRAMES: Final = 1000
DEFAULT_EMPTY_FRAMES: Final = 1  # in a row
DEFAULT_PRIORITY_FRAMES: Final = 100  # for each stream
DEFAULT_WINDOW_UPDATES: Final = 10  # for each DATA frame of ours
_ENABLE_PUSH: Final = 2  # identifiers of SETTINGS
_ENABLE_CONNECT_PROTOCOL: Final = 8
DEFAULT_JITTER: Final = 15.0  # percent; KeepaliveSettings.interval_jitter
HEADER_BUDGET_KEY: Final = "trio_envoy.http2.header_budget_bytes"  # of the runtime; ours, Envoy has no such limit
DEFAULT_HEADER_BUDGET: Final = 4 * 1024 * 1024  # bytes of a connection
DEFAULT_REQUEST_HEAD_KB: Final = 60
DEFAULT_RESPONSE_HEAD_KB: Final = 80

_NOTHING: Final = Http2ProtocolOptions()
_NOTHING_COMMON: Final = HttpProtocolOptions()


class Http2Stats(StatsBlock):
    """`http2.` (downstream) and `cluster.<name>.http2.`."""

    cookies_total_bytes_too_large: Counter
    dropped_headers_with_underscores: Counter
    goaway_sent: Counter
    header_budget_exceeded: Counter  # ours: streams that were refused because the connection held too many fields
    header_list_size_too_large: Counter
    header_overflow: Counter
    headers_cb_no_stream: Counter
    inbound_empty_frames_flood: Counter
    inbound_priority_frames_flood: Counter
    inbound_window_update_frames_flood: Counter
    keepalive_timeout: Counter
    metadata_empty_frames: Counter
    nghttp2_downstream_connections: Counter  # all: it is the kind that Envoy makes unless told otherwise
    nghttp2_upstream_connections: Counter
    oghttp2_downstream_connections: Counter
    oghttp2_upstream_connections: Counter
    outbound_control_flood: Counter
    outbound_flood: Counter
    requests_rejected_with_underscores_in_headers: Counter
    rx_messaging_error: Counter
    rx_reset: Counter
    stream_refused_errors: Counter
    trailers: Counter
    tx_flush_timeout: Counter
    tx_reset: Counter
    deferred_stream_close: Gauge
    outbound_control_frames_active: Gauge
    outbound_frames_active: Gauge
    pending_send_bytes: Gauge
    streams_active: Gauge
    cookie_count: Histogram
    cookie_size: Histogram
    header_count: Histogram
    header_list_size: Histogram


@attrs.frozen(kw_only=True)
class KeepAlive:
    """PINGs that find out whether the peer is still there.

    Attributes:
        interval: seconds between them; inf: only after idleness.
        timeout: seconds without a sign of life after one, until the connection is closed.
        jitter: percent of the interval that it may be longer.
        idle_interval: seconds of rest after which the next stream is preceded by one; inf is off.
    """

    interval: float
    timeout: float
    jitter: float
    idle_interval: float


@attrs.frozen(kw_only=True)
class Http2Options:
    """How to speak HTTP/2.

    Attributes:
        max_head_bytes: of the names and values of one head or trailer section.
        max_fields: fields of a head, pseudo-headers included.
        underscores: what becomes of names with an underscore (requests).
        max_streams: that the peer may open (server), or that we open at most (client).
        stream_window, connection_window: bytes that the peer may send before we read.
        table_size: bytes of the HPACK decoder's table.
        allow_connect: take extended CONNECT (RFC 8441).
        stream_error: a malformed message resets its stream instead of ending the connection.
        max_outbound_frames, max_outbound_control_frames, max_empty_frames, max_priority_frames, max_window_updates: see
            http.h2.floods.
        keep_alive: PINGs; None sends none.
        custom_settings: (identifier, value) of settings that are said beside ours.
    """

    max_head_bytes: int = DEFAULT_REQUEST_HEAD_KB * 1024
    max_fields: int = DEFAULT_MAX_FIELDS
    underscores: HeadersWithUnderscoresAction = HeadersWithUnderscoresAction.ALLOW
    max_streams: int = DEFAULT_STREAMS
    stream_window: int = DEFAULT_STREAM_WINDOW
    connection_window: int = DEFAULT_CONNECTION_WINDOW
    table_size: int = DEFAULT_TABLE_SIZE
    allow_connect: bool = False
    stream_error: bool = False
    max_outbound_frames: int = DEFAULT_OUTBOUND_FRAMES
    max_outbound_control_frames: int = DEFAULT_OUTBOUND_CONTROL_FRAMES
    max_empty_frames: int = DEFAULT_EMPTY_FRAMES
    max_priority_frames: int = DEFAULT_PRIORITY_FRAMES
    max_window_updates: int = DEFAULT_WINDOW_UPDATES
    keep_alive: KeepAlive | None = None
    custom_settings: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_downstream(
        cls,
        config: Http2ProtocolOptions | None,
        common: HttpProtocolOptions | None,
        max_request_headers_kb: int | None,
    ) -> Http2Options:
        """The options of an HCM's connections."""
        return cls._of(config or _NOTHING, common or _NOTHING_COMMON, max_request_headers_kb or DEFAULT_REQUEST_HEAD_KB)

    @classmethod
    def of_upstream(cls, config: Http2ProtocolOptions | None, common: HttpProtocolOptions | None) -> Http2Options:
        """The options of a cluster's connections."""
        common = common or _NOTHING_COMMON
        return cls._of(config or _NOTHING, common, common.max_response_headers_kb or DEFAULT_RESPONSE_HEAD_KB)

    @classmethod
    def _of(cls, config: Http2ProtocolOptions, common: HttpProtocolOptions, max_head_kb: int) -> Http2Options:
        stream_error = config.override_stream_error_on_invalid_http_message
        if stream_error is None:
            stream_error = config.stream_error_on_invalid_http_messaging
        return cls(
            max_head_bytes=max_head_kb * 1024,
            max_fields=common.max_headers_count or DEFAULT_MAX_FIELDS,
            underscores=common.headers_with_underscores_action,
            max_streams=config.max_concurrent_streams or DEFAULT_STREAMS,
            stream_window=config.initial_stream_window_size or DEFAULT_STREAM_WINDOW,
            connection_window=config.initial_connection_window_size or DEFAULT_CONNECTION_WINDOW,
            table_size=DEFAULT_TABLE_SIZE if config.hpack_table_size is None else config.hpack_table_size,
            allow_connect=config.allow_connect,
            stream_error=stream_error,
            max_outbound_frames=_or(config.max_outbound_frames, DEFAULT_OUTBOUND_FRAMES),
            max_outbound_control_frames=_or(config.max_outbound_control_frames, DEFAULT_OUTBOUND_CONTROL_FRAMES),
            max_empty_frames=_or(config.max_consecutive_inbound_frames_with_empty_payload, DEFAULT_EMPTY_FRAMES),
            max_priority_frames=_or(config.max_inbound_priority_frames_per_stream, DEFAULT_PRIORITY_FRAMES),
            max_window_updates=_or(config.max_inbound_window_update_frames_per_data_frame_sent, DEFAULT_WINDOW_UPDATES),
            keep_alive=_keep_alive(config.connection_keepalive),
            custom_settings=_custom_settings(config),
        )


def _custom_settings(config: Http2ProtocolOptions) -> tuple[tuple[int, int], ...]:
    """(identifier, value) of each, once.

    Raises:
        ConfigError: one that has a field of its own, or that may not be, or two that contradict each other.
    """
    named = {1: "hpack_table_size", 3: "max_concurrent_streams", 4: "initial_stream_window_size"}
    values: dict[int, int] = {}
    for parameter in config.custom_settings_parameters:
        identifier, value = parameter.identifier or 0, parameter.value or 0
        if identifier == _ENABLE_PUSH and value:
            text = "server push is not supported by Envoy and can not be enabled via a SETTINGS parameter."
            raise ConfigError(text, at=parameter)
        if identifier == _ENABLE_CONNECT_PROTOCOL:
            text = 'the "allow_connect" SETTINGS parameter must only be configured through the named field'
            raise ConfigError(text, at=parameter)
        if values.setdefault(identifier, value) != value:
            text = f"inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {{{identifier:#x}}}"
            raise ConfigError(text, at=parameter)
        name = named.get(identifier)
        if name is not None and getattr(config, name) is not None:
            raise ConfigError(
                f"the {{{name}}} HTTP/2 SETTINGS parameter(s) can not be configured through both named and custom"
                " parameters",
                at=parameter,
            )
    return tuple(values.items())


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _keep_alive(config: KeepaliveSettings | None) -> KeepAlive | None:
    if config is None or (config.interval is None and config.connection_idle_interval is None):
        return None
    return KeepAlive(
        interval=config.interval or inf,
        timeout=config.timeout,
        jitter=DEFAULT_JITTER if config.interval_jitter is None else config.interval_jitter.value,
        idle_interval=config.connection_idle_interval or inf,
    )
