from __future__ import annotations

import socket

import pytest

from trio_envoy.config.address import Address, Pipe, SocketAddress
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import (
    AF_UNIX,
    IpAddress,
    PipeAddress,
    from_config,
    from_sockaddr,
    parse_ip,
    parse_ip_port,
)


@pytest.mark.parametrize(
    ("address", "text", "ip", "family", "sockaddr"),
    [
        (IpAddress("127.0.0.1", 80), "127.0.0.1:80", "127.0.0.1", socket.AF_INET, ("127.0.0.1", 80)),
        (IpAddress("::1", 0), "[::1]:0", "::1", socket.AF_INET6, ("::1", 0)),
        (PipeAddress("/tmp/a"), "/tmp/a", "/tmp/a", AF_UNIX, "/tmp/a"),
        (PipeAddress("@a"), "@a", "@a", AF_UNIX, "\0a"),
    ],
)
def test_addresses_print_as_in_envoy(address, text, ip, family, sockaddr):
    assert (str(address), address.ip, address.family, address.sockaddr) == (text, ip, family, sockaddr)


@pytest.mark.parametrize("address", [IpAddress("::1", 80), PipeAddress("/tmp/a")])
def test_their_bytes_are_kept(address):
    assert address.text == str(address).encode()
    assert address.text is address.text


def test_addresses_are_values():
    assert {IpAddress("::1", 1), IpAddress("::1", 1)} == {IpAddress("::1", 2).with_port(1)}
    assert PipeAddress("/a") != IpAddress("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("0:0::1", "::1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%", None),
        ("[::1]", None),
        ("127.1", None),
        ("service1", None),
        ("", None),
        ("1.2.3.4\0", None),
        ("::\0", None),
    ],
)
def test_text_is_an_ip_address_or_it_is_not(text, host):
    assert parse_ip(text) == host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4:5", IpAddress("1.2.3.4", 5)),
        ("[::1]:65535", IpAddress("::1", 65535)),
        ("::1:5", None),
        ("[1.2.3.4]:5", None),
        ("1.2.3.4:65536", None),
        ("1.2.3.4:", None),
        ("1.2.3.4", None),
        ("a:1", None),
    ],
)
def test_text_with_a_port(text, address):
    assert parse_ip_port(text) == address


@pytest.mark.parametrize(
    ("family", "sockaddr", "address"),
    [
        (socket.AF_INET, ("10.0.0.1", 7), IpAddress("10.0.0.1", 7)),
        (socket.AF_INET6, ("::1", 7, 0, 0), IpAddress("::1", 7)),
        (socket.AF_INET6, ("::ffff:10.0.0.1", 7, 0, 0), IpAddress("10.0.0.1", 7)),
        (AF_UNIX, "/tmp/s", PipeAddress("/tmp/s")),
        (AF_UNIX, "", PipeAddress("")),
        (AF_UNIX, b"\0name", PipeAddress("@name")),
    ],
)
def test_from_sockaddr(family, sockaddr, address):
    assert from_sockaddr(family, sockaddr) == address


def test_from_config():
    of_ip = Address(socket_address=SocketAddress(address="0::1", port_value=80))
    of_pipe = Address(pipe=Pipe(path="/tmp/s"))

    assert from_config(of_ip) == IpAddress("::1", 80)
    assert from_config(of_pipe) == PipeAddress("/tmp/s")


def test_a_hostname_is_a_fault_of_its_field():
    bad = SocketAddress(address="service1", port_value=80)

    with pytest.raises(ConfigError, match=r"^malformed IP address: service1$") as caught:
        from_config(Address(socket_address=bad))

    assert caught.value.at is bad
    assert caught.value.field == ("address",)


def test_a_path_too_long_is_a_fault():
    with pytest.raises(ConfigError, match="exceeds maximum UNIX domain socket path size of 108"):
        from_config(Address(pipe=Pipe(path="/" + "a" * 107)))


def test_no_address_at_all_is_a_fault():
    with pytest.raises(ConfigError, match="needs 'socket_address' or 'pipe'"):
        from_config(Address())
