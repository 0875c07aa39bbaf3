import trio

from tests.upstream.fakes import LiveCluster, config_of, counted, endpoint
from trio_envoy.config.cluster import DiscoveryType
from trio_envoy.net.dns import DnsFailure


def strict(*endpoints, **fields):
    return config_of(*endpoints, type=DiscoveryType.STRICT_DNS, **fields)


def addresses(cluster):
    return [str(host.address) for host in cluster.hosts.hosts]


async def test_each_address_is_a_host(services, autojump_clock):
    services.network.names["api"] = ["10.0.0.1", "10.0.0.2", "10.0.0.1"]

    async with LiveCluster(strict(endpoint("api:80", load_balancing_weight=4)), services) as cluster:
        assert addresses(cluster) == ["10.0.0.1:80", "10.0.0.2:80"]
        assert [(host.hostname, host.weight) for host in cluster.hosts.hosts] == [("api", 4)] * 2
        assert counted(services)["max_host_weight"] == 4
        assert counted(services)["update_success"] == 1


async def test_hosts_follow_the_answers_and_keep_their_identity(services, autojump_clock):
    network = services.network
    network.names["api"] = ["10.0.0.1", "10.0.0.2"]
    async with LiveCluster(strict("api:80"), services) as cluster:
        first, second = cluster.hosts.hosts

        network.names["api"] = ["10.0.0.3", "10.0.0.2"]
        await trio.sleep(5.5)

        assert addresses(cluster) == ["10.0.0.3:80", "10.0.0.2:80"]
        assert cluster.hosts.hosts[1] is second
        assert first not in cluster.hosts.hosts
        assert counted(services)["membership_change"] == 2
        assert counted(services)["membership_total"] == 2


async def test_the_same_addresses_in_another_order_change_nothing(services, autojump_clock):
    network = services.network
    network.names["api"] = ["10.0.0.1", "10.0.0.2"]
    async with LiveCluster(strict("api:80"), services) as cluster:
        before = cluster.hosts

        network.names["api"] = ["10.0.0.2", "10.0.0.1"]
        await trio.sleep(5.5)

        assert cluster.hosts is before
        assert counted(services)["update_no_rebuild"] == 1
        assert counted(services)["default.total_match_count"] == 4  # one an address and answer, measured


async def test_a_failure_keeps_the_hosts_and_an_empty_answer_does_not(services, autojump_clock):
    network = services.network
    network.names["api"] = ["10.0.0.1"]
    async with LiveCluster(strict("api:80"), services) as cluster:
        network.names["api"] = DnsFailure("broken")
        await trio.sleep(5.5)
        assert addresses(cluster) == ["10.0.0.1:80"]
        assert counted(services)["update_failure"] == 1

        network.names["api"] = []
        await trio.sleep(5)
        assert addresses(cluster) == []
        assert counted(services)["update_success"] == 2


async def test_several_names_make_one_list(services, autojump_clock):
    services.network.names |= {"a": ["10.0.0.1"], "b": ["10.0.0.2"], "10.0.0.9": ["10.0.0.9"]}

    async with LiveCluster(strict("a:80", "b:81", "10.0.0.9:82"), services) as cluster:
        await trio.sleep(1)
        assert addresses(cluster) == ["10.0.0.1:80", "10.0.0.2:81", "10.0.0.9:82"]

        services.network.names["b"] = ["10.0.0.3"]
        await trio.sleep(5)
        assert addresses(cluster) == ["10.0.0.1:80", "10.0.0.3:81", "10.0.0.9:82"]


async def test_a_cluster_without_names_is_warm_at_once(services, autojump_clock):
    async with LiveCluster(strict(), services) as cluster:
        assert addresses(cluster) == []
        assert trio.current_time() == 0
