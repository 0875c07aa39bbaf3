"""Choosing a host: which of the sets (healthy, degraded, all in panic) serves, and what every policy is.

A Policy belongs to a cluster for its life and keeps what must survive a change of hosts (the place in a round). It
builds a Balancer for each HostSet; that one is not told of changes, it is replaced.
Source: Envoy, extensions/load_balancing_policies/common/load_balancer_impl.cc (LoadBalancerBase).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Protocol

from trio_envoy.config.cluster import Cluster
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host, HostSet
from trio_envoy.upstream.stats import ClusterStats

DEFAULT_PANIC_THRESHOLD: Final = 50.0  # percent; CommonLbConfig.healthy_panic_threshold
OVERPROVISIONING: Final = 140  # percent; ClusterLoadAssignment.Policy.overprovisioning_factor
HEALTHY: Final = "healthy"
DEGRADED: Final = "degraded"
ALL: Final = "all"

Pick = Callable[[], Host]
"""The next host out of one set."""
Balancer = Callable[[LbContext], Host | None]
"""The host for a request, or None: no healthy upstream."""


class Policy(Protocol):
    """A load balancing policy, as set up for one cluster."""

    def picker(self, source: str, hosts: Sequence[Host]) -> Pick:
        """How hosts are picked out of this (never empty) set, in place of what was picked from before.

        Args:
            source: HEALTHY, DEGRADED or ALL: which set it is; each has its own place in the round.
            hosts: the set.
        """


def panic_threshold(config: Cluster) -> float:
    """The configured one, in percent."""
    common = config.common_lb_config
    if common is None or common.healthy_panic_threshold is None:
        return DEFAULT_PANIC_THRESHOLD
    return common.healthy_panic_threshold.value


def build(hosts: HostSet, policy: Policy, stats: ClusterStats, threshold: int, random: Random) -> Balancer:
    """The balancer for these hosts.

    Args:
        hosts: the snapshot.
        policy: picks within a set.
        stats: lb_healthy_panic.
        threshold: percent of healthy or degraded hosts below which all are used; 0 never.
        random: shares requests out between healthy and degraded hosts.
    """
    healthy_load, panic = _loads(hosts, threshold)
    if panic:
        return _panicking(policy.picker(ALL, hosts.hosts) if hosts.hosts else None, stats)
    healthy = policy.picker(HEALTHY, hosts.healthy) if hosts.healthy else None
    if healthy_load == 100:
        return _plain(healthy)
    degraded = policy.picker(DEGRADED, hosts.degraded) if hosts.degraded else None
    if healthy_load == 0:
        return _plain(degraded)
    return _shared(healthy, degraded, healthy_load, random)


def _loads(hosts: HostSet, threshold: int) -> tuple[int, bool]:
    """(percent of requests that go to healthy hosts, whether it is panic)."""
    counted = len(hosts.hosts) - hosts.excluded
    healthy, degraded = len(hosts.healthy), len(hosts.degraded)
    healthy_share = min(100, healthy * OVERPROVISIONING // counted) if counted else 0
    degraded_share = min(100, degraded * OVERPROVISIONING // counted) if counted else 0
    available = min(100, healthy_share + degraded_share)
    panic = available < 100 and ((healthy + degraded) * 100 / counted if counted else 0.0) < threshold
    if available == 0:
        return 100, panic
    healthy_load = healthy_share * 100 // available
    degraded_load = min(100 - healthy_load, degraded_share * 100 // available)
    # what rounding leaves over goes to the first set that is not empty
    return (healthy_load + (100 - healthy_load - degraded_load) if healthy_load else 0), panic


def _plain(pick: Pick | None) -> Balancer:
    if pick is None:
        return lambda context: None
    return lambda context: pick()


def _panicking(pick: Pick | None, stats: ClusterStats) -> Balancer:
    def choose(context: LbContext) -> Host | None:
        stats.lb_healthy_panic += 1
        return pick() if pick is not None else None

    return choose


def _shared(healthy: Pick | None, degraded: Pick | None, healthy_load: int, random: Random) -> Balancer:
    assert healthy is not None, "a set with a load is not empty"
    assert degraded is not None, "a set with a load is not empty"

    def choose(context: LbContext) -> Host | None:
        return healthy() if random.randrange(100) < healthy_load else degraded()

    return choose


def equally_weighted(hosts: Sequence[Host]) -> bool:
    """Whether a round needs no weights."""
    weight = hosts[0].weight
    return all(host.weight == weight for host in hosts)
