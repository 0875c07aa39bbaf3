"""IP ranges (envoy.config.core.v3.CidrRange) and what they contain."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import attrs

from trio_envoy.config.address import CidrRange
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import parse_ip


@attrs.frozen
class Cidr:
    """A range of addresses of one family.

    Attributes:
        network: the address as a number, bits outside the prefix cleared.
        prefix_len: bits that count.
        bits: 32 or 128.
    """

    network: int
    prefix_len: int
    bits: int

    def contains(self, number: int, bits: int) -> bool:
        """Whether an address (as ip_number() gives it) is in the range."""
        shift = self.bits - self.prefix_len
        return bits == self.bits and number >> shift == self.network >> shift


def ip_number(ip: str) -> tuple[int, int]:
    """A canonical IP text as a number, and the bits of its family; a scope (`%eth0`) does not count."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    raw = socket.inet_pton(family, ip.partition("%")[0])
    return int.from_bytes(raw, "big"), len(raw) * 8


def parse_cidr(config: CidrRange) -> Cidr:
    """The range that a configuration names; a prefix longer than the address is the whole address, as in Envoy.

    Raises:
        ConfigError: the text is not an IP address.
    """
    ip = parse_ip(config.address_prefix)
    if ip is None:
        raise ConfigError(f"malformed IP address: {config.address_prefix}", at=config, field="address_prefix")
    number, bits = ip_number(ip)
    prefix_len = min(config.prefix_len or 0, bits)
    shift = bits - prefix_len
    return Cidr(number >> shift << shift, prefix_len, bits)


def in_any(ranges: Iterable[Cidr], ip: str) -> bool:
    """Whether an address is in one of the ranges."""
    number, bits = ip_number(ip)
    return any(cidr.contains(number, bits) for cidr in ranges)
