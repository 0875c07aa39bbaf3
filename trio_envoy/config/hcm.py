"""envoy.filters.network.http_connection_manager: from bytes to requests.

Source: envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.accesslog import AccessLog
from trio_envoy.config.accesslog_filter import AccessLogFilter
from trio_envoy.config.address import CidrRange
from trio_envoy.config.core import DataSource, HeaderValueOption, TypedExtensionConfig
from trio_envoy.config.protocol import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    SchemeHeaderTransformation,
)
from trio_envoy.config.route import RouteConfiguration
from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.config.types import Percent


class CodecType(enum.StrEnum):
    """Protocol of the clients.

    Proto: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.CodecType
    """

    AUTO = "AUTO"
    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"
    HTTP3 = "HTTP3"


class ServerHeaderTransformation(enum.StrEnum):
    """What becomes of the `server` header of an upstream.

    Proto: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ServerHeaderTransformation
    """

    OVERWRITE = "OVERWRITE"
    APPEND_IF_ABSENT = "APPEND_IF_ABSENT"
    PASS_THROUGH = "PASS_THROUGH"  # noqa: S105 - a name of Envoy's


class ForwardClientCertDetails(enum.StrEnum):
    """What becomes of `x-forwarded-client-cert`.

    Proto: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertDetails
    """

    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


@attrs.frozen(kw_only=True)
class SetCurrentClientCertDetails:
    """What is told of a client certificate, beside its hash and the URIs of our own.

    Attributes:
        subject: its subject; None is False.
        cert: all of it, as URL-encoded PEM.
        dns: its DNS names.
        uri: its URIs.
        issuer: who has signed it.
    """

    __proto__: ClassVar[str] = (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails"
    )

    subject: bool | None = None
    cert: bool = False
    dns: bool = False
    uri: bool = False
    issuer: bool = False


class PathWithEscapedSlashesAction(enum.StrEnum):
    """What becomes of a path with %2F, %2f, %5C or %5c.

    Proto: HttpConnectionManager.PathWithEscapedSlashesAction
    """

    IMPLEMENTATION_SPECIFIC_DEFAULT = "IMPLEMENTATION_SPECIFIC_DEFAULT"
    KEEP_UNCHANGED = "KEEP_UNCHANGED"
    REJECT_REQUEST = "REJECT_REQUEST"
    UNESCAPE_AND_REDIRECT = "UNESCAPE_AND_REDIRECT"
    UNESCAPE_AND_FORWARD = "UNESCAPE_AND_FORWARD"


@attrs.frozen(kw_only=True)
class InternalAddressConfig:
    """Which peers are inside.

    Attributes:
        unix_sockets: peers on a Unix domain socket are.
        cidr_ranges: peers with these addresses are.
    """

    __proto__: ClassVar[str] = (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig"
    )

    unix_sockets: bool = False
    cidr_ranges: tuple[CidrRange, ...] = ()


@attrs.frozen(kw_only=True)
class HttpFilter:
    """An HTTP filter.

    Attributes:
        name: unique in the manager, not empty; per-route configuration is found by it.
        typed_config: config object of the filter.
        is_optional: a filter that isn't known here is left out instead of refused.
        disabled: off, unless a route turns it on.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"

    name: str = ""
    typed_config: object | None = None
    is_optional: bool = False
    disabled: bool = False


@attrs.frozen(kw_only=True)
class UpgradeConfig:
    """An upgrade that requests may ask for.

    Attributes:
        upgrade_type: value of `upgrade`, in any case, or CONNECT.
        filters: instead of http_filters; empty: those.
        enabled: unless a route says otherwise; None is True.
    """

    __proto__: ClassVar[str] = (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig"
    )

    upgrade_type: str = ""
    filters: tuple[HttpFilter, ...] = ()
    enabled: bool | None = None


@attrs.frozen(kw_only=True)
class HcmAccessLogOptions:
    """Which entries of access logs are written before a stream has ended.

    Attributes:
        access_log_flush_interval: seconds between entries of a stream that goes on; None: there are none.
        flush_access_log_on_new_request: when its route is known.
        flush_log_on_tunnel_successfully_established: when an upgrade or a CONNECT was answered so.
    """

    __proto__: ClassVar[str] = (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions"
    )

    access_log_flush_interval: float | None = None
    flush_access_log_on_new_request: bool = False
    flush_log_on_tunnel_successfully_established: bool = False


