import pytest

from trio_envoy.config.accesslog import StdoutAccessLog
from trio_envoy.config.address import CidrRange
from trio_envoy.config.converter import ConfigConverter
from trio_envoy.config.hcm import (
    CodecType,
    HttpConnectionManager,
    HttpFilter,
    InternalAddressConfig,
    PathWithEscapedSlashesAction,
    ServerHeaderTransformation,
    SetCurrentClientCertDetails,
)

ROUTES = "route_config: {name: r}"
STDOUT = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"


def test_the_defaults(structure):
    made = structure(f"{{stat_prefix: a, {ROUTES}}}", HttpConnectionManager)

    assert made.codec_type is CodecType.AUTO
    assert made.server_header_transformation is ServerHeaderTransformation.OVERWRITE
    assert made.stream_idle_timeout is None
    assert made.generate_request_id is None
    assert made.http_filters == ()


def test_what_is_set(structure):
    made = structure(
        f"""
        stat_prefix: a
        {ROUTES}
        codec_type: http2
        http_filters: [{{name: f, disabled: true, typed_config: {{'@type': {STDOUT}}}}}]
        use_remote_address: true
        xff_num_trusted_hops: 2
        internal_address_config: {{unix_sockets: true, cidr_ranges: {{address_prefix: 10.0.0.0, prefix_len: 8}}}}
        stream_idle_timeout: 0s
        max_request_headers_kb: 96
        path_with_escaped_slashes_action: unescape_and_forward
        strip_any_host_port: true
        http_protocol_options: {{accept_http_10: true}}
        """,
        HttpConnectionManager,
    )

    assert made.codec_type is CodecType.HTTP2
    assert made.http_filters == (HttpFilter(name="f", disabled=True, typed_config=StdoutAccessLog()),)
    assert made.use_remote_address is True
    assert made.xff_num_trusted_hops == 2
    assert made.internal_address_config == InternalAddressConfig(
        unix_sockets=True, cidr_ranges=(CidrRange(address_prefix="10.0.0.0", prefix_len=8),)
    )
    assert made.stream_idle_timeout == 0.0
    assert made.max_request_headers_kb == 96
    assert made.path_with_escaped_slashes_action is PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD
    assert made.strip_any_host_port is True
    assert made.http_protocol_options.accept_http_10 is True


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ROUTES, "$.stat_prefix: value length must be at least 1 characters"),
        ("stat_prefix: a", "$: one of rds, route_config, scoped_routes is required (route_specifier)"),
        (
            f"{{stat_prefix: a, {ROUTES}, max_request_headers_kb: 8193}}",
            "$.max_request_headers_kb: value must be inside range (0, 8192], got 8193",
        ),
        (
            f"{{stat_prefix: a, {ROUTES}, http_filters: [{{}}]}}",
            "$.http_filters[0].name: value length must be at least 1 characters",
        ),
    ],
)
def test_what_it_may_not_be(faults, text, fault):
    assert faults(text, HttpConnectionManager.__proto__) == [fault]


def test_a_client_s_whole_chain_can_not_be_told(checked, resolve):
    converter = ConfigConverter(resolve)

    details = SetCurrentClientCertDetails

    converter.structure(checked("{subject: true, chain: true}", details.__proto__), details)

    assert [fault.text for fault in converter.faults] == [
        f"known to Envoy, not supported here: 'chain' of {details.__proto__}",
    ]
