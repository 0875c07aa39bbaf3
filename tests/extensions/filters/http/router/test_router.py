"""envoy.filters.http.router: what it answers from the route, and to which cluster it turns."""

import pytest

from tests.extensions.filters.http.router.routed import Routed, answer
from tests.fakes import a_filter_context, a_route, a_services, a_stream, counted
from trio_envoy import registry
from trio_envoy.config.runtime_layers import LayeredRuntime, RuntimeLayer
from trio_envoy.extensions.filters.http.router import Router, RouterFilter, make
from trio_envoy.routing.entry import DirectResponseAction, ForwardAction, RedirectAction
from trio_envoy.runtime import Runtime, RuntimeStats

STATS = "http.ingress."


async def answered(action, config=Router(), clusters=(), services=None, path=b"/a"):  # noqa: B008 - frozen
    services = services or a_services()
    stream = a_stream(path=path, route=None if action is None else a_route(action))
    stream.info.upstream_cluster = "said by the route"
    reply = await make(config, a_filter_context(services, clusters)).answer(stream)
    return reply, stream, counted(services, STATS)


def test_it_is_found_by_its_config():
    extension = registry.extension_for(registry.Category.HTTP_FILTER, Router())

    assert isinstance(extension.factory(Router(), a_filter_context()), RouterFilter)


async def test_no_route():
    reply, _, counts = await answered(None)

    assert (reply.status, reply.text, reply.details) == (404, b"", "route_not_found")
    assert counts == {"rq_total": 1, "no_route": 1}


@pytest.mark.parametrize("status", [503, 404])
async def test_no_cluster(status):
    reply, stream, counts = await answered(ForwardAction("gone", not_found_status=status))

    assert (reply.status, reply.text, reply.details) == (status, b"", "cluster_not_found")
    assert stream.info.upstream_cluster == ""
    assert counts == {"rq_total": 1, "no_cluster": 1}


async def test_a_redirect():
    reply, _, counts = await answered(RedirectAction(302, lambda request: b"http://x" + request.path))

    assert (reply.status, reply.details, reply.headers) == (302, "direct_response", ((b"location", b"http://x/a"),))
    assert counts == {"rq_total": 1, "rq_direct_response": 1}


@pytest.mark.parametrize("suppress", [False, True])
async def test_a_redirect_that_rewrites_tells_the_path_of_before_unless_suppressed(suppress):
    kept = []

    def rewrite(request, keep_original):
        kept.append(keep_original)
        request.path = b"/new"

    action = RedirectAction(301, lambda request: request.path, rewrite)

    reply, stream, _ = await answered(action, Router(suppress_envoy_headers=suppress))

    assert reply.headers == ((b"location", b"/new"),)
    assert stream.request.path == b"/new"
    assert kept == [not suppress]


@pytest.mark.parametrize(
    ("action", "headers"),
    [
        (DirectResponseAction(200, b"hi"), ()),
        (DirectResponseAction(201, b"hi", lambda request: request.path), ((b"location", b"/a"),)),
    ],
)
async def test_a_direct_response(action, headers):
    reply, _, counts = await answered(action)

    assert (reply.status, reply.text, reply.details, reply.headers) == (
        action.status,
        b"hi",
        "direct_response",
        headers,
    )
    assert counts == {"rq_total": 1, "rq_direct_response": 1}


@pytest.mark.parametrize(("suppress", "headers"), [(False, ((b"x-envoy-overloaded", b"true"),)), (True, ())])
async def test_maintenance(suppress, headers):
    routed = Routed(answer(), config=Router(suppress_envoy_headers=suppress))
    layer = RuntimeLayer(name="l", static_layer={"upstream.maintenance_mode.c": 100})
    routed.cluster.runtime = Runtime(LayeredRuntime(layers=(layer,)), RuntimeStats())

    reply = await routed.run()

    assert (reply.status, reply.text, reply.details, reply.headers) == (
        503,
        b"maintenance mode",
        "maintenance_mode",
        headers,
    )
    assert routed.counts["upstream_rq_maintenance_mode"] == routed.counts["upstream_rq_503"] == 1
    assert routed.cluster.sent == []


async def test_timeouts_of_a_route_are_computed_once():
    router = make(Router(), a_filter_context())
    action = ForwardAction("c")

    timing = router.timing(action)

    assert router.timings == {action: timing}


def test_stat_names_keep_their_colons():
    services = a_services()

    make(Router(), a_filter_context(services, stat_prefix="a:b"))

    assert "http.a:b.rq_total" in {name for name, _, _ in services.stats}
