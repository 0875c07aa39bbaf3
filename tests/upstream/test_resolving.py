import logging
from itertools import pairwise

import pytest
import trio

from tests.upstream.fakes import LiveCluster, config_of, counted, make_services
from trio_envoy.config.address import Address, Pipe, SocketAddress
from trio_envoy.config.cluster import DiscoveryType, RefreshRate
from trio_envoy.errors import ConfigError
from trio_envoy.net.dns import DnsFailure, Resolution


def strict(**fields):
    return config_of("api:80", type=DiscoveryType.STRICT_DNS, **fields)


async def asked_at(services, seconds, **fields):
    async with LiveCluster(strict(**fields), services):
        await trio.sleep(seconds)
    return [at for at, _ in services.network.asked]


async def test_every_five_seconds(services, autojump_clock):
    assert await asked_at(services, 16, dns_jitter=0.0) == [0, 5, 10, 15]


async def test_refresh_rate(services, autojump_clock):
    assert await asked_at(services, 1.1, dns_refresh_rate=0.5) == [0, 0.5, 1.0]


async def test_failures_are_followed_by_the_refresh_rate_if_nothing_else_is_said(services, autojump_clock):
    services.network.names["api"] = DnsFailure("broken")

    assert await asked_at(services, 11) == [0, 5, 10]
    assert counted(services) == {"update_attempt": 3, "update_failure": 3}


async def test_failures_back_off_and_an_answer_ends_that(services, autojump_clock, monkeypatch):
    monkeypatch.setattr(services.random, "random", lambda: 0.5)  # the middle of [0, interval)
    network = services.network
    network.names["api"] = DnsFailure("broken")
    rate = RefreshRate(base_interval=2.0, max_interval=6.0)

    async with LiveCluster(strict(dns_failure_refresh_rate=rate), services):
        await trio.sleep(9.5)  # 1, 2, 3, 3 seconds apart
        assert [at for at, _ in network.asked] == [0, 1, 3, 6, 9]
        network.names["api"] = ["10.0.0.1"]
        await trio.sleep(3)  # asked at 12, next at 17
        network.names["api"] = DnsFailure("broken")
        await trio.sleep(6)  # asked at 17 and, back at the base, 18

    assert [at for at, _ in network.asked] == [0, 1, 3, 6, 9, 12, 17, 18]


@pytest.mark.parametrize(
    ("kind", "nothing", "reason"),
    [
        (DiscoveryType.STRICT_DNS, DnsFailure("broken"), "broken"),
        (DiscoveryType.STRICT_DNS, [], "its name servers know none"),
        (DiscoveryType.LOGICAL_DNS, [], "its name servers know none"),
    ],
)
async def test_a_name_without_an_address_is_warned_of_once(services, autojump_clock, caplog, kind, nothing, reason):
    network = services.network
    network.names["api"] = nothing

    async with LiveCluster(config_of("api:80", type=kind), services):
        for names in (nothing, ["10.0.0.1"], nothing):
            network.names["api"] = names
            await trio.sleep(12)

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [f"cluster c: no address for api: {reason}"] * 2


async def test_the_longest_pause_defaults_to_ten_times_the_base(services, autojump_clock, monkeypatch):
    monkeypatch.setattr(services.random, "random", lambda: 0.5)
    services.network.names["api"] = DnsFailure("broken")

    times = await asked_at(services, 40, dns_failure_refresh_rate=RefreshRate(base_interval=2.0))

    assert [b - a for a, b in pairwise(times)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(
    ("resolution", "times"),
    [
        (Resolution(("10.0.0.1",), 2.0), [0, 2, 4]),
        (Resolution(("10.0.0.1",), 0.0), [0, 5]),  # nothing is known about that
        (Resolution((), 2.0), [0, 5]),
    ],
)
async def test_ttl(services, autojump_clock, resolution, times):
    services.network.names["api"] = resolution

    assert await asked_at(services, 5.5, respect_dns_ttl=True) == times


async def test_jitter_comes_on_top(autojump_clock, services):
    times = await asked_at(services, 60, dns_jitter=2.0)

    pauses = [b - a for a, b in pairwise(times)]
    assert all(5 <= pause <= 7 for pause in pauses)
    assert len(set(pauses)) > 3


async def test_the_first_answer_is_waited_for(services, autojump_clock, monkeypatch):
    monkeypatch.setattr(services.network, "resolve", slow_resolve(3))

    async with LiveCluster(strict(), services) as cluster:
        assert trio.current_time() == 3
        assert len(cluster.hosts.hosts) == 1


async def test_the_first_answer_is_not_waited_for_if_so_configured(services, autojump_clock, monkeypatch):
    monkeypatch.setattr(services.network, "resolve", slow_resolve(3))

    async with LiveCluster(strict(wait_for_warm_on_init=False), services) as cluster:
        assert trio.current_time() == 0
        await trio.sleep(3.5)
        assert len(cluster.hosts.hosts) == 1


def slow_resolve(seconds):
    async def resolve(name, family, *, resolver=None):
        await trio.sleep(seconds)
        return Resolution(("10.0.0.1",), 0.0)

    return resolve


async def test_a_bug_does_not_end_the_loop_nor_hang_the_start(services, autojump_clock, monkeypatch, caplog):
    async def resolve(name, family, *, resolver=None):
        raise ZeroDivisionError

    monkeypatch.setattr(services.network, "resolve", resolve)
    async with LiveCluster(strict(), services):
        await trio.sleep(1)

    assert "resolution of api failed" in caplog.text


async def test_name_servers_of_its_own(autojump_clock, services, monkeypatch):
    seen = []

    async def resolve(name, family, *, resolver=None):
        seen.append(resolver)
        return Resolution(("10.0.0.1",), 0.0)

    monkeypatch.setattr(services.network, "resolve", resolve)
    server = Address(socket_address=SocketAddress(address="10.9.9.9", port_value=53))
    async with LiveCluster(strict(dns_resolvers=(server,)), services):
        pass

    assert [str(each) for each in seen[0]._servers] == ["10.9.9.9:53"]


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (
            Address(socket_address=SocketAddress(address="ns.example", port_value=53)),
            "malformed IP address: ns.example",
        ),
        (Address(pipe=Pipe(path="/ns")), "DNS resolver '/ns' is not an IP address"),
    ],
)
def test_a_name_server_is_an_ip_address(server, text):
    with pytest.raises(ConfigError, match=text):
        LiveCluster(strict(dns_resolvers=(server,)), make_services())


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(ConfigError, match="max_interval greater than or equal to the base_interval"):
        LiveCluster(strict(dns_failure_refresh_rate=RefreshRate(base_interval=5.0, max_interval=2.0)), make_services())
