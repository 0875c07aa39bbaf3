"""envoy.load_balancing_policies.random: any host, whatever its weight.

Config: envoy.extensions.load_balancing_policies.random.v3.Random.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random as Generator
from typing import ClassVar

import attrs

from trio_envoy.registry import Category, register
from trio_envoy.upstream.balance import Pick, Source
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.upstream.host import Host


@attrs.frozen(kw_only=True)
class Random:
    """Options of the policy.

    Proto: envoy.extensions.load_balancing_policies.random.v3.Random
    """

    __proto__: ClassVar[str] = "envoy.extensions.load_balancing_policies.random.v3.Random"


class RandomPolicy:
    """Random choice for one cluster; upstream.balance.Policy."""

    def __init__(self, random: Generator) -> None:
        self._random = random

    def picker(self, source: Source, hosts: Sequence[Host]) -> Pick:
        """How hosts are picked out of a set."""
        bits, size = self._random.getrandbits, len(hosts)
        return lambda _context: hosts[bits(32) % size]


@register(Category.LOAD_BALANCING_POLICY, "envoy.load_balancing_policies.random", config=Random)
def make(config: Random, context: ClusterContext) -> RandomPolicy:
    """The policy for a cluster."""
    return RandomPolicy(context.services.random)
