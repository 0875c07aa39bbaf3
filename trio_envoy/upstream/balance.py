"""Choosing a host: which set of hosts serves a request, and what every policy is.

Hosts are split by priority, and those of one priority into healthy and degraded ones. Requests go to priority 0, and to
its healthy hosts, as far as these can take them; what they can't goes on. A priority with too few hosts that work is in
panic: all of its hosts are used.

A Policy belongs to a cluster for its life and keeps what must survive a change of hosts (the place in a round). It
picks within a set. A Balancer is built for each change of hosts or their health; it is replaced, not told.
Source: Envoy, extensions/load_balancing_policies/common/load_balancer_impl.cc (LoadBalancerBase).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from random import Random
from typing import Final, Protocol

from trio_envoy.config.cluster import Cluster
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host, HostSet
from trio_envoy.upstream.stats import ClusterStats

DEFAULT_PANIC_THRESHOLD: Final = 50.0  # percent; CommonLbConfig.healthy_panic_threshold
OVERPROVISIONING: Final = 140  # percent; ClusterLoadAssignment.Policy.overprovisioning_factor


class Part(Enum):
    """Which hosts of a priority."""

    HEALTHY = auto()
    DEGRADED = auto()
    ALL = auto()  # panic


Source = tuple[int, Part]
"""A set to pick from, by priority."""
Pick = Callable[[LbContext], Host]
"""The next host out of one set."""
Balancer = Callable[[LbContext], Host | None]
"""The host for a request, or None: no healthy upstream."""


class Policy(Protocol):
    """A load balancing policy, as set up for one cluster."""

    def picker(self, source: Source, hosts: Sequence[Host]) -> Pick:
        """How hosts are picked out of this (never empty) set, in place of what was picked from before.

        Args:
            source: which set it is; each has its own place in the round.
            hosts: the set.
        """


def panic_threshold(config: Cluster) -> float:
    """The configured one, in percent."""
    common = config.common_lb_config
    if common is None or common.healthy_panic_threshold is None:
        return DEFAULT_PANIC_THRESHOLD
    return common.healthy_panic_threshold.value


def equally_weighted(hosts: Sequence[Host]) -> bool:
    """Whether a round needs no weights."""
    weight = hosts[0].weight
    return all(host.weight == weight for host in hosts)


def build(
    priorities: Sequence[HostSet], policy: Policy, stats: ClusterStats, threshold: int, random: Random
) -> Balancer:
    """The balancer for these hosts.

    Args:
        priorities: the snapshot of each, from priority 0 on.
        policy: picks within a set.
        stats: lb_healthy_panic.
        threshold: percent of healthy or degraded hosts below which all are used; 0 never.
        random: shares requests out between sets.
    """
    shares = [
        (load, _chooser(source, priorities[source[0]], policy, stats))
        for load, source in _shares(priorities, threshold)
        if load
    ]
    if len(shares) == 1:
        return shares[0][1]

    def choose(context: LbContext) -> Host | None:
        left = random.randrange(100)
        for load, chooser in shares:
            left -= load
            if left < 0:
                return chooser(context)
        raise AssertionError("the loads add up to 100")

    return choose


def _chooser(source: Source, hosts: HostSet, policy: Policy, stats: ClusterStats) -> Balancer:
    part = source[1]
    chosen = hosts.hosts if part is Part.ALL else hosts.healthy if part is Part.HEALTHY else hosts.degraded
    pick = policy.picker(source, chosen) if chosen else None
    if part is Part.ALL:
        return _panicking(pick, stats)
    return _none if pick is None else pick


def _panicking(pick: Pick | None, stats: ClusterStats) -> Balancer:
    def choose(context: LbContext) -> Host | None:
        stats.lb_healthy_panic += 1
        return pick(context) if pick is not None else None

    return choose


def _none(context: LbContext) -> None:
    """There is no host in the set."""


def _shares(priorities: Sequence[HostSet], threshold: int) -> list[tuple[int, Source]]:
    """How many of 100 requests go to each set: healthy ones in order, then degraded ones."""
    healthy = [_available(len(hosts.healthy), hosts) for hosts in priorities]
    degraded = [_available(len(hosts.degraded), hosts) for hosts in priorities]
    available = min(100, sum(healthy) + sum(degraded))
    panic = [available < 100 and _works(hosts) < threshold for hosts in priorities]
    if all(panic):
        return _by_size(priorities)
    if not available:
        return [(100, (0, Part.HEALTHY))]
    loads, left = _distribute(healthy, 100, available)
    degraded_loads, left = _distribute(degraded, left, available)
    if left:  # by rounding; the first set that is not empty gets it
        first = healthy if any(healthy) else degraded
        (loads if any(healthy) else degraded_loads)[next(i for i, each in enumerate(first) if each)] += left
    return [
        *[(load, (i, Part.ALL if panic[i] else Part.HEALTHY)) for i, load in enumerate(loads)],
        *[(load, (i, Part.ALL if panic[i] else Part.DEGRADED)) for i, load in enumerate(degraded_loads)],
    ]


def _available(count: int, hosts: HostSet) -> int:
    """What so many hosts of a set can take, in percent; more than their number, as they are over-provisioned."""
    counted = len(hosts.hosts) - hosts.excluded
    return min(100, OVERPROVISIONING * count // counted) if counted else 0


def _works(hosts: HostSet) -> float:
    """Percent of the hosts that are healthy or degraded."""
    counted = len(hosts.hosts) - hosts.excluded
    return 100 * (len(hosts.healthy) + len(hosts.degraded)) / counted if counted else 0.0


def _distribute(availability: Sequence[int], total: int, available: int) -> tuple[list[int], int]:
    """The loads of sets that are served in order, and what is left of the total."""
    loads = []
    for each in availability:
        loads.append(min(total, each * 100 // available))
        total -= loads[-1]
    return loads, total


def _by_size(priorities: Sequence[HostSet]) -> list[tuple[int, Source]]:
    """Everything is in panic: each priority gets as much as it has hosts."""
    sizes = [len(hosts.hosts) for hosts in priorities]
    total = sum(sizes)
    if not total:
        return [(100, (0, Part.ALL))]
    loads = [100 * size // total for size in sizes]
    loads[next(i for i, size in enumerate(sizes) if size)] += 100 - sum(loads)
    return [(load, (i, Part.ALL)) for i, load in enumerate(loads)]
