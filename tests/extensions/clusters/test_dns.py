import pytest
import trio

from tests.upstream.fakes import LiveCluster, config_of
from trio_envoy import registry
from trio_envoy.config.cluster import CustomClusterType
from trio_envoy.config.cluster import DnsLookupFamily as ClusterFamily
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.clusters.dns import DnsCluster, DnsLookupFamily, RefreshRate
from trio_envoy.upstream.resolving import DnsSettings


def dns(**fields):
    return config_of("api:80", cluster_type=CustomClusterType(name="dns", typed_config=DnsCluster(**fields)))


def test_its_messages_are_found_by_type():
    for message in (DnsCluster, RefreshRate):
        assert registry.config_class(message.__proto__) is message


@pytest.mark.parametrize(("single", "hosts"), [(False, ["10.0.0.1:80", "10.0.0.2:80"]), (True, ["10.0.0.1:80"])])
async def test_hosts(services, autojump_clock, single, hosts):
    services.network.names["api"] = ["10.0.0.1", "10.0.0.2"]

    async with LiveCluster(dns(all_addresses_in_single_endpoint=single), services) as cluster:
        assert [str(host.address) for host in cluster.hosts.hosts] == hosts


async def test_refresh_rate(services, autojump_clock):
    services.network.names["api"] = ["10.0.0.1"]

    async with LiveCluster(dns(dns_refresh_rate=2.0), services):
        await trio.sleep(4.5)

    assert [at for at, _ in services.network.asked] == [0, 2, 4]


@pytest.mark.parametrize(
    ("family", "asked"),
    [
        (DnsLookupFamily.UNSPECIFIED, ClusterFamily.AUTO),
        (DnsLookupFamily.V4_ONLY, ClusterFamily.V4_ONLY),
        (DnsLookupFamily.ALL, ClusterFamily.ALL),
    ],
)
async def test_family(services, autojump_clock, monkeypatch, family, asked):
    seen = []

    async def resolve(name, family, *, resolver=None):
        seen.append(family)
        await trio.sleep_forever()

    monkeypatch.setattr(services.network, "resolve", resolve)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(LiveCluster(dns(dns_lookup_family=family), services).cluster.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    assert seen == [asked]


def test_bounds_the_wrong_way_round_are_refused(services):
    with pytest.raises(ConfigError, match="max_interval greater than or equal to the base_interval"):
        LiveCluster(dns(dns_failure_refresh_rate=RefreshRate(base_interval=5.0, max_interval=1.0)), services)


def test_settings_default_to_envoys(services):
    settings = DnsSettings(ClusterFamily.AUTO)

    assert (settings.refresh_rate, settings.failure, settings.respect_ttl, settings.jitter) == (5.0, None, False, 0.0)
