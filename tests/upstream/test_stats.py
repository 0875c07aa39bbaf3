from pathlib import Path

from tests.upstream.fakes import LiveCluster, config_of
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.config.healthcheck import HealthCheck, TcpHealthCheck
from trio_envoy.stats.declare import Kind
from trio_envoy.upstream.stats import ClusterStats

NAMES = (Path(__file__).parent / "data" / "cluster_stats.txt").read_text().split()
"""What Envoy 1.40 has below `cluster.<name>.` for a static cluster from the start."""


def names(services):
    return [name.removeprefix("cluster.c.") for name, *_ in services.stats]


def test_a_static_cluster_has_the_stats_of_envoys(services):
    LiveCluster(config_of("10.0.0.1:80"), services)

    assert sorted(names(services)) == NAMES


def test_tracked_limits_and_health_checks_bring_more(services):
    check = HealthCheck(
        timeout=1.0, interval=1.0, unhealthy_threshold=1, healthy_threshold=1, tcp_health_check=TcpHealthCheck()
    )
    breakers = CircuitBreakers(thresholds=(CircuitBreakersThresholds(track_remaining=True),))
    LiveCluster(config_of("10.0.0.1:80", health_checks=(check,), circuit_breakers=breakers), services)

    assert sorted(set(names(services)) - set(NAMES)) == [  # measured
        "circuit_breakers.default.remaining_cx",
        "circuit_breakers.default.remaining_cx_pools",
        "circuit_breakers.default.remaining_pending",
        "circuit_breakers.default.remaining_retries",
        "circuit_breakers.default.remaining_rq",
        "health_check.attempt",
        "health_check.degraded",
        "health_check.failure",
        "health_check.healthy",
        "health_check.network_failure",
        "health_check.passive_failure",
        "health_check.success",
        "health_check.verify_cluster",
    ]


def test_gauges_are_gauges():
    assert set(ClusterStats.groups[Kind.GAUGE].names) == {
        "lb_subsets_active",
        "max_host_weight",
        "membership_degraded",
        "membership_excluded",
        "membership_healthy",
        "membership_total",
        "upstream_cx_active",
        "upstream_cx_rx_bytes_buffered",
        "upstream_cx_tx_bytes_buffered",
        "upstream_queue_overloaded",
        "upstream_rq_active",
        "upstream_rq_pending_active",
        "version",
        "warming_state",
    }
