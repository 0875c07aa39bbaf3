from __future__ import annotations

import attrs
import pytest

from trio_envoy.config.address import CidrRange
from trio_envoy.config.listener import ConnectionSourceType, FilterChainMatch
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.net.match import ChainMatcher, Facts

FACTS = Facts(IpAddress("10.0.0.1", 443), IpAddress("172.16.0.9", 5000), IpAddress("192.168.1.7", 6000))


def a_matcher(**chains: FilterChainMatch) -> ChainMatcher[str]:
    matcher = ChainMatcher[str]()
    for name, match in chains.items():
        matcher.add(match, name, name, at=match)
    return matcher


def cidr(text: str) -> CidrRange:
    prefix, _, length = text.partition("/")
    return CidrRange(address_prefix=prefix, prefix_len=int(length))


M = FilterChainMatch


def test_one_chain_that_asks_nothing_takes_all():
    assert a_matcher(a=M()).find(FACTS) == "a"
    assert a_matcher(a=M()).find(Facts(PipeAddress("/s"), PipeAddress(""), PipeAddress(""))) == "a"


def test_no_chain_fits():
    assert a_matcher().find(FACTS) is None
    assert a_matcher(a=M(destination_port=80)).find(FACTS) is None


def test_the_default_takes_what_none_fits():
    matcher = ChainMatcher[str](default="d")
    matcher.add(M(destination_port=80), "a", "a", at=None)

    assert matcher.find(FACTS) == "d"
    assert ChainMatcher[str](default="d").find(FACTS) == "d"


@pytest.mark.parametrize(
    ("special", "changes"),
    [
        (M(destination_port=443), {}),
        (M(prefix_ranges=(cidr("10.0.0.0/8"),)), {}),
        (M(server_names=("a.b",)), {"server_name": "a.b"}),
        (M(transport_protocol="tls"), {"transport": "tls"}),
        (M(transport_protocol="raw_buffer"), {}),
        (M(application_protocols=("x", "h2")), {"alpn": ("h2", "http/1.1")}),
        (M(direct_source_prefix_ranges=(cidr("172.16.0.0/12"),)), {}),
        (M(source_type=ConnectionSourceType.EXTERNAL), {}),
        (M(source_prefix_ranges=(cidr("192.168.0.0/16"),)), {}),
        (M(source_ports=(1, 6000)), {}),
    ],
)
def test_each_criterion_wins_over_a_chain_that_does_not_ask(special, changes):
    facts = attrs.evolve(FACTS, **changes)
    nothing = Facts(IpAddress("1.1.1.1", 1), IpAddress("1.1.1.1", 2), IpAddress("1.1.1.1", 2), transport="other")

    for matcher in (a_matcher(special=special, other=M()), a_matcher(other=M(), special=special)):
        assert matcher.find(facts) == "special"
        assert matcher.find(nothing) == "other"


def test_the_longest_range_wins():
    matcher = a_matcher(
        eight=M(prefix_ranges=(cidr("10.0.0.0/8"),)),
        host=M(prefix_ranges=(cidr("10.0.0.1/32"), cidr("10.9.9.9/32"))),
        world=M(prefix_ranges=(cidr("0.0.0.0/0"),)),
        six=M(prefix_ranges=(cidr("fe80::/10"),)),
    )

    def at(host):
        return matcher.find(attrs.evolve(FACTS, local=IpAddress(host, 1)))

    assert [at(h) for h in ("10.0.0.1", "10.9.9.9", "10.0.0.2", "1.1.1.1", "fe80::1", "::1")] == [
        "host",
        "host",
        "eight",
        "world",
        "six",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("www.example.com", "exact"),
        ("a.example.com", "example"),
        ("a.b.example.com", "b"),
        ("x.a.b.example.com", "b"),
        ("other.com", "com"),
        ("com", "none"),
        ("", "none"),
    ],
)
def test_server_names(name, chain):
    matcher = a_matcher(
        exact=M(server_names=("WWW.example.com",)),
        example=M(server_names=("*.example.com",)),
        b=M(server_names=("*.b.example.com",)),
        com=M(server_names=("*.com",)),
        none=M(),
    )

    assert matcher.find(attrs.evolve(FACTS, server_name=name)) == chain


def test_there_is_no_way_back():
    matcher = a_matcher(port=M(destination_port=443, server_names=("a.b",)), name=M(server_names=("c.d",)))

    assert matcher.find(attrs.evolve(FACTS, server_name="c.d")) is None
    assert matcher.find(attrs.evolve(FACTS, server_name="a.b")) == "port"


@pytest.mark.parametrize(
    ("remote", "chain"),
    [
        (IpAddress("127.0.0.9", 1), "local"),
        (IpAddress("::1", 1), "local"),
        (IpAddress("10.0.0.1", 1), "local"),
        (PipeAddress(""), "local"),
        (IpAddress("10.0.0.2", 1), "external"),
    ],
)
def test_source_types(remote, chain):
    matcher = a_matcher(
        local=M(source_type=ConnectionSourceType.SAME_IP_OR_LOOPBACK),
        external=M(source_type=ConnectionSourceType.EXTERNAL),
    )

    assert matcher.find(attrs.evolve(FACTS, remote=remote)) == chain


def test_the_same_rules_twice_are_a_fault():
    matcher = a_matcher(a=M(destination_port=1))

    with pytest.raises(ConfigError, match="filter chain 'b' has the same matching rules defined as 'a'"):
        matcher.add(M(destination_port=1), "b", "b", at=None)


def test_overlapping_rules_are_a_fault():
    matcher = a_matcher(a=M(server_names=("a.b", "c.d")))

    with pytest.raises(ConfigError, match="multiple filter chains with overlapping matching rules are defined"):
        matcher.add(M(server_names=("x.y", "A.b")), "b", "b", at=None)


@pytest.mark.parametrize("name", ["*", "a*.b", "*a.b", "a.*"])
def test_partial_wildcards_are_a_fault(name):
    with pytest.raises(ConfigError, match="partial wildcards are not supported"):
        a_matcher(a=M(server_names=(name,)))


@pytest.mark.parametrize(
    ("match", "needed"),
    [
        (M(), False),
        (M(transport_protocol="raw_buffer", source_ports=(1,)), False),
        (M(transport_protocol="tls"), True),
        (M(server_names=("a",)), True),
        (M(application_protocols=("h2",)), True),
    ],
)
def test_what_needs_an_inspector(match, needed):
    assert a_matcher(a=match).needs_tls_inspector is needed
