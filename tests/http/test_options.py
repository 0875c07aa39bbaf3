from math import inf
from random import Random

import pytest

from trio_envoy.config.hcm import HttpConnectionManager, ServerHeaderTransformation
from trio_envoy.config.protocol import Http1ProtocolOptions, HttpProtocolOptions
from trio_envoy.config.types import Percent
from trio_envoy.http.options import CodecOptions


def of(**fields):
    return CodecOptions.of_downstream(HttpConnectionManager(stat_prefix="x", **fields), Random(1))


def test_defaults_are_envoys():
    options = of()

    assert options.server_name == b"envoy"
    assert options.idle_timeout == 3600.0
    assert options.max_connection_duration == inf
    assert options.max_requests == inf
    assert options.headers_timeout == inf
    assert options.delayed_close_timeout == 1.0
    assert options.drain_timeout == 5.0
    assert not options.proxy_100_continue
    assert options.close_on_bad_request
    assert options.http1.max_head_bytes == 61440
    assert options.http2.max_streams == 1024


def test_what_is_said_counts():
    common = HttpProtocolOptions(idle_timeout=2.0, max_connection_duration=3.0, max_requests_per_connection=4)
    options = of(
        common_http_protocol_options=common,
        request_headers_timeout=1.0,
        delayed_close_timeout=0.0,
        drain_timeout=7.0,
        server_name="me",
        proxy_100_continue=True,
        http1_safe_max_connection_duration=True,
        max_request_headers_kb=1,
    )

    assert (options.idle_timeout, options.max_connection_duration, options.max_requests) == (2.0, 3.0, 4)
    assert (options.headers_timeout, options.delayed_close_timeout, options.drain_timeout) == (1.0, 0.0, 7.0)
    assert options.server_name == b"me"
    assert options.proxy_100_continue
    assert options.safe_duration
    assert options.http1.max_head_bytes == options.http2.max_head_bytes == 1024


@pytest.mark.parametrize(("said", "timeout"), [(None, None), (3.0, 3.0), (0.0, inf)])
def test_a_flush_has_a_timeout_of_its_own_or_that_of_an_idle_stream(said, timeout):
    assert of(stream_flush_timeout=said).flush_timeout == timeout


def test_zero_turns_timeouts_off():
    options = of(common_http_protocol_options=HttpProtocolOptions(idle_timeout=0.0), request_headers_timeout=0.0)

    assert options.idle_timeout == inf
    assert options.headers_timeout == inf


def test_pass_through_names_no_server():
    assert of(server_header_transformation=ServerHeaderTransformation.PASS_THROUGH).server_name is None


@pytest.mark.parametrize(
    ("hcm", "http1", "closes"), [(None, None, True), (True, None, False), (True, False, True), (None, True, False)]
)
def test_whose_word_on_bad_requests_counts(hcm, http1, closes):
    options = of(
        stream_error_on_invalid_http_message=hcm,
        http_protocol_options=Http1ProtocolOptions(override_stream_error_on_invalid_http_message=http1),
    )

    assert options.close_on_bad_request is closes


def test_a_drain_may_take_longer_by_chance():
    options = of(drain_timeout=10.0, drain_timeout_jitter=Percent(value=50.0))

    delays = [options.drain_delay() for _ in range(200)]

    assert 10.0 <= min(delays) < 10.5
    assert 14.5 < max(delays) <= 15.0


@pytest.mark.parametrize("jitter", [None, Percent()])
def test_without_jitter_a_drain_takes_what_is_said(jitter):
    assert of(drain_timeout=10.0, drain_timeout_jitter=jitter).drain_delay() == 10.0
