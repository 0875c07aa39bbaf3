"""The client's address from x-forwarded-for; parity headers/detect_xff* has the transcripts."""

import pytest

from tests.fakes import a_services, headers
from trio_envoy.config.address import CidrRange
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.http.original_ip_detection.xff import XffConfig, XffTrustedCidrs, make
from trio_envoy.hcm.client_address import Detected
from trio_envoy.net.address import IpAddress, PipeAddress

PEER = IpAddress("127.0.0.1", 99)
NETWORKS = XffTrustedCidrs(
    cidrs=(
        CidrRange(address_prefix="127.0.0.0", prefix_len=8),
        CidrRange(address_prefix="10.2.0.0", prefix_len=15),
    )
)


def detected(config, forwarded, peer=PEER):
    fields = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return make(config, a_services()).detect(headers(fields), peer)


def found(ip, *, internal=False):
    return Detected(None if ip is None else IpAddress(ip, 0), internal=internal)


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, None, found(None)),
        (0, "1.1.1.1", found("1.1.1.1", internal=True)),
        (0, "1.1.1.1,2.2.2.2", found("2.2.2.2")),
        (0, "bad", found(None)),
        (1, "1.1.1.1", found(None)),
        (1, "1.1.1.1, 2.2.2.2", found("1.1.1.1")),
        (1, "::1, 2.2.2.2", found("::1")),
    ],
)
def test_so_many_from_the_right(hops, forwarded, expected):
    assert detected(XffConfig(xff_num_trusted_hops=hops), forwarded) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (None, found(None)),
        ("10.2.1.1, 10.9.2.2, 10.3.3.3", found("10.9.2.2")),
        ("10.2.1.1, 10.2.2.2, 10.3.3.3", found("10.2.1.1")),
        ("10.2.1.1, x, 10.3.3.3", found(None)),
        ("10.2.7.7", found("10.2.7.7", internal=True)),
        ("10.1.1.1", found("10.1.1.1", internal=True)),
        ("10.1.1.1,10.2.2.2", found("10.1.1.1")),
    ],
)
def test_the_first_that_is_no_proxy_of_ours(forwarded, expected):
    assert detected(XffConfig(xff_trusted_cidrs=NETWORKS), forwarded) == expected


@pytest.mark.parametrize("peer", [IpAddress("9.9.9.9", 1), PipeAddress("/x")])
def test_a_peer_that_is_no_proxy_of_ours_is_not_believed(peer):
    assert detected(XffConfig(xff_trusted_cidrs=NETWORKS), "1.1.1.1", peer) == found(None)


@pytest.mark.parametrize(("skip", "appended"), [(None, False), (True, False), (False, True)])
@pytest.mark.parametrize("networks", [None, NETWORKS])
def test_the_peer_is_appended_only_where_that_is_said(networks, skip, appended):
    assert detected(XffConfig(skip_xff_append=skip, xff_trusted_cidrs=networks), None).append is appended


def test_there_is_only_one_way():
    with pytest.raises(ConfigError, match="Cannot set both xff_num_trusted_hops and xff_trusted_cidrs"):
        make(XffConfig(xff_num_trusted_hops=1, xff_trusted_cidrs=NETWORKS), a_services())


def test_a_network_that_is_none():
    with pytest.raises(ConfigError, match="malformed IP address: x"):
        make(XffConfig(xff_trusted_cidrs=XffTrustedCidrs(cidrs=(CidrRange(address_prefix="x"),))), a_services())
