from math import inf

import pytest

from trio_envoy.config.protocol import (
    HeadersWithUnderscoresAction,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
    SettingsParameter,
)
from trio_envoy.config.types import Percent
from trio_envoy.errors import ConfigError
from trio_envoy.http.h2.options import Http2Options, KeepAlive


def test_defaults_of_each_side():
    assert Http2Options.of_downstream(None, None, None) == Http2Options()
    assert Http2Options.of_upstream(None, None) == Http2Options(max_head_bytes=80 * 1024)
    assert Http2Options().stream_window == 16 << 20
    assert Http2Options().connection_window == 24 << 20
    assert Http2Options().max_streams == 1024


def test_what_is_said_counts():
    config = Http2ProtocolOptions(
        hpack_table_size=0,
        max_concurrent_streams=7,
        initial_stream_window_size=70_000,
        initial_connection_window_size=80_000,
        allow_connect=True,
        max_outbound_frames=1,
        max_outbound_control_frames=2,
        max_consecutive_inbound_frames_with_empty_payload=0,
        max_inbound_priority_frames_per_stream=4,
        max_inbound_window_update_frames_per_data_frame_sent=5,
        override_stream_error_on_invalid_http_message=True,
        custom_settings_parameters=tuple(SettingsParameter(identifier=i, value=v) for i, v in ((99, 5), (2, 0))),
        connection_keepalive=KeepaliveSettings(interval=3.0, timeout=2.0),
    )
    common = HttpProtocolOptions(
        max_headers_count=8,
        max_response_headers_kb=9,
        headers_with_underscores_action=HeadersWithUnderscoresAction.REJECT_REQUEST,
    )

    options = Http2Options.of_downstream(config, common, 3)

    assert options == Http2Options(
        max_head_bytes=3 * 1024,
        max_fields=8,
        underscores=HeadersWithUnderscoresAction.REJECT_REQUEST,
        max_streams=7,
        stream_window=70_000,
        connection_window=80_000,
        table_size=0,
        allow_connect=True,
        stream_error=True,
        max_outbound_frames=1,
        max_outbound_control_frames=2,
        max_empty_frames=0,
        max_priority_frames=4,
        max_window_updates=5,
        keep_alive=KeepAlive(interval=3.0, timeout=2.0, jitter=15.0, idle_interval=inf),
        custom_settings=((99, 5), (2, 0)),
    )
    assert Http2Options.of_upstream(config, common).max_head_bytes == 9 * 1024


def test_whose_word_on_malformed_messages_counts():
    assert Http2Options.of_upstream(
        Http2ProtocolOptions(stream_error_on_invalid_http_messaging=True), None
    ).stream_error
    both = Http2ProtocolOptions(
        stream_error_on_invalid_http_messaging=True, override_stream_error_on_invalid_http_message=False
    )
    assert not Http2Options.of_upstream(both, None).stream_error


def test_keep_alive_needs_an_interval():
    def of(**fields):
        config = Http2ProtocolOptions(connection_keepalive=KeepaliveSettings(timeout=1.0, **fields))
        return Http2Options.of_upstream(config, None).keep_alive

    assert of() is None
    assert of(connection_idle_interval=4.0, interval_jitter=Percent(value=2.0)) == KeepAlive(
        interval=inf, timeout=1.0, jitter=2.0, idle_interval=4.0
    )


@pytest.mark.parametrize(
    ("parameters", "named", "fault"),
    [
        ([(2, 1)], {}, "server push is not supported by Envoy and can not be enabled via a SETTINGS parameter."),
        ([(8, 0)], {}, 'the "allow_connect" SETTINGS parameter must only be configured through the named field'),
        ([(99, 1), (99, 2)], {}, "inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {0x63}"),
        (
            [(4, 70_000)],
            {"initial_stream_window_size": 70_000},
            "the {initial_stream_window_size} HTTP/2 SETTINGS parameter(s) can not be configured through both named and"
            " custom parameters",
        ),
    ],
)
def test_custom_settings_that_may_not_be(parameters, named, fault):
    entries = tuple(SettingsParameter(identifier=identifier, value=value) for identifier, value in parameters)

    with pytest.raises(ConfigError) as caught:
        Http2Options.of_upstream(Http2ProtocolOptions(custom_settings_parameters=entries, **named), None)
    assert str(caught.value) == fault
    assert caught.value.at is entries[-1]


def test_custom_settings_are_said_once():
    entries = (SettingsParameter(identifier=99, value=1),) * 2

    assert Http2Options.of_upstream(Http2ProtocolOptions(custom_settings_parameters=entries), None).custom_settings == (
        (99, 1),
    )
