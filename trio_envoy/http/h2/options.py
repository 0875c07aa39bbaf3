"""What configuration says about HTTP/2, in the form that the codec asks for it; and its statistics.

Sources: envoy.config.core.v3.Http2ProtocolOptions and HttpProtocolOptions; defaults measured on 1.40.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.config.protocol import (
    HeadersWithUnderscoresAction,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock

DEFAULT_STREAMS: Final = 1024
DEFAULT_STREAM_WINDOW: Final = 16 * 1024 * 1024  # bytes
DEFAULT_CONNECTION_WINDOW: Final = 24 * 1024 * 1024  # bytes
DEFAULT_TABLE_SIZE: Final = 4096  # bytes
DEFAULT_MAX_FIELDS: Final = 100
DEFAULT_REQUEST_HEAD_KB: Final = 60
DEFAULT_RESPONSE_HEAD_KB: Final = 80

_NOTHING: Final = Http2ProtocolOptions()
_NOTHING_COMMON: Final = HttpProtocolOptions()


class Http2Stats(StatsBlock):
    """`http2.` (downstream) and `cluster.<name>.http2.`."""

    dropped_headers_with_underscores: Counter
    goaway_sent: Counter
    header_overflow: Counter
    headers_cb_no_stream: Counter
    inbound_empty_frames_flood: Counter
    inbound_priority_frames_flood: Counter
    inbound_window_update_frames_flood: Counter
    keepalive_timeout: Counter
    metadata_empty_frames: Counter
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
        )
