"""Active health checks: when a host is checked, and what the results mean.

How a check is done is an extension (Checker). Proto: envoy.config.core.v3.HealthCheck.
Rules (Envoy, upstream/health_checker_base_impl.cc; intervals and flags measured):
1. A host begins as failed. Its first result decides at once if it is good; after that thresholds count.
2. A bad answer (not: no answer) fails a host at once, unless it is a retriable one.
3. The pause runs from the end of a check. A result on its way to a threshold is followed by an edge interval.
4. Until the cluster has made a connection, pauses are the no_traffic ones, 60 s if nothing is said.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Final, Protocol, cast

import attrs
import trio

from trio_envoy import registry
from trio_envoy.config.healthcheck import HealthCheck
from trio_envoy.errors import ConfigError
from trio_envoy.registry import Category
from trio_envoy.stats.declare import UNUSED
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.host import HealthFlag, Host
from trio_envoy.upstream.stats import HealthCheckStats
from trio_envoy.util.loops import supervise

NO_TRAFFIC_INTERVAL: Final = 60.0  # s; HealthCheck.no_traffic_interval
_MIN_KEY: Final = "health_check.min_interval"  # runtime, ms
_MAX_KEY: Final = "health_check.max_interval"  # runtime, ms
_FAILED: Final = int(HealthFlag.FAILED_ACTIVE_HC)
_TIMED_OUT: Final = int(HealthFlag.ACTIVE_HC_TIMEOUT)
_DEGRADED: Final = int(HealthFlag.DEGRADED_ACTIVE_HC)
_EXCLUDED: Final = int(HealthFlag.EXCLUDED_VIA_IMMEDIATE_HC_FAIL)


class Result(enum.Enum):
    """What a check found."""

    HEALTHY = enum.auto()
    DEGRADED = enum.auto()  # healthy, but says x-envoy-degraded
    UNHEALTHY = enum.auto()  # it answered, and the answer is bad
    RETRIABLE = enum.auto()  # it answered badly, with a status among retriable_statuses
    NETWORK = enum.auto()  # no connection, or it broke
    TIMEOUT = enum.auto()


@attrs.frozen
class Probe:
    """The outcome of one check.

    Attributes:
        result: see there.
        excluded: a bad answer had x-envoy-immediate-health-check-fail: the host does not even count for panic.
    """

    result: Result
    excluded: bool = False


class Session(Protocol):
    """Checks of one host; may keep a connection from one check to the next."""

    async def probe(self) -> Probe:
        """One check; the caller sets its deadline.

        Cancelled: the connection is not used again.
        """

    def close(self) -> None:
        """The host is checked no more, or its connection is not to be kept. Never blocks."""


class Checker(Protocol):
    """One kind of check, set up for one cluster."""

    def session(self, host: Host) -> Session:
        """Begin to check a host."""


@attrs.frozen(eq=False)
class Intervals:
    """The pauses between checks, in seconds, with every default resolved."""

    healthy: float
    healthy_edge: float
    unhealthy: float
    unhealthy_edge: float
    no_traffic: float
    no_traffic_healthy: float

    @classmethod
    def of(cls, config: HealthCheck) -> Intervals:
        """Those of a configuration."""
        unhealthy = config.unhealthy_interval or config.interval
        no_traffic = config.no_traffic_interval or NO_TRAFFIC_INTERVAL
        return cls(
            healthy=config.interval,
            healthy_edge=config.healthy_edge_interval or config.interval,
            unhealthy=unhealthy,
            unhealthy_edge=config.unhealthy_edge_interval or unhealthy,
            no_traffic=no_traffic,
            no_traffic_healthy=config.no_traffic_healthy_interval or no_traffic,
        )


class _Checked:
    """A host under checks, and how far it is from its thresholds."""

    __slots__ = ("failures", "first", "host", "scope", "session", "successes")

    def __init__(self, host: Host, session: Session) -> None:
        self.host = host
        self.session = session
        self.scope = trio.CancelScope()
        self.first = True
        self.successes = 0
        self.failures = 0


class HealthChecking:
    """The active health checks of a cluster.

    Attributes:
        stats: `cluster.<name>.health_check.`
    """

    def __init__(
        self, config: HealthCheck, checker: Checker, context: ClusterContext, changed: Callable[[Host | None], None]
    ) -> None:
        """Set up; hosts come by follow().

        Args:
            config: thresholds and intervals.
            checker: does the checks.
            context: of the cluster.
            changed: called when the health of hosts has changed, with the host that has just failed, or None.
        """
        self.stats = context.scope.scope("health_check.").block(HealthCheckStats)
        self._config = config
        self._intervals = Intervals.of(config)
        self._checker = checker
        self._context = context
        self._changed = changed
        self._checked: dict[Host, _Checked] = {}
        self._tasks: trio.Nursery | None = None
        self._awaited = 0  # results that are still missing before the cluster is warm
        self._warm = trio.Event()

    def follow(self, hosts: Iterable[Host]) -> None:
        """Check these hosts from now on, and no others. New ones begin as failed; the caller rebuilds its snapshot."""
        wanted = [host for host in hosts if host.checked]
        for host in self._checked.keys() - set(wanted):
            self._drop(self._checked.pop(host))
        for host in wanted:
            if host not in self._checked:
                host.flags |= _FAILED
                checked = self._checked[host] = _Checked(host, self._checker.session(host))
                self._start(checked)
        self._count()

    def _drop(self, checked: _Checked) -> None:
        checked.scope.cancel()
        checked.session.close()
        if checked.first:
            self._one_result_less()

    def _one_result_less(self) -> None:
        self._awaited -= 1
        if self._awaited == 0:
            self._warm.set()

    def _start(self, checked: _Checked) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(self._check, checked)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Check until cancelled; started() when as many checks are done as there were hosts to check."""
        self._awaited = len(self._checked)
        if not self._awaited:
            self._warm.set()
        async with trio.open_nursery() as self._tasks:
            for checked in self._checked.values():
                self._start(checked)
            await self._warm.wait()
            task_status.started()

    def fail_now(self, host: Host) -> None:
        """The host asked, in a response, to be taken out at once (x-envoy-immediate-health-check-fail)."""
        checked = self._checked.get(host)
        if checked is not None:
            host.flags |= _EXCLUDED
            self.stats.passive_failure += 1
            self._failed(checked, at_once=True)

    async def _check(self, checked: _Checked) -> None:
        with checked.scope:
            if self._config.initial_jitter:
                await trio.sleep(self._context.services.random.uniform(0, self._config.initial_jitter))
            await supervise(f"health check of {checked.host.address}", self._loop, checked)

    async def _loop(self, checked: _Checked) -> None:
        while True:
            healthy, pending = await self._once(checked)
            await trio.sleep(self._pause(healthy=healthy, pending=pending))

    async def _once(self, checked: _Checked) -> tuple[bool, bool]:
        """One check and what follows from it: (it went well, the host is on its way to a threshold)."""
        stats = self.stats
        stats.attempt += 1
        probe = Probe(Result.TIMEOUT)
        with trio.move_on_after(self._config.timeout):
            probe = await checked.session.probe()
        result = probe.result
        if result is Result.TIMEOUT or self._config.reuse_connection is False:
            checked.session.close()
        try:
            if result in (Result.HEALTHY, Result.DEGRADED):
                return True, self._passed(checked, degraded=result is Result.DEGRADED)
            if result in (Result.NETWORK, Result.TIMEOUT):
                stats.network_failure += 1
            return False, self._failed(
                checked, at_once=result is Result.UNHEALTHY, timed_out=result is Result.TIMEOUT, excluded=probe.excluded
            )
        finally:
            self._one_result_less()

    def _passed(self, checked: _Checked, *, degraded: bool) -> bool:
        """A good result; gives whether the host is on its way to being healthy."""
        host = checked.host
        self.stats.success += 1
        checked.failures = 0
        flags = host.flags
        pending = False
        if flags & _FAILED:
            checked.successes += 1
            if checked.first or checked.successes >= self._config.healthy_threshold:
                flags &= ~(_FAILED | _TIMED_OUT)
            else:
                pending = True
        flags = flags | _DEGRADED if degraded else flags & ~_DEGRADED
        flags &= ~_EXCLUDED
        checked.first = False
        self._set(host, flags)
        return pending

    def _failed(self, checked: _Checked, *, at_once: bool, timed_out: bool = False, excluded: bool = False) -> bool:
        """A bad result; gives whether the host is on its way to being unhealthy."""
        host = checked.host
        self.stats.failure += 1
        checked.successes = 0
        flags = host.flags | _EXCLUDED if excluded else host.flags
        pending = False
        if not flags & _FAILED:
            checked.failures += 1
            if at_once or checked.failures >= self._config.unhealthy_threshold:
                flags |= _FAILED
            else:
                pending = True
        if flags & _FAILED:
            flags = flags | _TIMED_OUT if timed_out else flags & ~_TIMED_OUT
        checked.first = False
        self._set(host, flags)
        return pending

    def _set(self, host: Host, flags: int) -> None:
        before = host.flags
        if flags == before:
            return
        host.flags = flags
        self._count()
        self._changed(host if flags & _FAILED and not before & _FAILED else None)

    def _count(self) -> None:
        hosts = self._checked
        self.stats.healthy = sum(not host.flags & _FAILED for host in hosts)
        self.stats.degraded = sum(bool(host.flags & _DEGRADED) for host in hosts)

    def _pause(self, *, healthy: bool, pending: bool) -> float:
        """Seconds until the next check of a host."""
        intervals, config, services = self._intervals, self._config, self._context.services
        if self._context.stats.upstream_cx_total is UNUSED:
            pause = intervals.no_traffic_healthy if healthy else intervals.no_traffic
        elif healthy:
            pause = intervals.healthy_edge if pending else intervals.healthy
        else:
            pause = intervals.unhealthy_edge if pending else intervals.unhealthy
        if config.interval_jitter_percent:
            pause += services.random.uniform(0, pause * config.interval_jitter_percent / 100)
        if config.interval_jitter:
            pause += services.random.uniform(0, config.interval_jitter)
        snapshot = services.runtime.snapshot
        pause = min(pause, snapshot.get_double(_MAX_KEY, pause * 1000) / 1000)
        return max(pause, snapshot.get_double(_MIN_KEY, 0.0) / 1000)


def make_health_checking(context: ClusterContext, changed: Callable[[Host | None], None]) -> HealthChecking | None:
    """The health checks of a cluster; None when it has none.

    Raises:
        ConfigError: a kind of check that is not supported, or more than one.
    """
    checks = context.config.health_checks
    if not checks:
        return None
    if len(checks) > 1:
        raise ConfigError("more than one health check is not supported here", at=checks[1])
    config = checks[0]
    message = config.http_health_check or config.tcp_health_check
    if message is None:
        raise ConfigError("a health check needs http_health_check or tcp_health_check", at=config)
    kind = "http" if config.http_health_check is not None else "tcp"
    extension = registry.built_in(Category.HEALTH_CHECKER, f"envoy.health_checkers.{kind}", f"health_checkers.{kind}")
    return HealthChecking(config, cast(Checker, extension.factory(message, context)), context, changed)
