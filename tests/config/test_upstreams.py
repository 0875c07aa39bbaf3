import pytest

from trio_envoy.config import protocol
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.converter import ConfigConverter
from trio_envoy.config.upstreams import AutoHttpConfig, ExplicitHttpConfig, HttpProtocolOptions, UseDownstreamHttpConfig

NAME = HttpProtocolOptions.__proto__


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "explicit_http_config: {http2_protocol_options: {}}",
            HttpProtocolOptions(
                explicit_http_config=ExplicitHttpConfig(http2_protocol_options=protocol.Http2ProtocolOptions())
            ),
        ),
        (
            "use_downstream_protocol_config: {}",
            HttpProtocolOptions(use_downstream_protocol_config=UseDownstreamHttpConfig()),
        ),
        (
            "auto_config: {http_protocol_options: {enable_trailers: true}, http2_protocol_options: {}}",
            HttpProtocolOptions(
                auto_config=AutoHttpConfig(
                    http_protocol_options=protocol.Http1ProtocolOptions(enable_trailers=True),
                    http2_protocol_options=protocol.Http2ProtocolOptions(),
                )
            ),
        ),
    ],
)
def test_which_protocol_a_cluster_speaks(structure, text, made):
    assert structure(text, HttpProtocolOptions) == made


def test_it_is_found_by_its_type_in_the_cluster(structure):
    made = structure(
        f"{{name: a, typed_extension_protocol_options: {{{NAME}: {{'@type': type.googleapis.com/{NAME},"
        " common_http_protocol_options: {idle_timeout: 1s}, explicit_http_config: {http_protocol_options: {}}}}}",
        Cluster,
    )
    options = made.typed_extension_protocol_options[NAME]

    assert isinstance(options, HttpProtocolOptions)
    assert options.common_http_protocol_options == protocol.HttpProtocolOptions(idle_timeout=1.0)


@pytest.mark.parametrize("field", ["http3_protocol_options", "alternate_protocols_cache_options"])
def test_http3_is_refused_by_name(checked, resolve, field):
    value = "{name: a}" if field == "alternate_protocols_cache_options" else "{}"
    converter = ConfigConverter(resolve)

    converter.structure(checked(f"auto_config: {{{field}: {value}}}", NAME), HttpProtocolOptions)

    assert [fault.text for fault in converter.faults] == [
        f"known to Envoy, not supported here: '{field}' of {AutoHttpConfig.__proto__}",
    ]


def test_one_way_is_required(faults):
    assert faults("{}", NAME) == [
        "$: one of explicit_http_config, use_downstream_protocol_config, auto_config is required"
        " (upstream_protocol_options)"
    ]
