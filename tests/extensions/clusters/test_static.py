import pytest

from tests.upstream.fakes import LiveCluster, config_of, counted
from trio_envoy.errors import ConfigError


def test_hosts_are_there_at_once_and_need_no_task(services):
    cluster = LiveCluster(config_of("10.0.0.1:80", "[::1]:80", "/run/a.sock"), services).cluster

    assert [str(host.address) for host in cluster.hosts.hosts] == ["10.0.0.1:80", "[::1]:80", "/run/a.sock"]
    assert not cluster.looping
    assert counted(services) == {
        "default.total_match_count": 3,
        "membership_change": 1,
        "membership_healthy": 3,
        "membership_total": 3,
    }


def test_a_hostname_is_refused_in_envoys_words(services):
    with pytest.raises(ConfigError, match=r"malformed IP address: localhost\. Consider"):
        LiveCluster(config_of("localhost:80"), services)


def test_an_empty_cluster_is_allowed(services):
    cluster = LiveCluster(config_of(), services).cluster

    assert cluster.hosts.hosts == ()
    assert counted(services) == {}


async def test_run_tells_its_hosts_once(services, nursery):
    from trio_envoy.extensions.clusters.static import make

    cluster = LiveCluster(config_of("10.0.0.1:80"), services).cluster
    told = []

    await nursery.start(make(cluster.config, cluster.context).run, told.append)

    assert [[str(host.address) for host in hosts] for hosts in told] == [["10.0.0.1:80"]]
