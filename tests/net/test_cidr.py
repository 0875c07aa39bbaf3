from __future__ import annotations

import pytest

from trio_envoy.config.address import CidrRange
from trio_envoy.errors import ConfigError
from trio_envoy.net.cidr import in_any, ip_number, parse_cidr


@pytest.mark.parametrize(
    ("prefix", "length", "inside", "outside"),
    [
        ("10.0.0.0", 8, "10.255.0.1", "11.0.0.1"),
        ("10.1.2.3", 16, "10.1.9.9", "10.2.0.0"),
        ("10.1.2.3", 40, "10.1.2.3", "10.1.2.4"),
        ("0.0.0.0", None, "1.2.3.4", "::1"),
        ("fe80::", 10, "fe80::1%eth0", "fec0::1"),
        ("::1", 128, "::1", "0.0.0.1"),
    ],
)
def test_ranges(prefix, length, inside, outside):
    ranges = [parse_cidr(CidrRange(address_prefix=prefix, prefix_len=length))]

    assert in_any(ranges, inside)
    assert not in_any(ranges, outside)
    assert not in_any([], inside)


def test_numbers():
    assert ip_number("1.2.3.4") == (0x01020304, 32)
    assert ip_number("::1") == (1, 128)


def test_a_name_is_a_fault():
    config = CidrRange(address_prefix="foo", prefix_len=8)

    with pytest.raises(ConfigError, match=r"^malformed IP address: foo$") as caught:
        parse_cidr(config)
    assert caught.value.at is config
