from collections import Counter
from random import Random

import pytest

from tests.upstream.fakes import address, make_services
from trio_envoy.config.core import RuntimeDouble
from trio_envoy.config.runtime_layers import LayeredRuntime, RuntimeLayer
from trio_envoy.extensions.load_balancing_policies.least_request import (
    LeastRequest,
    LeastRequestPolicy,
    SelectionMethod,
)
from trio_envoy.upstream.balance import Part
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host

HEALTHY = (0, Part.HEALTHY)


def hosts(*busy, weights=None):
    made = []
    for number, active in enumerate(busy):
        host = Host(address(f"10.0.0.{number}:80"), weight=weights[number] if weights else 1)
        host.rq_active = active
        made.append(host)
    return made


def shares(config, of, *, values=None):
    runtime = LayeredRuntime(layers=(RuntimeLayer(name="l", static_layer=values),)) if values else None
    policy = LeastRequestPolicy(config, Random(1), make_services(runtime=runtime).runtime)
    pick = policy.picker(HEALTHY, of)
    counts = Counter(pick(LbContext()) for _ in range(12_000))
    return [counts[host] for host in of]


def test_the_less_busy_one_of_two_is_taken():
    # the busiest of three is taken only when both choices fall on it, the idle one when either does
    assert shares(LeastRequest(), hosts(0, 5, 9)) == pytest.approx([6667, 4000, 1333], abs=200)


def test_more_choices():
    assert shares(LeastRequest(choice_count=3), hosts(0, 5, 9)) == pytest.approx([8444, 3111, 444], abs=200)


def test_full_scan_finds_the_idle_ones():
    assert shares(LeastRequest(selection_method=SelectionMethod.FULL_SCAN), hosts(0, 5, 0)) == pytest.approx(
        [6000, 0, 6000], abs=200
    )


def test_unequal_weights_shrink_with_active_requests():
    # weights 3 / (1 + 1) and 1 / (0 + 1)
    assert shares(LeastRequest(), hosts(1, 0, weights=[3, 1])) == pytest.approx([7200, 4800], abs=2)


@pytest.mark.parametrize(("bias", "expected"), [(0.0, [9000, 3000]), (2.0, [5143, 6857]), (-1.0, [9000, 3000])])
def test_bias_says_how_much(bias, expected):
    config = LeastRequest(active_request_bias=RuntimeDouble(default_value=bias, runtime_key="bias"))

    assert shares(config, hosts(1, 0, weights=[3, 1])) == pytest.approx(expected, abs=3)


def test_bias_of_the_runtime_wins():
    config = LeastRequest(active_request_bias=RuntimeDouble(default_value=1.0, runtime_key="bias"))

    assert shares(config, hosts(1, 0, weights=[3, 1]), values={"bias": 0.0}) == pytest.approx([9000, 3000], abs=3)
