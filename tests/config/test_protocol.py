import pytest

from trio_envoy.config.protocol import (
    HeaderKeyFormat,
    HeadersWithUnderscoresAction,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
    ProperCaseWords,
    UpstreamHttpProtocolOptions,
)


def test_options_of_every_version(structure):
    made = structure(
        "{idle_timeout: 0s, max_headers_count: 5, headers_with_underscores_action: 2}", HttpProtocolOptions
    )

    assert made == HttpProtocolOptions(
        idle_timeout=0.0,
        max_headers_count=5,
        headers_with_underscores_action=HeadersWithUnderscoresAction.DROP_HEADER,
    )


def test_options_of_http1(structure):
    made = structure("{allow_absolute_url: false, header_key_format: {proper_case_words: {}}}", Http1ProtocolOptions)

    assert made == Http1ProtocolOptions(
        allow_absolute_url=False, header_key_format=HeaderKeyFormat(proper_case_words=ProperCaseWords())
    )
    assert structure("{}", Http1ProtocolOptions).allow_absolute_url is None


def test_options_of_http2(structure):
    made = structure(
        "{max_concurrent_streams: 100,"
        " connection_keepalive: {interval: 30s, timeout: 5s, interval_jitter: {value: 10}}}",
        Http2ProtocolOptions,
    )

    assert made.max_concurrent_streams == 100
    assert isinstance(made.connection_keepalive, KeepaliveSettings)
    assert (made.connection_keepalive.interval, made.connection_keepalive.timeout) == (30.0, 5.0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("max_concurrent_streams: 0", "$.max_concurrent_streams: value must be inside range [1, 2147483647], got 0"),
        (
            "initial_stream_window_size: 1",
            "$.initial_stream_window_size: value must be inside range [65535, 2147483647], got 1",
        ),
        (
            "custom_settings_parameters: [{identifier: 65536, value: 1}]",
            "$.custom_settings_parameters[0].identifier: value must be inside range [0, 65535], got 65536",
        ),
        ("custom_settings_parameters: [{identifier: 9}]", "$.custom_settings_parameters[0].value: value is required"),
        ("connection_keepalive: {}", "$.connection_keepalive.timeout: value is required"),
    ],
)
def test_what_http2_may_not_be(faults, text, fault):
    assert fault in faults(text, Http2ProtocolOptions.__proto__)


def test_what_tls_takes_from_the_request(structure):
    made = structure(
        "{auto_sni: true, auto_san_validation: true, override_auto_sni_header: ':path'}", UpstreamHttpProtocolOptions
    )

    assert made == UpstreamHttpProtocolOptions(
        auto_sni=True, auto_san_validation=True, override_auto_sni_header=":path"
    )
