from collections import Counter
from random import Random

import pytest

from tests.upstream.fakes import address
from trio_envoy.extensions.load_balancing_policies.random import RandomPolicy
from trio_envoy.upstream.balance import Part
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host

HEALTHY = (0, Part.HEALTHY)


def test_each_host_is_as_likely_whatever_its_weight():
    hosts = [Host(address(f"10.0.0.{number}:80"), weight=number + 1) for number in range(3)]
    pick = RandomPolicy(Random(1)).picker(HEALTHY, hosts)

    counts = Counter(pick(LbContext()) for _ in range(30_000))

    assert [counts[host] for host in hosts] == pytest.approx([10_000] * 3, abs=300)
