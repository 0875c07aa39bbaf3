"""Compiled routes on their own."""

from tests.messages import a_context, a_request, a_response
from trio_envoy.routing.entry import DirectResponseAction, ForwardAction, Route, VirtualHost
from trio_envoy.routing.overrides import NO_OVERRIDES


def a_route(action):
    return Route(name="", virtual_host=VirtualHost("v"), overrides=NO_OVERRIDES, action=action)


def test_a_route_without_operations_changes_nothing():
    request, response = a_request("/", ("a", "1")), a_response(200, ("b", "2"))
    route = a_route(ForwardAction("c"))

    route.finalize_request(request, a_context(request), keep_original=True)
    route.finalize_response(response.headers, a_context(request, response))

    assert request.headers.items == [(b"a", b"1")]
    assert response.headers.items == [(b"b", b"2")]


def test_the_flag_reaches_the_rewrite():
    seen = []
    request = a_request("/")
    route = a_route(ForwardAction("c", rewrite=lambda _request, keep: seen.append(keep)))

    route.finalize_request(request, a_context(request), keep_original=False)
    route.finalize_request(request, a_context(request), keep_original=True)

    assert seen == [False, True]


def test_a_route_that_answers_has_nothing_to_rewrite():
    request = a_request("/")

    a_route(DirectResponseAction(200)).finalize_request(request, a_context(request), keep_original=True)

    assert request.path == b"/"
