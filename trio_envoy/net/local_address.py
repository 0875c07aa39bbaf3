"""Our own address, as Envoy finds it for x-forwarded-for: the first of this machine that isn't loopback.

Source: Envoy, Network::Utility::getLocalAddress.
"""

from __future__ import annotations

import socket
from typing import Final

# Connecting a datagram socket sends nothing; it makes the kernel choose the source address of a route.
_ELSEWHERE: Final = {"v4": (socket.AF_INET, "192.0.2.1", "127.0.0.1"), "v6": (socket.AF_INET6, "2001:db8::1", "::1")}
_PORT: Final = 9  # discard


def local_address(version: str) -> str:
    """The IP of this machine, without a port; loopback when it has no other.

    Args:
        version: "v4" or "v6", --local-address-ip-version.
    """
    family, elsewhere, loopback = _ELSEWHERE[version]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, _PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return loopback
