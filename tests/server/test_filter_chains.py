from __future__ import annotations

from math import inf

import attrs
import pytest

from tests.fakes import Scripted, a_services
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.listener import Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.network.echo import Echo, EchoFilter
from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.address import IpAddress
from trio_envoy.net.match import Facts
from trio_envoy.server.filter_chains import compile_chains, compile_listener_filters

FACTS = Facts(IpAddress("10.0.0.1", 443), IpAddress("10.0.0.2", 1), IpAddress("10.0.0.2", 1))
ECHO = Filter(name="e", typed_config=Echo())


async def nothing(_connection):
    pass


PASSING = Filter(name="p", typed_config=Scripted(on_connection=nothing))


@pytest.fixture
def context():
    services = a_services()
    return FilterContext(
        services=services,
        clusters=None,
        scope=services.stats.scope(""),
        listener_scope=services.stats.scope("listener.a."),
        listener_name="a",
        buffer_limit_bytes=1,
        direction="UNSPECIFIED",
        draining=lambda: False,
    )


def a_listener(*filters, **chain) -> Listener:
    return Listener(name="a", filter_chains=(FilterChain(filters=filters, **chain),))


def test_filters_in_order_and_the_last_serves(context):
    chain = compile_chains(a_listener(PASSING, PASSING, ECHO, name="c"), context).find(FACTS)

    assert chain.name == "c"
    assert [made.on_connection for made in chain.filters] == [nothing, nothing]
    assert isinstance(chain.terminal, EchoFilter)
    assert chain.transport is None
    assert chain.connect_timeout == inf


def test_a_chain_without_filters_serves_nobody(context):
    assert compile_chains(a_listener(), context).find(FACTS).terminal is None


def test_a_transport_socket_and_its_timeout(context):
    async def accept(channel):
        return channel

    socket = TransportSocket(name="t", typed_config=Scripted(accept=accept))
    config = a_listener(ECHO, transport_socket=socket, transport_socket_connect_timeout=3.0)
    chain = compile_chains(config, context).find(FACTS)

    assert chain.transport.accept is accept
    assert chain.transport.context.scope is context.listener_scope
    assert chain.connect_timeout == 3


def test_chains_are_chosen_by_what_they_match(context):
    special = FilterChain(filter_chain_match=FilterChainMatch(destination_port=443), filters=(ECHO,), name="special")
    config = Listener(filter_chains=(special,), default_filter_chain=FilterChain(filters=(ECHO,), name="default"))
    matcher = compile_chains(config, context)

    assert matcher.find(FACTS).name == "special"
    assert matcher.find(attrs.evolve(FACTS, local=IpAddress("10.0.0.1", 80))).name == "default"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (Listener(name="a"), "no filter chains specified"),
        (
            a_listener(ECHO, PASSING),
            "terminal filter named e of type envoy.filters.network.echo must be the last filter in a network filter",
        ),
        (
            a_listener(PASSING),
            "non-terminal filter named p of type test.scripted is the last filter in a network filter chain",
        ),
        (
            a_listener(Filter(name="x", typed_config=FACTS)),
            "didn't find a registered implementation for 'x' with type URL: ''",
        ),
        (
            a_listener(ECHO, transport_socket=TransportSocket(name="tls", typed_config=Echo())),
            "didn't find a registered implementation for 'tls' with type URL: 'envoy.extensions.filters.network.echo",
        ),
        (
            Listener(filter_chains=(FilterChain(filters=(ECHO,)), FilterChain(filters=(ECHO,), name="b"))),
            "filter chain 'b' has the same matching rules defined as ''",
        ),
        (
            a_listener(ECHO, filter_chain_match=FilterChainMatch(server_names=("a.b",))),
            "needs 'envoy.filters.listener.tls_inspector', which is not supported here",
        ),
    ],
)
def test_faults(context, config, text):
    with pytest.raises(ConfigError) as caught:
        compile_chains(config, context)

    assert text in str(caught.value)
    assert caught.value.at is not None


def test_listener_filters(context):
    made = compile_listener_filters([ListenerFilter(name="s", typed_config=Scripted(on_accept=nothing))], context)

    assert [entry.on_accept for entry in made] == [nothing]
    assert made[0].context is context.services
    with pytest.raises(ConfigError, match="didn't find a registered implementation for 'x'"):
        compile_listener_filters([ListenerFilter(name="x")], context)
