"""The compiled HTTP connection manager."""

import pytest
import trio

from tests.fakes import a_filter_context, a_services, a_stream, headers
from tests.hcm.served import Answering, Managed, Passing, ask, direct, filters, table
from trio_envoy.config.hcm import CodecType, HttpFilter
from trio_envoy.config.hcm import HttpConnectionManager as Config
from trio_envoy.config.protocol import Http1ProtocolOptions, HttpProtocolOptions
from trio_envoy.config.route import Route
from trio_envoy.config.route_action import RouteAction
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.errors import ConfigError
from trio_envoy.hcm.filter import TerminalFilter
from trio_envoy.hcm.manager import HttpConnectionManager
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.filter import CountsHandshakes


def a_manager(services=None, terminal=None, **config):
    config = {"stat_prefix": "x", "route_config": table(), "http_filters": filters(Answering()), **config}
    return HttpConnectionManager(Config(**config), a_filter_context(services), terminal)


def refused(**config):
    with pytest.raises(ConfigError) as caught:
        a_manager(**config)
    return caught.value


async def test_the_stats_are_there_from_the_start():
    services = a_services()

    a_manager(services)

    names = {name for name, _, _ in services.stats}
    assert {
        "http.x.downstream_cx_total",
        "http.x.tracing.random_sampling",
        "listener.127.0.0.1_0.http.x.downstream_rq_2xx",
    } <= names


async def test_routes_are_required():
    assert refused(route_config=None).text == "route_config: required"


async def test_routes_must_lead_to_clusters_that_exist():
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster="nowhere"))

    assert refused(route_config=table(route)).text == "route: unknown cluster 'nowhere'"


@pytest.mark.parametrize(
    ("http_filters", "text", "at"),
    [
        (filters(Passing()), "non-terminal filter named f0 is the last filter in a http filter chain", 0),
        (
            filters(Answering(), Answering()),
            "terminal filter named f0 must be the last filter in a http filter chain",
            0,
        ),
        (
            (HttpFilter(name="a", typed_config=Answering(), disabled=True),),
            "the last (terminal) filter (a) in the chain cannot be disabled by default.",
            0,
        ),
        ((HttpFilter(name="a"),), "Didn't find a registered implementation for 'a' with type URL: ''", 0),
        (
            (HttpFilter(name="a", typed_config=Config()),),
            "Didn't find a registered implementation for 'a' with type URL: ''",
            0,
        ),
    ],
)
async def test_a_chain_ends_in_its_one_terminal_filter(http_filters, text, at):
    error = refused(http_filters=http_filters)

    assert error.text == text
    assert error.at is http_filters[at]


async def test_without_filters_nobody_answers_until_a_deadline_does(autojump_clock):
    managed = Managed(http_filters=(), stream_idle_timeout=5.0)
    async with managed.serving() as far:
        answer = await ask(far, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert managed.entries[0].info.bytes_received == 3


async def test_the_cluster_of_the_route_is_known_before_any_filter():
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster="up"))
    managed = Managed(routes=table(route, validate_clusters=False))
    async with managed.serving() as far:
        await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

    assert managed.entries[0].info.upstream_cluster == "up"


@pytest.mark.parametrize("typed", [None, Config()])
async def test_an_optional_filter_that_is_none_is_left_out(typed):
    entries = (HttpFilter(name="a", is_optional=True, typed_config=typed), *filters(Answering()))

    assert (await a_manager(http_filters=entries).chain.run(a_stream())).status == 200


async def test_nothing_is_asked_of_an_optional_filter_that_is_left_out(autojump_clock):
    entries = (HttpFilter(name="a", typed_config=Passing()), HttpFilter(name="b", is_optional=True))

    with trio.move_on_after(60) as deadline:  # nobody answers, as with no filters at all
        await a_manager(http_filters=entries).chain.run(a_stream())

    assert deadline.cancelled_caught