@attrs.frozen(kw_only=True)
class ProxyStatusConfig:
    """What `proxy-status` tells (oneof proxy_name).

    Attributes:
        remove_details: not the details of the response, and nothing of what follows.
        remove_connection_termination_details: not why the connection ended.
        remove_response_flags: not the response flags.
        set_recommended_response_code: the status becomes the one of RFC 9209.
        use_node_id: the proxy is called by the id of its node.
        literal_proxy_name: that is its name; None: it is server_name.
    """

    __proto__: ClassVar[str] = (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig"
    )

    remove_details: bool = False
    remove_connection_termination_details: bool = False
    remove_response_flags: bool = False
    set_recommended_response_code: bool = False
    use_node_id: bool | None = None
    literal_proxy_name: str | None = None


@attrs.frozen(kw_only=True)
class RequestIDExtension:
    """What makes the ids of requests.

    Attributes:
        typed_config: config object of the extension; None is UUIDs.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension"

    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class ResponseMapper:
    """What becomes of the local replies that a filter lets pass.

    Attributes:
        filter: of access logs; required.
        status_code: instead of the reply's, 200 to 599.
        body: instead of the reply's.
        body_format_override: instead of the body_format of all.
        headers_to_add: to the reply.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper"

    filter: AccessLogFilter
    status_code: int | None = None
    body: DataSource | None = None
    body_format_override: SubstitutionFormatString | None = None
    headers_to_add: tuple[HeaderValueOption, ...] = ()


