import ipaddress
import socket

import pytest

from trio_envoy.net import local_address as module
from trio_envoy.net.local_address import local_address


@pytest.mark.parametrize(("version", "kind"), [("v4", ipaddress.IPv4Address), ("v6", ipaddress.IPv6Address)])
def test_it_is_an_address_of_that_version(version, kind):
    assert isinstance(ipaddress.ip_address(local_address(version)), kind)


@pytest.mark.parametrize(("version", "loopback"), [("v4", "127.0.0.1"), ("v6", "::1")])
def test_without_a_route_it_is_loopback(version, loopback, monkeypatch):
    class NoRoute(socket.socket):
        def connect(self, _):
            raise OSError("network is unreachable")

    monkeypatch.setattr(module.socket, "socket", NoRoute)

    assert local_address(version) == loopback
