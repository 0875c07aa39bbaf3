"""envoy.extensions.upstreams.http.v3.HttpProtocolOptions: which HTTP a cluster speaks.

Source: envoy/extensions/upstreams/http/v3/http_protocol_options.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config import protocol
from trio_envoy.config.protocol import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    UpstreamHttpProtocolOptions,
)


@attrs.frozen(kw_only=True)
class ExplicitHttpConfig:
    """One version (oneof protocol_config, required).

    Attributes:
        http_protocol_options: HTTP/1.
        http2_protocol_options: HTTP/2, by prior knowledge or ALPN.
    """

    __proto__: ClassVar[str] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig"

    http_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None


@attrs.frozen(kw_only=True)
class UseDownstreamHttpConfig:
    """The version of the client.

    Attributes:
        http_protocol_options: HTTP/1.
        http2_protocol_options: HTTP/2.
    """

    __proto__: ClassVar[str] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig"

    http_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None


@attrs.frozen(kw_only=True)
class AutoHttpConfig:
    """The version that the TLS handshake agrees upon (ALPN).

    Attributes:
        http_protocol_options: HTTP/1.
        http2_protocol_options: HTTP/2.
    """

    __proto__: ClassVar[str] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig"

    http_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None


@attrs.frozen(kw_only=True)
class HttpProtocolOptions:
    """Protocols of a cluster (oneof upstream_protocol_options, required).

    Attributes:
        common_http_protocol_options: limits for every version.
        upstream_http_protocol_options: what TLS takes from the request.
        explicit_http_config: one version.
        use_downstream_protocol_config: the client's version.
        auto_config: the version that the TLS handshake agrees upon.
    """

    __proto__: ClassVar[str] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

    common_http_protocol_options: protocol.HttpProtocolOptions | None = None
    upstream_http_protocol_options: UpstreamHttpProtocolOptions | None = None
    explicit_http_config: ExplicitHttpConfig | None = None
    use_downstream_protocol_config: UseDownstreamHttpConfig | None = None
    auto_config: AutoHttpConfig | None = None
