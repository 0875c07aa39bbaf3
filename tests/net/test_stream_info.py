from __future__ import annotations

from math import isnan

import pytest

from trio_envoy.net.address import IpAddress
from trio_envoy.net.stream_info import DC, DPE, NR, UF, UH, ConnectionInfo, StreamInfo, TlsInfo, flags_long, flags_short


@pytest.mark.parametrize(
    ("flags", "short", "long"),
    [
        (0, "-", "-"),
        (NR, "NR", "NoRouteFound"),
        (DC | UF | UH, "UH,UF,DC", "NoHealthyUpstream,UpstreamConnectionFailure,DownstreamConnectionTermination"),
        (DPE, "DPE", "DownstreamProtocolError"),
    ],
)
def test_flags_print_in_envoys_order(flags, short, long):
    assert flags_short(flags) == short
    assert flags_long(flags) == long


def test_what_is_not_known_yet():
    connection = ConnectionInfo(7, IpAddress("10.0.0.1", 80), IpAddress("10.0.0.2", 5))
    stream = StreamInfo(1.0, 2.0, connection)

    assert connection.direct_remote == connection.remote
    assert connection.tls is None
    assert stream.connection is connection
    assert isnan(stream.end)
    assert TlsInfo(version="TLSv1.3").peer_certificate is None