async def test_two_filters_may_have_one_name():
    seen = []
    one = Passing(encode=lambda stream: seen.append(1))
    entries = tuple(HttpFilter(name="a", typed_config=each) for each in (one, one, Answering()))

    await a_manager(http_filters=entries).chain.run(a_stream())

    assert seen == [1, 1]


@pytest.mark.parametrize(
    ("config", "text", "field"),
    [
        (
            {"strip_matching_host_port": True, "strip_any_host_port": True},
            "Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.",
            "strip_matching_host_port",
        ),
        ({"codec_type": CodecType.HTTP3}, "HTTP/3 codec configured on non-QUIC listener.", "codec_type"),
        (
            {"common_http_protocol_options": HttpProtocolOptions(max_response_headers_kb=80)},
            "max_response_headers_kb cannot be set on http_connection_manager.",
            "max_response_headers_kb",
        ),
    ],
)
async def test_what_else_is_refused(config, text, field):
    error = refused(**config)

    assert (error.text, error.field) == (text, (field,))


async def test_filters_know_the_stat_prefix():
    passing = Passing()

    a_manager(http_filters=filters(passing, Answering()))

    assert passing.context[0].stat_prefix == "x"


async def test_a_terminal_given_needs_no_routes_and_no_filters():
    class Admin(TerminalFilter):
        async def answer(self, stream):
            return Response(200, headers())

    manager = a_manager(terminal=Admin(), route_config=None, http_filters=())

    assert manager.routes is None
    assert (await manager.chain.run(a_stream())).status == 200


async def test_headers_of_internal_clients_only_come_from_the_routes():
    seen = []

    async def answer(stream):
        seen.append(stream.request.headers.get(b"x-secret"))
        return Response(200, headers())

    managed = Managed(answer, routes=table(direct(), internal_only_headers=("X-Secret",)))
    async with managed.serving() as far:
        await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\nx-secret: 1\r\n\r\n")

    assert seen == [None]


@pytest.mark.parametrize(
    ("keep", "protocol", "status", "closes"),
    [
        (None, "HTTP/1.1", 400, True),
        (True, "HTTP/1.1", 400, False),
        (None, "HTTP/2", 400, False),
        (None, "HTTP/1.1", 404, False),
    ],
)
async def test_a_400_ends_an_http1_connection(keep, protocol, status, closes):
    options = Http1ProtocolOptions(override_stream_error_on_invalid_http_message=keep)
    manager = a_manager(http_protocol_options=options)
    stream = a_stream(protocol=protocol)

    manager.local_response(stream, LocalReply(status))

    assert stream.codec.closes is closes


@pytest.mark.parametrize(("value", "idle", "overall"), [(None, 300.0, None), (0.0, None, None), (7.0, 7.0, 7.0)])
async def test_timeouts(value, idle, overall):
    manager = a_manager(stream_idle_timeout=value, request_timeout=value)

    assert (manager.stream_idle_timeout, manager.request_timeout) == (idle, overall)


async def test_draining_is_the_listeners_to_say():
    wanted = []
    manager = HttpConnectionManager(
        Config(stat_prefix="x", route_config=table(), http_filters=filters(Answering())),
        a_filter_context(draining=lambda: bool(wanted)),
    )

    assert not manager.draining()
    wanted.append(1)
    assert manager.draining()


@pytest.mark.parametrize("local", [True, False])
async def test_connections_that_were_never_served_count_too(local):
    manager = HttpConnectionManager(
        Config(stat_prefix="x", route_config=table(), http_filters=filters(Answering())), a_filter_context()
    )

    manager.handshake_failed(0.5, local=local)

    stats = manager.stats
    assert (stats.downstream_cx_total, stats.downstream_cx_ssl_total, stats.downstream_cx_destroy) == (1, 1, 1)
    assert (stats.downstream_cx_destroy_local, stats.downstream_cx_destroy_remote) == (local, not local)
    stats.downstream_cx_length_ms.close_interval()
    assert stats.downstream_cx_length_ms.used
    assert isinstance(manager, CountsHandshakes)
