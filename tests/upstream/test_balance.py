from collections import Counter
from random import Random

import pytest

from tests.upstream.fakes import address, config_of
from trio_envoy.config.cluster import CommonLbConfig
from trio_envoy.config.types import Percent
from trio_envoy.upstream import balance
from trio_envoy.upstream.balance import Part
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import HealthFlag, Host, HostSet
from trio_envoy.upstream.stats import ClusterStats

HEALTHY, DEGRADED, ALL = (0, Part.HEALTHY), (0, Part.DEGRADED), (0, Part.ALL)
GOOD, WEAK, BAD, OUT = 0, HealthFlag.DEGRADED_ACTIVE_HC, HealthFlag.FAILED_ACTIVE_HC, 0x81


class FirstInTurn:
    """A policy that remembers which sets it was asked for."""

    def __init__(self):
        self.asked = []

    def picker(self, source, hosts):
        self.asked.append((source, len(hosts)))
        turn = iter(range(10**6))
        return lambda _context: hosts[next(turn) % len(hosts)]


def hosts_of(flags, priority=0):
    hosts = []
    for number, each in enumerate(flags):
        host = Host(address(f"10.0.{priority}.{number}:80"), priority=priority)
        host.flags = int(each)
        hosts.append(host)
    return HostSet.of(hosts)


def build(flags, threshold=50):
    hosts, policy, stats = hosts_of(flags), FirstInTurn(), ClusterStats()
    return balance.build((hosts,), policy, stats, threshold, Random(1)), hosts, policy, stats


@pytest.mark.parametrize(
    ("flags", "sets"),
    [
        ([GOOD, GOOD], [(HEALTHY, 2)]),
        ([GOOD, GOOD, BAD], [(HEALTHY, 2)]),
        ([GOOD, BAD], [(HEALTHY, 1)]),  # 50 % is not below 50 %
        ([GOOD, BAD, BAD], [(ALL, 3)]),  # panic
        ([GOOD, OUT, OUT], [(HEALTHY, 1)]),  # excluded hosts do not count
        ([BAD, BAD], [(ALL, 2)]),
        ([WEAK], [(DEGRADED, 1)]),
        ([WEAK, WEAK, BAD], [(DEGRADED, 2)]),
        ([GOOD, GOOD, GOOD, WEAK], [(HEALTHY, 3)]),  # 105 %: the degraded one is not needed
        ([GOOD, WEAK, WEAK], [(HEALTHY, 1), (DEGRADED, 2)]),
    ],
)
def test_which_sets_serve(flags, sets):
    _, _, policy, _ = build(flags)

    assert policy.asked == sets


@pytest.mark.parametrize(
    ("levels", "shares"),
    [  # docs/root/intro/arch_overview/upstream/load_balancing/priority: healthy of 4 or 5 hosts a level
        ([[GOOD] * 4, [GOOD] * 4], {0: 100}),
        ([[GOOD] * 3 + [BAD], [GOOD] * 4], {0: 100}),  # 75 % healthy: 105 %
        ([[GOOD] * 2 + [BAD] * 2, [GOOD] * 4], {0: 70, 1: 30}),
        ([[GOOD] + [BAD] * 3, [GOOD] * 4], {0: 35, 1: 65}),
        ([[BAD] * 4, [GOOD] * 4], {1: 100}),
        ([[GOOD] + [BAD] * 3, [GOOD] + [BAD] * 3], {0: 50, 1: 50}),  # 70 % in all; both in panic: by size
        ([[GOOD] + [BAD] * 4, [GOOD] + [BAD] * 4, [GOOD] * 5], {0: 28, 1: 28, 2: 44}),
        ([[], [GOOD]], {1: 100}),
        ([[BAD], [BAD, BAD, BAD]], {0: 25, 1: 75}),  # total panic: by size
        ([[WEAK] * 2, [GOOD] * 2], {1: 100}),  # healthy ones of a later level before degraded ones
        ([[WEAK] * 2, [GOOD] + [BAD] * 3], {0: 65, 1: 35}),
    ],
)
def test_priorities_share(levels, shares):
    sets = [hosts_of(flags, level) for level, flags in enumerate(levels)]
    choose = balance.build(sets, FirstInTurn(), ClusterStats(), 50, Random(1))

    counts = Counter(choose(LbContext()).priority for _ in range(20_000))

    assert {level: count / 200 for level, count in counts.items()} == pytest.approx(shares, abs=1.2)


def test_panic_of_one_level_uses_all_its_hosts():
    sets = [hosts_of([GOOD, BAD, BAD, BAD, BAD], 0), hosts_of([GOOD, GOOD, BAD, BAD], 1)]
    policy, stats = FirstInTurn(), ClusterStats()

    balance.build(sets, policy, stats, 50, Random(1))

    assert policy.asked == [((0, Part.ALL), 5), ((1, Part.HEALTHY), 2)]  # 28 % and 70 %


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

    assert policy.asked == [(HEALTHY, 4)]


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
