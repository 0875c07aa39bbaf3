import time

import trio

from tests.upstream.fakes import config_of, counted
from trio_envoy.config.cluster import DiscoveryType
from trio_envoy.config.healthcheck import HealthCheck, TcpHealthCheck
from trio_envoy.net.dns import Resolution
from trio_envoy.upstream.manager import ClusterManager


def test_clusters_by_name_in_order(services):
    manager = ClusterManager([config_of(name="b"), config_of(name="a")], services)

    assert list(manager.clusters) == ["b", "a"]
    assert manager.get("a") is manager.clusters["a"]
    assert manager.get("x") is None
    assert manager.errors == []
    assert counted(services, "cluster_manager.") == {"active_clusters": 2, "cluster_added": 2}
    assert counted(services, "thread_local_cluster_manager.") == {
        "main_thread.clusters_inflated": 2,
        "worker_0.clusters_inflated": 2,
    }


def test_all_that_is_wrong_is_told(services):
    twice = config_of(name="a")
    bad = config_of("localhost:80", name="bad")

    manager = ClusterManager([config_of(name="a"), twice, bad], services)

    assert [error.text for error in manager.errors] == [
        "cluster manager: duplicate cluster 'a'",
        "malformed IP address: localhost. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or "
        "'LOGICAL_DNS'",
    ]
    assert manager.errors[0].at is twice
    assert list(manager.clusters) == ["a"]
    assert manager.names == {"a", "bad"}


async def test_it_has_started_when_all_clusters_are_warm(services, autojump_clock, nursery, monkeypatch):
    async def resolve(name, family, *, resolver=None):
        await trio.sleep(float(name))
        return Resolution(("10.0.0.1",), 0.0)

    monkeypatch.setattr(services.network, "resolve", resolve)
    check = HealthCheck(
        timeout=2.0, interval=1.0, unhealthy_threshold=1, healthy_threshold=1, tcp_health_check=TcpHealthCheck()
    )
    services.network.faults["10.0.0.1:81"] = 10
    manager = ClusterManager(
        [
            config_of("3:80", name="slow", type=DiscoveryType.STRICT_DNS),
            config_of("1:80", name="fast", type=DiscoveryType.STRICT_DNS),
            config_of("4:81", name="both", type=DiscoveryType.STRICT_DNS, health_checks=(check,)),
            config_of("10.0.0.1:80", name="static"),
        ],
        services,
    )

    await nursery.start(manager.run)

    assert trio.current_time() == 6  # side by side; "both" resolves for 4 s and checks for 2 s
    assert all(len(cluster.hosts.hosts) == 1 for cluster in manager.clusters.values())


async def test_five_thousand_static_clusters_are_made_quickly_and_have_no_task(services, nursery):
    configs = [config_of("10.0.0.1:80", name=f"c{number}") for number in range(5000)]
    started = time.process_time()

    manager = ClusterManager(configs, services)

    assert time.process_time() - started < 5  # 0.35 s without a tracer
    before = trio.lowlevel.current_statistics().tasks_living
    await nursery.start(manager.run)
    assert trio.lowlevel.current_statistics().tasks_living == before + 2  # manager and keeper
