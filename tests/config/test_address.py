import pytest

from trio_envoy.config.address import Address, CidrRange, Pipe, SocketAddress, SocketAddressProtocol, TcpKeepalive


def test_an_ip_address_and_a_port(structure):
    made = structure("socket_address: {address: '::1', port_value: 80, ipv4_compat: true, protocol: udp}", Address)

    assert made.socket_address == SocketAddress(
        protocol=SocketAddressProtocol.UDP, address="::1", port_value=80, ipv4_compat=True
    )
    assert made.pipe is None


def test_port_zero_counts_as_set(structure):
    assert structure("{address: a, port_value: 0}", SocketAddress) == SocketAddress(address="a", port_value=0)


def test_a_pipe(structure):
    assert structure("pipe: {path: /tmp/x, mode: 0600}", Address) == Address(pipe=Pipe(path="/tmp/x", mode=0o600))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "$: one of socket_address, pipe, envoy_internal_address is required (address)"),
        ("pipe: {}", "$.pipe.path: value length must be at least 1 characters"),
        ("pipe: {path: /x, mode: 512}", "$.pipe.mode: value must be less than or equal to 511, got 512"),
        ("socket_address: {port_value: 1}", "$.socket_address.address: value length must be at least 1 characters"),
        (
            "socket_address: {address: a}",
            "$.socket_address: one of port_value, named_port is required (port_specifier)",
        ),
        (
            "socket_address: {address: a, port_value: 65536}",
            "$.socket_address.port_value: value must be less than or equal to 65535, got 65536",
        ),
    ],
)
def test_what_is_no_address(faults, text, fault):
    assert faults(text, Address.__proto__) == [fault]


def test_a_range_of_addresses(structure, faults):
    assert structure("{address_prefix: 10.0.0.0, prefix_len: 8}", CidrRange) == CidrRange(
        address_prefix="10.0.0.0", prefix_len=8
    )
    assert structure("{address_prefix: 10.0.0.0}", CidrRange).prefix_len is None
    assert len(faults("{address_prefix: a, prefix_len: 129}", CidrRange.__proto__)) == 1


def test_keepalive(structure):
    text = "{keepalive_probes: 3, keepalive_time: 60, keepalive_interval: 0}"

    assert structure(text, TcpKeepalive) == TcpKeepalive(keepalive_probes=3, keepalive_time=60, keepalive_interval=0)
