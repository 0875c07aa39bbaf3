"""envoy.load_balancing_policies.least_request: the least busy of a few hosts picked at random.

Config: envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest; docs: intro/arch_overview/upstream/
load_balancing/load_balancers. With unequal weights it is a weighted round robin in which the weight of a host shrinks
with its active requests: weight / (active + 1) ** bias.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from random import Random
from typing import ClassVar, Final

import attrs

from trio_envoy.config.core import RuntimeDouble
from trio_envoy.registry import Category, register
from trio_envoy.runtime import Runtime
from trio_envoy.upstream.balance import Pick, Source, equally_weighted
from trio_envoy.upstream.context import ClusterContext, LbContext
from trio_envoy.upstream.edf import EdfScheduler
from trio_envoy.upstream.host import Host

DEFAULT_CHOICE_COUNT: Final = 2
DEFAULT_BIAS: Final = 1.0


class SelectionMethod(enum.StrEnum):
    """Which hosts are compared when all weights are equal.

    Proto: envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest.SelectionMethod
    """

    N_CHOICES = "N_CHOICES"
    FULL_SCAN = "FULL_SCAN"


@attrs.frozen(kw_only=True)
class LeastRequest:
    """Options of the policy.

    Proto: envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest

    Attributes:
        choice_count: hosts to compare, at least 2; None is 2.
        active_request_bias: at least 0; None is 1.0; 0 leaves active requests out of account.
        selection_method: N_CHOICES compares choice_count hosts, FULL_SCAN all.
    """

    __proto__: ClassVar[str] = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"

    choice_count: int | None = None
    active_request_bias: RuntimeDouble | None = None
    selection_method: SelectionMethod = SelectionMethod.N_CHOICES


class LeastRequestPolicy:
    """Least request for one cluster; upstream.balance.Policy."""

    def __init__(self, config: LeastRequest, random: Random, runtime: Runtime) -> None:
        self._random = random
        self._runtime = runtime
        self._seed = random.getrandbits(32)
        self._choices = config.choice_count or DEFAULT_CHOICE_COUNT
        self._all = config.selection_method is SelectionMethod.FULL_SCAN
        self._bias = config.active_request_bias

    def picker(self, source: Source, hosts: Sequence[Host]) -> Pick:
        """How hosts are picked out of a set."""
        if not equally_weighted(hosts):
            scheduler = EdfScheduler(hosts, self._step(), self._seed)
            return lambda _context: scheduler.pick()
        if self._all:
            return self._scanner(hosts)
        bits, size, further = self._random.getrandbits, len(hosts), range(self._choices - 1)

        def pick(_context: LbContext) -> Host:
            best = hosts[bits(32) % size]
            for _ in further:
                other = hosts[bits(32) % size]
                if other.rq_active < best.rq_active:
                    best = other
            return best

        return pick

    def _scanner(self, hosts: Sequence[Host]) -> Pick:
        """All are looked at; among the least busy ones chance decides."""

        def pick(_context: LbContext) -> Host:
            least = min([host.rq_active for host in hosts])
            return self._random.choice([host for host in hosts if host.rq_active == least])

        return pick

    def _step(self) -> Step:
        """The inverse weight of a host as it is now; the bias is read once, as Envoy does at each change of hosts."""
        bias = DEFAULT_BIAS
        if self._bias is not None:
            bias = self._runtime.snapshot.get_double(self._bias.runtime_key, self._bias.default_value)
        return Step(max(bias, 0.0))


class Step:
    """(active + 1) ** bias / weight."""

    def __init__(self, bias: float) -> None:
        self._bias = bias

    def __call__(self, host: Host) -> float:
        """What a pick of the host costs it now."""
        if self._bias == 1.0:
            return (host.rq_active + 1) / host.weight
        return float((host.rq_active + 1) ** self._bias / host.weight)


@register(Category.LOAD_BALANCING_POLICY, "envoy.load_balancing_policies.least_request", config=LeastRequest)
def make(config: LeastRequest, context: ClusterContext) -> LeastRequestPolicy:
    """The policy for a cluster."""
    return LeastRequestPolicy(config, context.services.random, context.services.runtime)
