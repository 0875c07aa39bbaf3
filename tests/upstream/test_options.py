from math import inf

import pytest

from tests.upstream.fakes import config_of
from trio_envoy.config.cluster import ClusterProtocolSelection
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.protocol import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from trio_envoy.config.tls import UpstreamTlsContext
from trio_envoy.config.upstreams import (
    AutoHttpConfig,
    ExplicitHttpConfig,
    UseDownstreamHttpConfig,
)
from trio_envoy.config.upstreams import HttpProtocolOptions as ProtocolExtension
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.transport_sockets.raw_buffer import RawBuffer
from trio_envoy.upstream.options import EXTENSION, ClusterOptions, Version

TLS = TransportSocket(name="tls", typed_config=UpstreamTlsContext())


def options_of(**fields):
    return ClusterOptions.of(config_of(**fields))


def extended(**fields):
    return {"typed_extension_protocol_options": {EXTENSION: ProtocolExtension(**fields)}}


def test_defaults():
    options = options_of()

    assert options.version is Version.HTTP1
    assert options.connect_timeout == 5.0
    assert options.idle_timeout == 3600.0
    assert options.max_connection_duration == inf
    assert options.max_requests_per_connection == inf
    assert options.max_stream_duration is None


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"http_protocol_options": Http1ProtocolOptions()}, Version.HTTP1),
        ({"http2_protocol_options": Http2ProtocolOptions()}, Version.HTTP2),
        ({"protocol_selection": ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL}, Version.DOWNSTREAM),
        (
            {
                "protocol_selection": ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL,
                "http_protocol_options": Http1ProtocolOptions(),
                "http2_protocol_options": Http2ProtocolOptions(),
            },
            Version.DOWNSTREAM,
        ),
        (
            extended(explicit_http_config=ExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())),
            Version.HTTP1,
        ),
        (
            extended(explicit_http_config=ExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())),
            Version.HTTP2,
        ),
        (extended(use_downstream_protocol_config=UseDownstreamHttpConfig()), Version.DOWNSTREAM),
        ({"transport_socket": TLS, **extended(auto_config=AutoHttpConfig())}, Version.AUTO),
    ],
)
def test_version(fields, version):
    assert options_of(**fields).version is version


def test_auto_config_brings_the_options_of_both():
    auto = AutoHttpConfig(
        http_protocol_options=Http1ProtocolOptions(enable_trailers=True),
        http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=7),
    )

    options = options_of(transport_socket=TLS, **extended(auto_config=auto))

    assert options.http1 is auto.http_protocol_options
    assert options.http2 is auto.http2_protocol_options


@pytest.mark.parametrize("socket", [None, TransportSocket(name="raw", typed_config=RawBuffer())])
def test_auto_config_needs_alpn(socket):
    with pytest.raises(ConfigError, match="ALPN configured for cluster c which has a non-ALPN transport") as caught:
        options_of(transport_socket=socket, **extended(auto_config=AutoHttpConfig()))

    assert caught.value.field == ("auto_config",)


def test_both_versions_need_a_choice():
    with pytest.raises(ConfigError, match="Both HTTP1 and HTTP2 options"):
        options_of(http_protocol_options=Http1ProtocolOptions(), http2_protocol_options=Http2ProtocolOptions())


@pytest.mark.parametrize(("name", "message"), [("foo", ProtocolExtension()), (EXTENSION, Http1ProtocolOptions())])
def test_other_protocol_options_are_refused_as_envoy_does(name, message):
    with pytest.raises(ConfigError, match=f"implementation for name: '{name}'"):
        options_of(typed_extension_protocol_options={name: message})


def test_the_extension_wins_over_deprecated_fields():
    options = options_of(
        http2_protocol_options=Http2ProtocolOptions(),
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=1.0),
        **extended(
            explicit_http_config=ExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions(enable_trailers=True)),
            common_http_protocol_options=HttpProtocolOptions(
                idle_timeout=2.0, max_connection_duration=3.0, max_stream_duration=4.0, max_requests_per_connection=6
            ),
        ),
    )

    assert options.version is Version.HTTP1
    assert options.http1.enable_trailers
    assert options.idle_timeout == 2.0
    assert options.max_connection_duration == 3.0
    assert options.max_stream_duration == 4.0
    assert options.max_requests_per_connection == 6


def test_zero_turns_timeouts_and_limits_off():
    options = options_of(
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=0.0, max_requests_per_connection=0)
    )

    assert options.idle_timeout == inf
    assert options.max_requests_per_connection == inf
    assert options_of(max_requests_per_connection=0).max_requests_per_connection == inf


@pytest.mark.parametrize(("old", "new"), [(5, 6), (0, 0)])
def test_the_limit_of_requests_stands_in_one_place(old, new):
    with pytest.raises(ConfigError, match="Only one of max_requests_per_connection from Cluster") as caught:
        options_of(
            max_requests_per_connection=old,
            **extended(
                explicit_http_config=ExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions()),
                common_http_protocol_options=HttpProtocolOptions(max_requests_per_connection=new),
            ),
        )

    assert caught.value.field == ("max_requests_per_connection",)


def test_the_deprecated_limit_of_requests_still_counts():
    assert options_of(max_requests_per_connection=5).max_requests_per_connection == 5


def test_the_connect_timeout():
    assert options_of(connect_timeout=0.25).connect_timeout == 0.25
