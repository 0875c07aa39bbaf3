import pytest

from trio_envoy.config.cluster import (
    CircuitBreakersThresholds,
    Cluster,
    CommonLbConfig,
    DiscoveryType,
    DnsLookupFamily,
    LbPolicy,
    LeastRequestLbConfig,
    RefreshRate,
    RetryBudget,
)
from trio_envoy.config.core import RoutingPriority
from trio_envoy.config.types import Percent


def test_a_dns_cluster(structure):
    made = structure(
        """
        name: c
        type: logical_dns
        dns_lookup_family: v4_only
        lb_policy: LEAST_REQUEST
        least_request_lb_config: {choice_count: 3}
        dns_refresh_rate: 5s
        dns_failure_refresh_rate: {base_interval: 1s, max_interval: 10s}
        wait_for_warm_on_init: false
        http2_protocol_options: {}
        common_lb_config: {healthy_panic_threshold: {value: 0}}
        """,
        Cluster,
    )

    assert made.type is DiscoveryType.LOGICAL_DNS
    assert made.dns_lookup_family is DnsLookupFamily.V4_ONLY
    assert made.lb_policy is LbPolicy.LEAST_REQUEST
    assert made.least_request_lb_config == LeastRequestLbConfig(choice_count=3)
    assert made.dns_refresh_rate == 5.0
    assert made.dns_failure_refresh_rate == RefreshRate(base_interval=1.0, max_interval=10.0)
    assert made.wait_for_warm_on_init is False
    assert made.http2_protocol_options is not None
    assert made.common_lb_config == CommonLbConfig(healthy_panic_threshold=Percent(value=0.0))


def test_circuit_breakers(structure):
    made = structure(
        "{name: c, circuit_breakers: {thresholds: [{priority: high, max_requests: 0,"
        " retry_budget: {budget_percent: {value: 25}}}]}}",
        Cluster,
    )

    assert made.circuit_breakers.thresholds == (
        CircuitBreakersThresholds(
            priority=RoutingPriority.HIGH, max_requests=0, retry_budget=RetryBudget(budget_percent=Percent(value=25.0))
        ),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("type: STATIC", "$.name: value length must be at least 1 characters"),
        ("{name: a, connect_timeout: 0s}", "$.connect_timeout: value must be greater than 0s, got 0s"),
        ("{name: a, dns_refresh_rate: 0.001s}", "$.dns_refresh_rate: value must be greater than 0.001s, got 0.001s"),
        (
            "{name: a, common_lb_config: {healthy_panic_threshold: {value: 101}}}",
            "$.common_lb_config.healthy_panic_threshold.value: value must be inside range [0.0, 100.0], got 101.0",
        ),
        (
            "{name: a, round_robin_lb_config: {}, least_request_lb_config: {}}",
            "$.least_request_lb_config: 'round_robin_lb_config' is set already, and only one of them may be",
        ),
    ],
)
def test_what_a_cluster_may_not_be(faults, text, fault):
    assert faults(text, Cluster.__proto__) == [fault]
