"""Routes whose cluster differs from request to request."""

from collections import Counter

import attrs
import pytest

from tests.messages import a_request, a_runtime, an_info
from trio_envoy.routing.entry import ForwardAction, Route, VirtualHost
from trio_envoy.routing.overrides import NO_OVERRIDES
from trio_envoy.routing.weighted import ByHeader, ByWeight, Share


def a_route(cluster):
    return Route(
        name="r", virtual_host=VirtualHost("v"), overrides=NO_OVERRIDES, action=ForwardAction(cluster, timeout=7.0)
    )


def test_the_cluster_of_a_header(context):
    route = a_route("")
    by_header = ByHeader("X-Cluster", route, route.action)

    first = by_header.pick(a_request("/", ("x-cluster", "c"), ("x-cluster", "d")), an_info())
    missing = by_header.pick(a_request("/"), an_info())

    assert first.action.cluster == "c"
    assert (first.action.timeout, first.name, first.overrides) == (7.0, "r", NO_OVERRIDES)
    assert missing.action.cluster == ""
    assert by_header.pick(a_request("/", ("x-cluster", "c")), an_info()) is first


@pytest.mark.parametrize(("header", "expected"), [("Host", "a.com"), (":authority", "a.com"), (":path", "/p")])
def test_the_header_may_be_a_pseudo_header(header, expected):
    route = a_route("")

    assert ByHeader(header, route, route.action).pick(a_request("/p"), an_info()).action.cluster == expected


def test_names_from_clients_are_not_kept_for_ever():
    route = a_route("")
    by_header = ByHeader("x", route, route.action)
    first = by_header.pick(a_request("/", ("x", "0")), an_info())

    for number in range(2000):
        assert by_header.pick(a_request("/", ("x", str(number))), an_info()).action.cluster == str(number)

    assert by_header.pick(a_request("/", ("x", "0")), an_info()) is not first


def picked(by_weight, randoms):
    return Counter(by_weight.pick(a_request("/"), an_info(random=random)).action.cluster for random in randoms)


def test_weights_share_out_the_random_numbers(context):
    by_weight = ByWeight([Share(a_route("c"), 1), Share(a_route("d"), 0), Share(a_route("e"), 3)], context)

    assert picked(by_weight, range(400)) == {"c": 100, "e": 300}


def test_a_share_may_be_picked_by_header(context):
    route = a_route("")
    by_header = ByHeader("x", route, route.action)
    by_weight = ByWeight([Share(by_header.pick, 1)], context)

    assert by_weight.pick(a_request("/", ("x", "d")), an_info()).action.cluster == "d"


def test_the_runtime_replaces_weights(context):
    shares = [Share(a_route("c"), 1, "w.c"), Share(a_route("d"), 1, "w.d")]

    assert picked(ByWeight(shares, attrs.evolve(context, runtime=a_runtime(w__c=3))), range(400)) == {
        "c": 300,
        "d": 100,
    }
    assert picked(ByWeight(shares, attrs.evolve(context, runtime=a_runtime(w__c=0, w__d=0))), range(10)) == {"c": 10}
