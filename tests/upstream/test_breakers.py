import pytest

from tests.upstream.fakes import counted, make_services
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds, RetryBudget
from trio_envoy.config.core import RoutingPriority
from trio_envoy.config.runtime_layers import LayeredRuntime, RuntimeLayer
from trio_envoy.config.types import Percent
from trio_envoy.upstream.breakers import compile_breakers
from trio_envoy.upstream.context import DEFAULT, HIGH


def breakers_of(*thresholds, services=None):
    services = services or make_services()
    config = CircuitBreakers(thresholds=thresholds) if thresholds else None
    return compile_breakers(config, "c", services.stats.scope("cluster.c."), services.runtime), services


def test_defaults_are_envoys():
    both, _ = breakers_of()

    for breakers in both:
        limits = [getattr(breakers, name).limit for name in ("connections", "pending", "requests", "retries")]
        assert limits == [1024, 1024, 1024, 3]


def test_priorities_have_their_own_limits_and_the_first_threshold_of_one_counts():
    both, _ = breakers_of(
        CircuitBreakersThresholds(max_requests=7),
        CircuitBreakersThresholds(priority=RoutingPriority.HIGH, max_requests=9),
        CircuitBreakersThresholds(max_requests=100),
    )

    assert both[DEFAULT].requests.limit == 7
    assert both[HIGH].requests.limit == 9


def test_the_gauge_is_set_while_the_limit_is_reached():
    (default, _), services = breakers_of(CircuitBreakersThresholds(max_requests=2))
    requests = default.requests

    requests.take()
    assert requests.free
    assert counted(services) == {}

    requests.take()
    assert not requests.free
    assert counted(services) == {"circuit_breakers.default.rq_open": 1}

    requests.give()
    assert requests.free
    assert counted(services) == {}


def test_zero_is_never_free():
    (default, _), _ = breakers_of(CircuitBreakersThresholds(max_pending_requests=0))

    assert not default.pending.free


def test_remaining_is_published_when_it_is_tracked():
    (default, _), services = breakers_of(CircuitBreakersThresholds(max_requests=2, track_remaining=True))

    default.requests.take()
    default.connections.take()

    assert counted(services, "cluster.c.circuit_breakers.default.") == {
        "remaining_cx": 1023,
        "remaining_cx_pools": 2**64 - 1,
        "remaining_pending": 1024,
        "remaining_retries": 3,
        "remaining_rq": 1,
    }


def test_remaining_never_goes_below_zero():
    (default, _), services = breakers_of(CircuitBreakersThresholds(max_connections=1, track_remaining=True))

    default.connections.take()
    default.connections.take()

    assert "remaining_cx" not in counted(services, "cluster.c.circuit_breakers.default.")


@pytest.mark.parametrize(
    ("budget", "under_way", "limit"),
    [
        (RetryBudget(), 0, 3),
        (RetryBudget(), 100, 20),
        (RetryBudget(budget_percent=Percent(value=50.0)), 10, 5),
        (RetryBudget(budget_percent=Percent(value=50.0), min_retry_concurrency=8), 10, 8),
        (RetryBudget(min_retry_concurrency=0), 4, 0),
    ],
)
def test_a_retry_budget_is_a_share_of_what_is_under_way(budget, under_way, limit):
    (default, _), _ = breakers_of(CircuitBreakersThresholds(retry_budget=budget))
    default.requests.count = under_way // 2
    default.pending.count = under_way - under_way // 2

    taken = 0
    while default.retries.free:
        default.retries.take()
        taken += 1

    assert taken == limit


def test_the_runtime_wins():
    values = {
        "circuit_breakers.c.default.max_requests": 5,
        "circuit_breakers.c.high.max_retries": 6,
        "circuit_breakers.c.default.retry_budget.budget_percent": 100,
        "circuit_breakers.c.default.retry_budget.min_retry_concurrency": 0,
    }
    runtime = LayeredRuntime(layers=(RuntimeLayer(name="l", static_layer=values),))
    (default, high), _ = breakers_of(
        CircuitBreakersThresholds(retry_budget=RetryBudget()), services=make_services(runtime=runtime)
    )

    assert default.requests.limit == 5
    assert high.retries.limit == 6
    assert not default.retries.free
    default.requests.take()
    assert default.retries.free


def test_a_worker_has_its_share_of_each_limit_rounded_up():
    thresholds = CircuitBreakersThresholds(
        max_connections=5, max_pending_requests=0, max_requests=4, max_retries=1, track_remaining=True
    )
    (default, _), services = breakers_of(thresholds)
    default.divide(services.runtime.snapshot, 2)

    limits = [getattr(default, name).limit for name in ("connections", "pending", "requests", "retries")]
    assert limits == [3, 0, 2, 1]
    counts = counted(services)
    remaining = [counts.get(f"circuit_breakers.default.remaining_{name}", 0) for name in ("cx", "pending", "rq")]
    assert remaining == [3, 0, 2]
    assert counts["circuit_breakers.default.remaining_cx_pools"] == (2**64 - 1) // 2


def test_a_share_of_what_the_runtime_says_and_of_a_budgets_minimum():
    runtime = LayeredRuntime(
        layers=(RuntimeLayer(name="a", static_layer={"circuit_breakers.c.default.max_requests": 9}),)
    )
    budget = RetryBudget(min_retry_concurrency=5)
    (default, _), services = breakers_of(
        CircuitBreakersThresholds(retry_budget=budget), services=make_services(runtime=runtime)
    )
    default.divide(services.runtime.snapshot, 4)
    assert default.requests.limit == 3
    assert default.retries.free

    assert default.retries.limit == 2


def test_who_leaves_it_to_workers_publishes_nothing():
    (default, _), services = breakers_of(CircuitBreakersThresholds(max_requests=5, track_remaining=True))
    default.leave()
    default.requests.take()
    default.count_pools(1)

    assert not any("remaining" in name for name in counted(services))