@attrs.frozen(kw_only=True)
class LocalReplyConfig:
    """How answers look that are made here.

    Attributes:
        mappers: the first whose filter lets a reply pass changes it.
        body_format: of all bodies; None is `%LOCAL_REPLY_BODY%`.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig"

    mappers: tuple[ResponseMapper, ...] = ()
    body_format: SubstitutionFormatString | None = None


@attrs.frozen(kw_only=True)
class HttpConnectionManager:
    """HTTP on the connections of a filter chain (oneof route_specifier, required).

    Attributes:
        codec_type: AUTO finds HTTP/2 by ALPN or by its preface.
        stat_prefix: in the names of the statistics; not empty.
        route_config: the routes.
        http_filters: in order; the last one is terminal.
        add_user_agent: set `user-agent` and `x-envoy-downstream-service-cluster` to the node's cluster.
        common_http_protocol_options: limits for every version.
        http1_safe_max_connection_duration: a drained HTTP/1 connection ends with its next response, not
            by a timer.
        http_protocol_options: HTTP/1.
        http2_protocol_options: HTTP/2.
        server_name: value of `server`; empty is `envoy`.
        server_header_transformation: what becomes of the upstream's.
        scheme_header_transformation: what the scheme becomes.
        max_request_headers_kb: KiB, 1 to 8192; None is 60.
        stream_idle_timeout: seconds; None is 300, 0 is off.
        stream_flush_timeout: seconds for an HTTP/2 client to take the rest of a response; None is the idle timeout of
            the stream, 0 is off.
        request_timeout: seconds from the first byte to the last byte of a request; None or 0 is off.
        request_headers_timeout: seconds for the headers; None or 0 is off.
        drain_timeout: seconds between the two GOAWAYs; None is 5.
        drain_timeout_jitter: up to so many percent more; None is 0.
        delayed_close_timeout: seconds for a peer to read what we wrote before the close; None is 1, 0
            closes at once.
        access_log: one entry a request.
        access_log_options: which entries are written before the end of a request.
        access_log_flush_interval: deprecated, in access_log_options.
        flush_access_log_on_new_request: deprecated, in access_log_options.
        use_remote_address: the peer's address is the client's; None is False.
        xff_num_trusted_hops: entries of `x-forwarded-for` to trust from the right.
        original_ip_detection_extensions: who finds the client's address, instead of the two before.
        early_header_mutation_extensions: what changes requests before anything looks at them.
        internal_address_config: None: nothing is internal.
        skip_xff_append: leave `x-forwarded-for` alone.
        via: added to the `via` header; empty adds nothing.
        generate_request_id: None is True.
        preserve_external_request_id: keep the `x-request-id` of external clients.
        always_set_request_id_in_response: send it back.
        request_id_extension: what makes it; None is UUIDs.
        forward_client_cert_details: what becomes of `x-forwarded-client-cert`.
        set_current_client_cert_details: what is told there with APPEND_FORWARD and SANITIZE_SET.
        upgrade_configs: which upgrades; no others.
        proxy_100_continue: pass `expect: 100-continue` on instead of answering it.
        represent_ipv4_remote_address_as_ipv4_mapped_ipv6: changes nothing, as in Envoy 1.40.
        normalize_path: RFC 3986 dot segments; None is the runtime's
            http_connection_manager.normalize_path, off.
        merge_slashes: `//` is `/`.
        path_with_escaped_slashes_action: keep, refuse, redirect or decode.
        proxy_status_config: what `proxy-status` tells; None: there is none.
        local_reply_config: how answers look that are made here.
        strip_matching_host_port: drop the listener's port from Host.
        strip_any_host_port: drop any port from Host (oneof strip_port_mode).
        strip_trailing_host_dot: drop the dot at the end of Host.
        stream_error_on_invalid_http_message: a bad HTTP/1 request does not close the connection; None is
            False.
        record_route_resolution_stats: count how often and how long routes are looked for.
        append_x_forwarded_port: add `x-forwarded-port`.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

    codec_type: CodecType = CodecType.AUTO
    stat_prefix: str = ""
    route_config: RouteConfiguration | None = None
    http_filters: tuple[HttpFilter, ...] = ()
    add_user_agent: bool | None = None
    common_http_protocol_options: HttpProtocolOptions | None = None
    http1_safe_max_connection_duration: bool = False
    http_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None
    server_name: str = ""
    server_header_transformation: ServerHeaderTransformation = ServerHeaderTransformation.OVERWRITE
    scheme_header_transformation: SchemeHeaderTransformation | None = None
    max_request_headers_kb: int | None = None
    stream_idle_timeout: float | None = None
    stream_flush_timeout: float | None = None
    request_timeout: float | None = None
    request_headers_timeout: float | None = None
    drain_timeout: float | None = None
    drain_timeout_jitter: Percent | None = None
    delayed_close_timeout: float | None = None
    access_log: tuple[AccessLog, ...] = ()
    access_log_options: HcmAccessLogOptions | None = None
    access_log_flush_interval: float | None = None
    flush_access_log_on_new_request: bool = False
    use_remote_address: bool | None = None
    xff_num_trusted_hops: int = 0
    original_ip_detection_extensions: tuple[TypedExtensionConfig, ...] = ()
    early_header_mutation_extensions: tuple[TypedExtensionConfig, ...] = ()
    internal_address_config: InternalAddressConfig | None = None
    skip_xff_append: bool = False
    via: str = ""
    generate_request_id: bool | None = None
    preserve_external_request_id: bool = False
    always_set_request_id_in_response: bool = False
    request_id_extension: RequestIDExtension | None = None
    forward_client_cert_details: ForwardClientCertDetails = ForwardClientCertDetails.SANITIZE
    set_current_client_cert_details: SetCurrentClientCertDetails | None = None
    upgrade_configs: tuple[UpgradeConfig, ...] = ()
    proxy_100_continue: bool = False
    represent_ipv4_remote_address_as_ipv4_mapped_ipv6: bool = False
    normalize_path: bool | None = None
    merge_slashes: bool = False
    path_with_escaped_slashes_action: PathWithEscapedSlashesAction = (
        PathWithEscapedSlashesAction.IMPLEMENTATION_SPECIFIC_DEFAULT
    )
    proxy_status_config: ProxyStatusConfig | None = None
    local_reply_config: LocalReplyConfig | None = None
    strip_matching_host_port: bool = False
    strip_any_host_port: bool | None = None
    strip_trailing_host_dot: bool = False
    stream_error_on_invalid_http_message: bool | None = None
    record_route_resolution_stats: bool = False
    append_x_forwarded_port: bool = False
