"""record_route_resolution_stats."""

from tests.fakes import a_route, a_services, a_stream
from tests.hcm.served import Managed, ask
from trio_envoy.hcm.route_resolution import RouteResolution

STATS = "http.ingress.downstream_rq_route_resolution"


def recorded(services):
    """How many values each histogram has, and their sum."""
    services.stats.flush()
    found = {}
    for name, _, value in services.stats:
        if name.startswith(STATS):
            bins = dict(value.total)
            found[name.removeprefix(STATS)] = (sum(bins.values()), 0 in bins)
    return found


async def test_the_time_of_a_look_is_kept(autojump_clock):
    resolution = RouteResolution(a_services().stats.scope("x."))
    route, stream = a_route(), a_stream()

    find = resolution.timed(lambda request, info: route)

    assert find(stream.request, stream.info) is route
    assert stream.info.route_resolution_us == 0  # in virtual time


async def test_every_stream_is_recorded(autojump_clock):
    managed = Managed(record_route_resolution_stats=True)
    for request in (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"garbage\r\n\r\n"):
        async with managed.serving() as far:
            await ask(far, request)

    assert recorded(managed.services) == {"s": (2, True), "_time_us": (2, True)}


async def test_only_where_it_is_wanted(autojump_clock):
    managed = Managed()
    async with managed.serving() as far:
        await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

    assert recorded(managed.services) == {}
    assert managed.entries[0].info.route_resolution_us == 0
