from tests.upstream.fakes import address
from trio_envoy.extensions.load_balancing_policies.round_robin import RoundRobinPolicy
from trio_envoy.upstream.balance import Part
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host

HEALTHY, ALL = (0, Part.HEALTHY), (0, Part.ALL)


def hosts(*weights):
    return [Host(address(f"10.0.0.{number}:80"), weight=weight) for number, weight in enumerate(weights)]


def take(pick, count, of):
    return [of.index(pick(LbContext())) for _ in range(count)]


def test_each_in_turn_from_a_place_of_its_own():
    three = hosts(1, 1, 1)

    assert take(RoundRobinPolicy(0).picker(HEALTHY, three), 5, three) == [0, 1, 2, 0, 1]
    assert take(RoundRobinPolicy(2).picker(HEALTHY, three), 5, three) == [2, 0, 1, 2, 0]


def test_equal_weights_are_no_weights():
    two = hosts(7, 7)

    assert take(RoundRobinPolicy(0).picker(HEALTHY, two), 3, two) == [0, 1, 0]


def test_the_place_survives_a_change_of_hosts():
    policy, four = RoundRobinPolicy(0), hosts(1, 1, 1, 1)
    take(policy.picker(HEALTHY, four), 5, four)

    assert take(policy.picker(HEALTHY, four[:3]), 3, four) == [2, 0, 1]


def test_each_set_has_its_own_place():
    policy, two = RoundRobinPolicy(0), hosts(1, 1)
    take(policy.picker(HEALTHY, two), 1, two)

    assert take(policy.picker(ALL, two), 2, two) == [0, 1]
    assert take(policy.picker(HEALTHY, two), 1, two) == [1]


def test_unequal_weights_share_in_proportion_and_begin_anew_with_new_hosts():
    policy, three = RoundRobinPolicy(0), hosts(3, 1, 1)

    first = take(policy.picker(HEALTHY, three), 4, three)
    again = take(policy.picker(HEALTHY, three), 4, three)

    assert first == again == [0, 0, 1, 2]
