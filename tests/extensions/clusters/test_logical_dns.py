import pytest
import trio

from tests.upstream.fakes import LiveCluster, config_of, counted, endpoint
from trio_envoy.config.cluster import DiscoveryType
from trio_envoy.config.endpoint import HealthCheckConfig
from trio_envoy.errors import ConfigError
from trio_envoy.net.dns import DnsFailure
from trio_envoy.upstream.context import LbContext


def logical(*endpoints, **fields):
    return config_of(*endpoints, type=DiscoveryType.LOGICAL_DNS, **fields)


async def test_one_host_at_the_first_address(services, autojump_clock):
    services.network.names["api"] = ["10.0.0.1", "10.0.0.2"]

    async with LiveCluster(logical("api:80"), services) as cluster:
        (host,) = cluster.hosts.hosts
        assert (str(host.address), host.hostname) == ("10.0.0.1:80", "api")


async def test_another_first_address_is_another_host(services, autojump_clock):
    # measured on 1.40: connections to the old one are closed, and what was counted for it is gone
    network = services.network
    network.names["api"] = ["10.0.0.1"]
    check = HealthCheckConfig(port_value=99)
    async with LiveCluster(logical(endpoint("api:80", health_check_config=check)), services) as cluster:
        context = LbContext()
        stream = await cluster.open(context)

        network.names["api"] = ["10.0.0.2", "10.0.0.1"]
        await trio.sleep(5.5)

        (host,) = cluster.hosts.hosts
        assert host is not context.host
        assert (str(host.address), str(host.health_check_address)) == ("10.0.0.2:80", "10.0.0.2:99")
        assert counted(services)["membership_change"] == 2
        assert not stream.channel.closed
        stream.release()
        assert stream.channel.closed


async def test_an_answer_that_changes_nothing(services, autojump_clock):
    network = services.network
    network.names["api"] = ["10.0.0.1"]
    async with LiveCluster(logical("api:80"), services) as cluster:
        before = cluster.hosts
        network.names["api"] = ["10.0.0.1", "10.0.0.2"]
        await trio.sleep(5.5)

        assert cluster.hosts is before
        assert counted(services)["update_no_rebuild"] == 1
        assert counted(services)["default.total_match_count"] == 2  # one an answer, measured
        assert "max_host_weight" not in counted(services)


@pytest.mark.parametrize("answer", [[], DnsFailure("broken")])
async def test_without_an_answer_the_host_stays_where_it_is(services, autojump_clock, answer):
    network = services.network
    network.names["api"] = ["10.0.0.1"]
    async with LiveCluster(logical("api:80"), services) as cluster:
        network.names["api"] = answer
        await trio.sleep(20.5)

        assert [str(host.address) for host in cluster.hosts.hosts] == ["10.0.0.1:80"]
        assert counted(services)["update_success"] == 1
        assert counted(services)["update_failure"] == 4  # an empty answer is one, measured


async def test_it_is_warm_without_a_host_when_the_first_answer_is_none(services, autojump_clock):
    services.network.names["api"] = DnsFailure("broken")

    async with LiveCluster(logical("api:80"), services) as cluster:
        assert cluster.hosts.hosts == ()


@pytest.mark.parametrize(
    ("endpoints", "text"),
    [
        ([], "LOGICAL_DNS clusters must have a single host"),
        (["a:80", "b:80"], "must have a single locality_lb_endpoint and a single lb_endpoint"),
    ],
)
def test_exactly_one_name(services, endpoints, text):
    with pytest.raises(ConfigError, match=text):
        LiveCluster(logical(*endpoints), services)
