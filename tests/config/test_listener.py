import pytest

from trio_envoy.config.address import CidrRange
from trio_envoy.config.core import TrafficDirection
from trio_envoy.config.listener import ConnectionSourceType, DrainType, FilterChainMatch, Listener

STDOUT = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"


def test_a_listener(structure):
    made = structure(
        f"""
        name: l
        address: {{socket_address: {{address: 0.0.0.0, port_value: 80}}}}
        additional_addresses: {{address: {{pipe: {{path: /x}}}}}}
        filter_chains:
        - name: c
          filters: [{{name: f, typed_config: {{'@type': {STDOUT}}}}}]
          transport_socket_connect_timeout: 1s
        default_filter_chain: {{filters: []}}
        per_connection_buffer_limit_bytes: 32768
        listener_filters_timeout: 0s
        enable_reuse_port: false
        traffic_direction: inbound
        drain_type: MODIFY_ONLY
        """,
        Listener,
    )

    assert made.address.socket_address.port_value == 80
    assert made.additional_addresses[0].address.pipe.path == "/x"
    assert made.filter_chains[0].filters[0].name == "f"
    assert made.filter_chains[0].transport_socket_connect_timeout == 1.0
    assert made.default_filter_chain is not None
    assert made.per_connection_buffer_limit_bytes == 32768
    assert made.listener_filters_timeout == 0.0
    assert made.enable_reuse_port is False
    assert made.traffic_direction is TrafficDirection.INBOUND
    assert made.drain_type is DrainType.MODIFY_ONLY


def test_a_filter_chain_match(structure):
    made = structure(
        "{destination_port: 443, server_names: ['*.a.com', b.com], transport_protocol: tls, source_type: EXTERNAL,"
        " application_protocols: h2, source_ports: [1], prefix_ranges: {address_prefix: 1.2.3.4, prefix_len: 32}}",
        FilterChainMatch,
    )

    assert made == FilterChainMatch(
        destination_port=443,
        server_names=("*.a.com", "b.com"),
        transport_protocol="tls",
        source_type=ConnectionSourceType.EXTERNAL,
        application_protocols=("h2",),
        source_ports=(1,),
        prefix_ranges=(CidrRange(address_prefix="1.2.3.4", prefix_len=32),),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("destination_port: 0", "$.destination_port: value must be inside range [1, 65535], got 0"),
        ("source_ports: [70000]", "$.source_ports[0]: value must be inside range [1, 65535], got 70000"),
        ("prefix_ranges: [{}]", "$.prefix_ranges[0].address_prefix: value length must be at least 1 characters"),
    ],
)
def test_what_a_match_may_not_be(faults, text, fault):
    assert faults(text, FilterChainMatch.__proto__) == [fault]
