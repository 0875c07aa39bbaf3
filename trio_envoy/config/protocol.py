"""envoy.config.core.v3: options of HTTP/1, HTTP/2 and of both.

Source: envoy/config/core/v3/protocol.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.types import Percent


@attrs.frozen(kw_only=True)
class UpstreamHttpProtocolOptions:
    """What TLS to an upstream takes from the request.

    Attributes:
        auto_sni: SNI is the Host of the request.
        auto_san_validation: the certificate must carry that name.
        override_auto_sni_header: take the name from this header instead of Host, when it is there.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.UpstreamHttpProtocolOptions"

    auto_sni: bool = False
    auto_san_validation: bool = False
    override_auto_sni_header: str = ""


class HeadersWithUnderscoresAction(enum.StrEnum):
    """What becomes of a header whose name has an underscore.

    Proto: envoy.config.core.v3.HttpProtocolOptions.HeadersWithUnderscoresAction
    """

    ALLOW = "ALLOW"
    REJECT_REQUEST = "REJECT_REQUEST"
    DROP_HEADER = "DROP_HEADER"


@attrs.frozen(kw_only=True)
class HttpProtocolOptions:
    """Limits that hold for every HTTP version.

    Attributes:
        idle_timeout: seconds without a stream; None is 1 h, 0 is off.
        max_connection_duration: seconds; None is unlimited; then the connection drains.
        max_headers_count: None is 100; more is answered 431 (downstream) or is a protocol error
            (upstream).
        max_response_headers_kb: KiB, upstream only; None is 60.
        max_stream_duration: seconds of one request; None is unlimited.
        headers_with_underscores_action: downstream only.
        max_requests_per_connection: None or 0 is unlimited.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HttpProtocolOptions"

    idle_timeout: float | None = None
    max_connection_duration: float | None = None
    max_headers_count: int | None = None
    max_response_headers_kb: int | None = None
    max_stream_duration: float | None = None
    headers_with_underscores_action: HeadersWithUnderscoresAction = HeadersWithUnderscoresAction.ALLOW
    max_requests_per_connection: int | None = None


@attrs.frozen(kw_only=True)
class ProperCaseWords:
    """First letter and every letter after a `-` in upper case."""

    __proto__: ClassVar[str] = "envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords"


@attrs.frozen(kw_only=True)
class HeaderKeyFormat:
    """How header names are written (oneof header_format, required); without it: lower case.

    Attributes:
        proper_case_words: Like-This.
        stateful_formatter: an extension that looks at each head that comes in, and decides how it goes on.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat"

    proper_case_words: ProperCaseWords | None = None
    stateful_formatter: TypedExtensionConfig | None = None


@attrs.frozen(kw_only=True)
class Http1ProtocolOptions:
    """Options of HTTP/1 on either side.

    Attributes:
        allow_absolute_url: take `GET http://host/path`; None is True.
        accept_http_10: take HTTP/1.0 requests, which are answered 426 otherwise.
        default_host_for_http_10: Host of HTTP/1.0 requests that have none.
        header_key_format: how names are written.
        enable_trailers: pass trailers on; they are dropped otherwise.
        allow_chunked_length: take Transfer-Encoding with Content-Length (which is dropped), instead of
            400.
        override_stream_error_on_invalid_http_message: instead of the manager's
            stream_error_on_invalid_http_message.
        send_fully_qualified_url: write `GET http://host/path` to the upstream.
        allow_custom_methods: take any token as a method.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Http1ProtocolOptions"

    allow_absolute_url: bool | None = None
    accept_http_10: bool = False
    default_host_for_http_10: str = ""
    header_key_format: HeaderKeyFormat | None = None
    enable_trailers: bool = False
    allow_chunked_length: bool = False
    override_stream_error_on_invalid_http_message: bool | None = None
    send_fully_qualified_url: bool = False
    allow_custom_methods: bool = False


@attrs.frozen(kw_only=True)
class KeepaliveSettings:
    """HTTP/2 PING on a connection.

    Attributes:
        interval: seconds between PINGs; None is never; at least 1 ms.
        timeout: seconds to wait for the answer before the connection is closed; at least 1 ms.
        interval_jitter: percent of the interval, at random on top; None is 15.
        connection_idle_interval: seconds of rest after which a PING precedes the next stream.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.KeepaliveSettings"

    interval: float | None = None
    timeout: float
    interval_jitter: Percent | None = None
    connection_idle_interval: float | None = None


@attrs.frozen(kw_only=True)
class SettingsParameter:
    """One entry of the SETTINGS that open an HTTP/2 connection.

    Attributes:
        identifier: 0 to 65535.
        value: 32 bits.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Http2ProtocolOptions.SettingsParameter"

    identifier: int | None = None
    value: int | None = None


@attrs.frozen(kw_only=True)
class Http2ProtocolOptions:
    """Options of HTTP/2 on either side.

    Attributes:
        hpack_table_size: bytes of the decoder's table; None is 4096.
        max_concurrent_streams: 1 to 2^31-1; None is 1024.
        initial_stream_window_size: bytes, 65535 to 2^31-1; None is 16 MiB.
        initial_connection_window_size: bytes, 65535 to 2^31-1; None is 24 MiB.
        allow_connect: take extended CONNECT.
        max_outbound_frames: frames waiting to be written before the connection is closed; None is 10000.
        max_outbound_control_frames: PING, SETTINGS and RST_STREAM among them; None is 1000.
        max_consecutive_inbound_frames_with_empty_payload: None is 1.
        max_inbound_priority_frames_per_stream: None is 100.
        max_inbound_window_update_frames_per_data_frame_sent: None is 10.
        stream_error_on_invalid_http_messaging: deprecated form of the next one.
        override_stream_error_on_invalid_http_message: a malformed message ends its stream, not the
            connection.
        custom_settings_parameters: said beside our own SETTINGS; not those that have a field above.
        connection_keepalive: PINGs; None sends none.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Http2ProtocolOptions"

    hpack_table_size: int | None = None
    max_concurrent_streams: int | None = None
    initial_stream_window_size: int | None = None
    initial_connection_window_size: int | None = None
    allow_connect: bool = False
    max_outbound_frames: int | None = None
    max_outbound_control_frames: int | None = None
    max_consecutive_inbound_frames_with_empty_payload: int | None = None
    max_inbound_priority_frames_per_stream: int | None = None
    max_inbound_window_update_frames_per_data_frame_sent: int | None = None
    stream_error_on_invalid_http_messaging: bool = False
    override_stream_error_on_invalid_http_message: bool | None = None
    custom_settings_parameters: tuple[SettingsParameter, ...] = ()
    connection_keepalive: KeepaliveSettings | None = None


@attrs.frozen(kw_only=True)
class SchemeHeaderTransformation:
    """What the scheme of requests becomes.

    Attributes:
        scheme_to_overwrite: `http` or `https`, for routes and upstreams; None leaves it.
        match_upstream: upstreams get the scheme of their transport.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.SchemeHeaderTransformation"

    scheme_to_overwrite: str | None = None
    match_upstream: bool = False
