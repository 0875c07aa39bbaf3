"""envoy.load_balancing_policies.round_robin: each host in turn, or in proportion to the weights if they differ.

Config: envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin; docs: intro/arch_overview/upstream/
load_balancing/load_balancers. As in Envoy a round begins at a random host, so that proxies do not march in step, the
place in it survives a change of hosts, and with unequal weights the schedule begins anew then.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import ClassVar

import attrs

from trio_envoy.registry import Category, register
from trio_envoy.upstream.balance import Pick, Source, equally_weighted
from trio_envoy.upstream.context import ClusterContext, LbContext
from trio_envoy.upstream.edf import EdfScheduler
from trio_envoy.upstream.host import Host


@attrs.frozen(kw_only=True)
class RoundRobin:
    """Options of the policy.

    Proto: envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin
    """

    __proto__: ClassVar[str] = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"


class RoundRobinPolicy:
    """Round robin for one cluster; upstream.balance.Policy.

    Args:
        seed: where rounds begin.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._turns: dict[Source, list[int]] = {}  # of each set the next place, in a list of one

    def picker(self, source: Source, hosts: Sequence[Host]) -> Pick:
        """How hosts are picked out of a set."""
        if not equally_weighted(hosts):
            unit = lcm(*(host.weight for host in hosts))
            scheduler = EdfScheduler(hosts, lambda host: unit // host.weight, self._seed)
            return lambda _context: scheduler.pick()
        turn = self._turns.setdefault(source, [self._seed])
        size = len(hosts)

        def pick(_context: LbContext) -> Host:
            place = turn[0]
            turn[0] = place + 1
            return hosts[place % size]

        return pick


@register(Category.LOAD_BALANCING_POLICY, "envoy.load_balancing_policies.round_robin", config=RoundRobin)
def make(config: RoundRobin, context: ClusterContext) -> RoundRobinPolicy:
    """The policy for a cluster."""
    return RoundRobinPolicy(context.services.random.getrandbits(32))
