"""Circuit breakers: how much of a cluster may be in use at a time, for each priority.

Proto: envoy.config.cluster.v3.CircuitBreakers; docs: intro/arch_overview/upstream/circuit_breaking.
The limit of connections is a soft one, as in Envoy: a pool that has none may always make its first.
Of several workers each has its share of every limit, rounded up: they have no memory in common to count in.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds, RetryBudget
from trio_envoy.config.core import RoutingPriority
from trio_envoy.runtime import Runtime, Snapshot
from trio_envoy.stats.declare import StatsBlock
from trio_envoy.stats.store import Scope
from trio_envoy.upstream.stats import DefaultBreakerStats, HighBreakerStats, RemainingStats

_MAX: Final = 1024  # default of max_connections, max_pending_requests and max_requests
_MAX_RETRIES: Final = 3
_BUDGET_PERCENT: Final = 20.0
_BUDGET_MIN: Final = 3
_MAX_POOLS: Final = 2**64 - 1  # max_connection_pools has no limit here; the gauge still counts, as Envoy's does
_PRIORITIES: Final = (
    (RoutingPriority.DEFAULT, "default", DefaultBreakerStats),
    (RoutingPriority.HIGH, "high", HighBreakerStats),
)
_NO_LIMITS_SET: Final = CircuitBreakersThresholds()


class Resource:
    """Something of which `limit` may be in use at once.

    Attributes:
        count: in use now.
        limit: how many may be.
        tracked: where what is left is published, if that is wanted.
    """

    __slots__ = ("_gauge", "_remaining", "_stats", "count", "limit", "tracked")

    def __init__(self, limit: int, stats: StatsBlock, gauge: str, remaining: str) -> None:
        self.count = 0
        self.limit = limit
        self.tracked: RemainingStats | None = None
        self._stats = stats
        self._gauge = gauge
        self._remaining = remaining

    @property
    def free(self) -> bool:
        """Whether one more may be taken."""
        return self.count < self.limit

    def take(self) -> None:
        """Count one more; the caller has looked at `free`, or is one who may exceed the limit."""
        self.count += 1
        if self.count >= self.limit or self.tracked is not None:
            self.publish()

    def give(self) -> None:
        """Count one less."""
        self.count -= 1
        if self.count + 1 >= self.limit or self.tracked is not None:
            self.publish()

    def publish(self) -> None:
        """Set the gauges to what is so now."""
        _set(self._stats, self._gauge, 0 if self.free else 1)
        if self.tracked is not None:
            _set(self.tracked, self._remaining, max(self.limit - self.count, 0))


class BudgetedRetries(Resource):
    """Retries as a share of what is going on (Envoy's RetryBudgetImpl)."""

    __slots__ = ("_breakers", "_config", "_least", "_percent")

    def __init__(self, budget: RetryBudget, breakers: Breakers, stats: StatsBlock) -> None:
        super().__init__(0, stats, "rq_retry_open", "remaining_retries")
        self._config = budget
        self._breakers = breakers
        self._percent = _BUDGET_PERCENT if budget.budget_percent is None else budget.budget_percent.value
        self._least = _or(budget.min_retry_concurrency, _BUDGET_MIN)

    def follow(self, snapshot: Snapshot, keys: str) -> None:
        """Take the share that holds under this snapshot of the runtime."""
        config = self._config.budget_percent
        percent = _BUDGET_PERCENT if config is None else config.value
        self._percent = snapshot.get_double(f"{keys}retry_budget.budget_percent", percent)
        least = _or(self._config.min_retry_concurrency, _BUDGET_MIN)
        least = snapshot.get_int(f"{keys}retry_budget.min_retry_concurrency", least)
        self._least = -(-least // self._breakers.workers)

    @property
    def free(self) -> bool:
        under_way = self._breakers.requests.count + self._breakers.pending.count
        self.limit = max(int(self._percent / 100 * under_way), self._least)
        return self.count < self.limit


class Breakers:
    """The limits of one cluster for one priority.

    Attributes:
        connections, pending, requests, retries: what is limited.
        seen: the runtime snapshot that the limits come from.
        workers: that share the limits.
    """

    __slots__ = (
        "_config",
        "_keys",
        "_pools",
        "_tracked",
        "connections",
        "pending",
        "requests",
        "retries",
        "seen",
        "workers",
    )

    def __init__(self, config: CircuitBreakersThresholds, stats: StatsBlock, keys: str) -> None:
        """Make them free.

        Args:
            config: the limits.
            stats: the `*_open` gauges.
            keys: prefix of the runtime keys, `circuit_breakers.<cluster>.<priority>.`.
        """
        self._config = config
        self._keys = keys
        self.workers = 1
        self.connections = Resource(_or(config.max_connections, _MAX), stats, "cx_open", "remaining_cx")
        self.pending = Resource(_or(config.max_pending_requests, _MAX), stats, "rq_pending_open", "remaining_pending")
        self.requests = Resource(_or(config.max_requests, _MAX), stats, "rq_open", "remaining_rq")
        self.retries = (
            Resource(_or(config.max_retries, _MAX_RETRIES), stats, "rq_retry_open", "remaining_retries")
            if config.retry_budget is None
            else BudgetedRetries(config.retry_budget, self, stats)
        )
        self.seen: Snapshot | None = None
        self._pools = 0
        self._tracked: RemainingStats | None = None

    def count_pools(self, change: int) -> None:
        """So many pools more, or fewer."""
        self._pools += change
        if self._tracked is not None:
            _set(self._tracked, "remaining_cx_pools", _MAX_POOLS // self.workers - self._pools)

    def divide(self, snapshot: Snapshot, workers: int) -> None:
        """This is one of so many workers: take its share of the limits."""
        self.workers = workers
        self.follow(snapshot)
        if self._tracked is not None:
            self.track(self._tracked)

    def leave(self) -> None:
        """Workers count, not this process: its gauges of what is left are theirs alone."""
        if self._tracked is not None:
            for name in ("cx", "cx_pools", "pending", "retries", "rq"):
                setattr(self._tracked, f"remaining_{name}", 0)
        self._tracked = None
        for resource in (self.connections, self.pending, self.requests, self.retries):
            resource.tracked = None

    def follow(self, snapshot: Snapshot) -> None:
        """Take the limits that hold under this snapshot of the runtime."""
        self.seen = snapshot
        config = self._config
        self.connections.limit = self._limit(snapshot, "max_connections", config.max_connections, _MAX)
        self.pending.limit = self._limit(snapshot, "max_pending_requests", config.max_pending_requests, _MAX)
        self.requests.limit = self._limit(snapshot, "max_requests", config.max_requests, _MAX)
        if isinstance(self.retries, BudgetedRetries):
            self.retries.follow(snapshot, self._keys)
        else:
            self.retries.limit = self._limit(snapshot, "max_retries", config.max_retries, _MAX_RETRIES)

    def _limit(self, snapshot: Snapshot, name: str, configured: int | None, default: int) -> int:
        limit = default if configured is None else configured
        if snapshot.entries:
            limit = snapshot.get_int(self._keys + name, limit)
        return -(-limit // self.workers)

    def track(self, stats: RemainingStats) -> None:
        """Publish what is left, now and on every change."""
        self._tracked = stats
        self.count_pools(0)
        for resource in (self.connections, self.pending, self.requests, self.retries):
            resource.tracked = stats
            resource.publish()


def _set(stats: StatsBlock, gauge: str, value: int) -> None:
    """Set a gauge, with a look at what it was (stats.share)."""
    if getattr(stats, gauge) is not value:
        setattr(stats, gauge, value)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def compile_breakers(
    config: CircuitBreakers | None, name: str, scope: Scope, runtime: Runtime
) -> tuple[Breakers, Breakers]:
    """The breakers of a cluster: (DEFAULT, HIGH)."""
    first, second = [
        _compile(_limits(config, priority), f"circuit_breakers.{name}.{word}.", scope.block(stats), runtime)
        for priority, word, stats in _PRIORITIES
    ]
    for breakers, (priority, word, _) in zip((first, second), _PRIORITIES, strict=True):
        if _limits(config, priority).track_remaining:
            breakers.track(scope.scope(f"circuit_breakers.{word}.").block(RemainingStats))
    return first, second


def _compile(config: CircuitBreakersThresholds, keys: str, stats: StatsBlock, runtime: Runtime) -> Breakers:
    breakers = Breakers(config, stats, keys)
    if runtime.snapshot.entries:
        breakers.follow(runtime.snapshot)
    return breakers


def _limits(config: CircuitBreakers | None, priority: RoutingPriority) -> CircuitBreakersThresholds:
    if config is not None:
        for thresholds in config.thresholds:
            if thresholds.priority is priority:
                return thresholds
    return _NO_LIMITS_SET
