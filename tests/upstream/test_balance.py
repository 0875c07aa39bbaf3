from collections import Counter
from random import Random

import pytest

from tests.upstream.fakes import address, config_of
from trio_envoy.config.cluster import CommonLbConfig
from trio_envoy.config.types import Percent
from trio_envoy.upstream import balance
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import HealthFlag, Host, HostSet
from trio_envoy.upstream.stats import ClusterStats

GOOD, WEAK, BAD, OUT = 0, HealthFlag.DEGRADED_ACTIVE_HC, HealthFlag.FAILED_ACTIVE_HC, 0x81


class FirstInTurn:
    """A policy that remembers which sets it was asked for."""

    def __init__(self):
        self.asked = []

    def picker(self, source, hosts):
        self.asked.append((source, len(hosts)))
        turn = iter(range(10**6))
        return lambda: hosts[next(turn) % len(hosts)]


def hosts_of(flags):
    hosts = []
    for number, each in enumerate(flags):
        host = Host(address(f"10.0.0.{number}:80"))
        host.flags = int(each)
        hosts.append(host)
    return HostSet.of(hosts)


def build(flags, threshold=50):
    hosts, policy, stats = hosts_of(flags), FirstInTurn(), ClusterStats()
    return balance.build(hosts, policy, stats, threshold, Random(1)), hosts, policy, stats


@pytest.mark.parametrize(
    ("flags", "sets"),
    [
        ([GOOD, GOOD], [(balance.HEALTHY, 2)]),
        ([GOOD, GOOD, BAD], [(balance.HEALTHY, 2)]),
        ([GOOD, BAD], [(balance.HEALTHY, 1)]),  # 50 % is not below 50 %
        ([GOOD, BAD, BAD], [(balance.ALL, 3)]),  # panic
        ([GOOD, OUT, OUT], [(balance.HEALTHY, 1)]),  # excluded hosts do not count
        ([BAD, BAD], [(balance.ALL, 2)]),
        ([WEAK], [(balance.DEGRADED, 1)]),
        ([WEAK, WEAK, BAD], [(balance.DEGRADED, 2)]),
        ([GOOD, GOOD, GOOD, WEAK], [(balance.HEALTHY, 3)]),  # 105 %: the degraded one is not needed
        ([GOOD, WEAK, WEAK], [(balance.HEALTHY, 1), (balance.DEGRADED, 2)]),
    ],
)
def test_which_sets_serve(flags, sets):
    _, _, policy, _ = build(flags)

    assert policy.asked == sets


def test_degraded_hosts_get_what_healthy_ones_can_not_take():
    choose, hosts, _, _ = build([GOOD, WEAK, WEAK])  # one of three healthy: 140 % / 3 = 46 %

    counts = Counter(choose(LbContext()) in hosts.healthy for _ in range(10_000))

    assert counts[True] == pytest.approx(4600, abs=200)


def test_panic_is_counted_for_each_request():
    choose, hosts, _, stats = build([GOOD, BAD, BAD])

    assert [choose(LbContext()) for _ in range(3)] == list(hosts.hosts)
    assert stats.lb_healthy_panic == 3


def test_without_hosts_it_is_panic_too():
    # measured on 1.40: lb_healthy_panic counts for a cluster without endpoints
    choose, _, _, stats = build([])

    assert choose(LbContext()) is None
    assert stats.lb_healthy_panic == 1


def test_threshold_zero_turns_panic_off():
    choose, _, _, stats = build([BAD, BAD], threshold=0)

    assert choose(LbContext()) is None
    assert stats.lb_healthy_panic == 0


def test_threshold_zero_keeps_the_last_healthy_host():
    choose, hosts, _, _ = build([GOOD, BAD, BAD, BAD], threshold=0)

    assert choose(LbContext()) is hosts.healthy[0]


def test_no_panic_while_what_there_is_can_take_everything():
    _, _, policy, _ = build([GOOD, GOOD, GOOD, GOOD, BAD], threshold=100)  # 4 of 5: 112 %

    assert policy.asked == [(balance.HEALTHY, 4)]


@pytest.mark.parametrize(
    ("common", "percent"),
    [
        (None, 50),
        (CommonLbConfig(), 50),
        (CommonLbConfig(healthy_panic_threshold=Percent(value=0.0)), 0),
        (CommonLbConfig(healthy_panic_threshold=Percent(value=75.0)), 75),
    ],
)
def test_panic_threshold(common, percent):
    assert balance.panic_threshold(config_of(common_lb_config=common)) == percent


def test_equally_weighted():
    light, heavy = Host(address("10.0.0.1:80")), Host(address("10.0.0.2:80"), weight=2)

    assert balance.equally_weighted([light, light])
    assert not balance.equally_weighted([light, heavy])
