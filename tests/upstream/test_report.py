import pytest

from tests.upstream.fakes import LiveCluster, config_of, endpoint
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.config.endpoint import HealthStatus
from trio_envoy.upstream.host import HealthFlag
from trio_envoy.upstream.report import as_json, as_text


def cluster_of(services, *endpoints, **fields):
    return LiveCluster(config_of(*endpoints, **fields), services).cluster


def test_text_is_envoys(services):
    cluster = cluster_of(
        services,
        endpoint("127.0.0.1:21100", hostname="one", load_balancing_weight=2),
        locality={"region": "r1", "zone": "z1", "sub_zone": "s1"},
    )
    host = cluster.hosts.hosts[0]
    host.cx_active, host.cx_total, host.rq_error, host.rq_success, host.rq_total = 2, 3, 1, 14, 15
    host.flags = int(HealthFlag.FAILED_ACTIVE_HC)

    assert as_text(cluster) == (
        "c::observability_name::c\n"
        "c::default_priority::max_connections::1024\n"
        "c::default_priority::max_pending_requests::1024\n"
        "c::default_priority::max_requests::1024\n"
        "c::default_priority::max_retries::3\n"
        "c::high_priority::max_connections::1024\n"
        "c::high_priority::max_pending_requests::1024\n"
        "c::high_priority::max_requests::1024\n"
        "c::high_priority::max_retries::3\n"
        "c::added_via_api::false\n"
        "c::127.0.0.1:21100::cx_active::2\n"
        "c::127.0.0.1:21100::cx_connect_fail::0\n"
        "c::127.0.0.1:21100::cx_total::3\n"
        "c::127.0.0.1:21100::rq_active::0\n"
        "c::127.0.0.1:21100::rq_error::1\n"
        "c::127.0.0.1:21100::rq_pending_active::0\n"
        "c::127.0.0.1:21100::rq_success::14\n"
        "c::127.0.0.1:21100::rq_timeout::0\n"
        "c::127.0.0.1:21100::rq_total::15\n"
        "c::127.0.0.1:21100::hostname::one\n"
        "c::127.0.0.1:21100::health_flags::/failed_active_hc\n"
        "c::127.0.0.1:21100::weight::2\n"
        "c::127.0.0.1:21100::region::r1\n"
        "c::127.0.0.1:21100::zone::z1\n"
        "c::127.0.0.1:21100::sub_zone::s1\n"
        "c::127.0.0.1:21100::canary::false\n"
        "c::127.0.0.1:21100::priority::0\n"
        "c::127.0.0.1:21100::success_rate::-1\n"
        "c::127.0.0.1:21100::local_origin_success_rate::-1\n"
    )


def test_json_is_envoys(services):
    cluster = cluster_of(services, endpoint("127.0.0.1:21100", hostname="one"), locality={"region": "r1"})
    host = cluster.hosts.hosts[0]
    host.cx_active, host.cx_total = 2, 3

    status = as_json(cluster)

    assert list(status) == ["name", "host_statuses", "circuit_breakers", "observability_name"]
    assert status["host_statuses"] == [
        {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 21100}},
            "stats": [
                {"name": "cx_connect_fail"},
                {"value": "3", "name": "cx_total"},
                {"name": "rq_error"},
                {"name": "rq_success"},
                {"name": "rq_timeout"},
                {"name": "rq_total"},
                {"type": "GAUGE", "value": "2", "name": "cx_active"},
                {"type": "GAUGE", "name": "rq_active"},
                {"type": "GAUGE", "name": "rq_pending_active"},
            ],
            "health_status": {"eds_health_status": "HEALTHY"},
            "weight": 1,
            "hostname": "one",
            "locality": {"region": "r1"},
        }
    ]
    limits = {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 1024, "max_retries": 3}
    assert status["circuit_breakers"] == {"thresholds": [limits, {"priority": "HIGH", **limits}]}


def test_a_cluster_without_hosts(services):
    cluster = cluster_of(services, alt_stat_name="other")

    assert "host_statuses" not in as_json(cluster)
    assert as_json(cluster)["observability_name"] == "other"
    assert as_text(cluster).startswith("c::observability_name::other\nc::default_priority")


def test_a_pipe(services):
    cluster = cluster_of(services, "/run/a.sock")

    assert as_json(cluster)["host_statuses"][0]["address"] == {"pipe": {"path": "/run/a.sock"}}
    assert "c::/run/a.sock::weight::1\n" in as_text(cluster)


def test_limits_are_those_that_hold(services):
    thresholds = (CircuitBreakersThresholds(max_connections=1, max_requests=2),)
    cluster = cluster_of(services, circuit_breakers=CircuitBreakers(thresholds=thresholds))

    assert as_json(cluster)["circuit_breakers"]["thresholds"][0]["max_connections"] == 1
    assert "c::default_priority::max_requests::2\n" in as_text(cluster)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (HealthStatus.UNKNOWN, "HEALTHY"),
        (HealthStatus.UNHEALTHY, "UNHEALTHY"),
        (HealthStatus.TIMEOUT, "UNHEALTHY"),  # measured
        (HealthStatus.DRAINING, "DRAINING"),
        (HealthStatus.DEGRADED, "DEGRADED"),
    ],
)
def test_configured_health(services, status, told):
    cluster = cluster_of(services, endpoint("127.0.0.1:80", health_status=status))

    assert as_json(cluster)["host_statuses"][0]["health_status"] == {"eds_health_status": told}


def test_flags_come_in_the_order_of_the_message(services):
    cluster = cluster_of(services, "127.0.0.1:80")
    cluster.hosts.hosts[0].flags = int(
        HealthFlag.FAILED_ACTIVE_HC
        | HealthFlag.ACTIVE_HC_TIMEOUT
        | HealthFlag.DEGRADED_ACTIVE_HC
        | HealthFlag.PENDING_DYNAMIC_REMOVAL
        | HealthFlag.EXCLUDED_VIA_IMMEDIATE_HC_FAIL
    )

    assert list(as_json(cluster)["host_statuses"][0]["health_status"]) == [
        "failed_active_health_check",
        "eds_health_status",
        "failed_active_degraded_check",
        "pending_dynamic_removal",
        "excluded_via_immediate_hc_fail",
        "active_hc_timeout",
    ]
