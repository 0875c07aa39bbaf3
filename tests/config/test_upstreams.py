import pytest

from trio_envoy.config import protocol
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.upstreams import ExplicitHttpConfig, HttpProtocolOptions, UseDownstreamHttpConfig

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


def test_one_way_is_required(faults):
    assert faults("{}", NAME) == [
        "$: one of explicit_http_config, use_downstream_protocol_config, auto_config is required"
        " (upstream_protocol_options)"
    ]
