"""How a cluster speaks HTTP: versions, timeouts and limits, from the current and the deprecated fields.

Proto: envoy.extensions.upstreams.http.v3.HttpProtocolOptions, and the fields of envoy.config.cluster.v3.Cluster that
it replaced. When the extension is there, the deprecated fields count for nothing, as in Envoy.
"""

from __future__ import annotations

import enum
from math import inf
from typing import Final

import attrs

from trio_envoy.config.cluster import Cluster, ClusterProtocolSelection
from trio_envoy.config.protocol import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    UpstreamHttpProtocolOptions,
)
from trio_envoy.config.upstreams import HttpProtocolOptions as ProtocolExtension
from trio_envoy.errors import ConfigError
from trio_envoy.http.h1.options import Http1Options
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.upstream.transport import scheme_of

EXTENSION: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
DEFAULT_CONNECT_TIMEOUT: Final = 5.0  # s; Cluster.connect_timeout
DEFAULT_IDLE_TIMEOUT: Final = 3600.0  # s; HttpProtocolOptions.idle_timeout
_NOTHING_COMMON: Final = HttpProtocolOptions()
_NOTHING_HTTP1: Final = Http1ProtocolOptions()
_NOTHING_HTTP2: Final = Http2ProtocolOptions()
_NOTHING_UPSTREAM: Final = UpstreamHttpProtocolOptions()


class Version(enum.Enum):
    """Which HTTP goes to the hosts."""

    HTTP1 = enum.auto()
    HTTP2 = enum.auto()
    DOWNSTREAM = enum.auto()  # that of the client
    AUTO = enum.auto()  # that of ALPN


@attrs.frozen(eq=False)
class ClusterOptions:
    """Compiled protocol options of a cluster.

    Attributes:
        version: which HTTP.
        common: limits for every version.
        http1, http2: options of the codecs.
        upstream: what TLS takes from the request.
        scheme: what the hosts speak: b"https" over TLS, else b"http".
        connect_timeout: seconds, TLS handshake included.
        idle_timeout: seconds without a stream; inf is off.
        max_connection_duration: seconds; inf is off.
        max_requests_per_connection: inf is off.
        max_stream_duration: seconds of one exchange; None is off; the router's business.
    """

    version: Version
    common: HttpProtocolOptions
    http1: Http1ProtocolOptions
    http2: Http2ProtocolOptions
    upstream: UpstreamHttpProtocolOptions
    scheme: bytes
    connect_timeout: float
    idle_timeout: float
    max_connection_duration: float
    max_requests_per_connection: float
    max_stream_duration: float | None

    @classmethod
    def of(cls, config: Cluster) -> ClusterOptions:
        """The options of a cluster.

        Raises:
            ConfigError: they contradict each other, or are not supported.
        """
        extension = _extension(config)
        version, http1, http2 = _current(extension) if extension else _deprecated(config)
        scheme = scheme_of(config)
        if version is Version.AUTO and scheme != b"https":
            text = f"ALPN configured for cluster {config.name} which has a non-ALPN transport socket"
            raise ConfigError(text, at=extension, field="auto_config")
        source = extension or config
        common = source.common_http_protocol_options or _NOTHING_COMMON
        upstream = source.upstream_http_protocol_options or _NOTHING_UPSTREAM
        if config.max_requests_per_connection is not None and common.max_requests_per_connection is not None:
            raise ConfigError(
                "Only one of max_requests_per_connection from Cluster or HttpProtocolOptions can be specified",
                at=config,
                field="max_requests_per_connection",
            )
        Http1Options.of_upstream(http1, common)  # now it is told what is wrong with them
        Http2Options.of_upstream(http2, common)
        requests = common.max_requests_per_connection or config.max_requests_per_connection
        return cls(
            version=version,
            common=common,
            http1=http1 or _NOTHING_HTTP1,
            http2=http2 or _NOTHING_HTTP2,
            upstream=upstream,
            scheme=scheme,
            connect_timeout=DEFAULT_CONNECT_TIMEOUT if config.connect_timeout is None else config.connect_timeout,
            idle_timeout=_timeout(common.idle_timeout, DEFAULT_IDLE_TIMEOUT),
            max_connection_duration=_timeout(common.max_connection_duration, inf),
            max_requests_per_connection=requests or inf,
            max_stream_duration=common.max_stream_duration or None,
        )


_Versions = tuple[Version, Http1ProtocolOptions | None, Http2ProtocolOptions | None]


def _extension(config: Cluster) -> ProtocolExtension | None:
    found: ProtocolExtension | None = None
    for name, message in config.typed_extension_protocol_options.items():
        if name == EXTENSION and isinstance(message, ProtocolExtension):
            found = message
        else:
            raise ConfigError(
                "Didn't find a registered network or http filter or protocol options implementation for name: "
                f"'{name}'",
                at=config,
                field=("typed_extension_protocol_options", name),
            )
    return found


def _current(config: ProtocolExtension) -> _Versions:
    if (explicit := config.explicit_http_config) is not None:
        version = Version.HTTP1 if explicit.http2_protocol_options is None else Version.HTTP2
        return version, explicit.http_protocol_options, explicit.http2_protocol_options
    if (auto := config.auto_config) is not None:
        return Version.AUTO, auto.http_protocol_options, auto.http2_protocol_options
    downstream = config.use_downstream_protocol_config
    assert downstream is not None, "one of them is required"
    return Version.DOWNSTREAM, downstream.http_protocol_options, downstream.http2_protocol_options


def _deprecated(config: Cluster) -> _Versions:
    if config.protocol_selection is ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL:
        version = Version.DOWNSTREAM
    elif config.http2_protocol_options is None:
        version = Version.HTTP1
    elif config.http_protocol_options is None:
        version = Version.HTTP2
    else:
        raise ConfigError(
            "cluster: Both HTTP1 and HTTP2 options may only be configured with non-default 'protocol_selection' values",
            at=config,
        )
    return version, config.http_protocol_options, config.http2_protocol_options


def _timeout(value: float | None, default: float) -> float:
    return default if value is None else value or inf
