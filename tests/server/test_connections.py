from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import Scripted, a_services, receive_all, receive_some
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.listener import Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter
from trio_envoy.errors import CloseConnection
from trio_envoy.extensions.filters.network.echo import Echo
from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.channel import send_all
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.stream_info import DPE, NR, TlsInfo
from trio_envoy.server import connections
from trio_envoy.server.connections import ConnectionHandler
from trio_envoy.server.stats import ServerStats

ECHO = Filter(name="echo", typed_config=Echo())


async def never(_subject):
    await trio.sleep_forever()


async def late(_subject):
    await trio.sleep(1000)


def serving(serve) -> Filter:
    return Filter(name="s", typed_config=Scripted(serve=serve))


def a_handler(*filters: Filter, services=None, listener_filters=(), chain=None, **config) -> ConnectionHandler:
    services = services or a_services()
    chain = FilterChain(filters=filters or (ECHO,), **(chain or {}))
    return ConnectionHandler(
        Listener(name="l", filter_chains=(chain,), listener_filters=listener_filters, **config),
        FilterContext(
            services=services,
            clusters=None,
            scope=services.stats.scope(""),
            listener_scope=services.stats.scope("listener.a."),
            listener_name="l",
            buffer_limit_bytes=1,
            direction="INBOUND",
            draining=lambda: False,
        ),
    )


def bugs(handler) -> int:
    return handler._server_stats.envoy_bug_failures


async def test_a_connection_from_its_accept_to_its_end(autojump_clock, nursery):
    handler = a_handler(chain={"name": "c"})
    client, server = memory_channel_pair()
    nursery.start_soon(handler.serve, server)
    await send_all(client, b"hello")
    assert await receive_some(client) == b"hello"

    stats, worker = handler.stats, handler._worker_stats
    assert (stats.downstream_cx_total, stats.downstream_cx_active, stats.downstream_cx_destroy) == (1, 1, 0)
    assert (worker.downstream_cx_total, worker.downstream_cx_active) == (1, 1)
    assert len(handler.connections) == 1
    info = server.info
    assert (info.listener, info.filter_chain, info.direction) == ("l", "c", "INBOUND")

    await trio.sleep(2)
    client.close()
    await wait_all_tasks_blocked()
    assert (stats.downstream_cx_total, stats.downstream_cx_active, stats.downstream_cx_destroy) == (1, 0, 1)
    assert (worker.downstream_cx_total, worker.downstream_cx_active) == (1, 0)
    assert server.closed
    assert not handler.connections
    stats.downstream_cx_length_ms.close_interval()
    assert stats.downstream_cx_length_ms.used


async def test_filters_run_in_order_and_may_wrap_the_channel(autojump_clock):
    order = []
    _client, server = memory_channel_pair()
    _, wrapped = memory_channel_pair()

    async def first(connection):
        order.append("first")
        connection.on_close.append(lambda: order.append("closed"))

    async def second(connection):
        order.append("second")
        connection.channel = wrapped

    async def serve(connection):
        order.append("serve")
        assert connection.channel is wrapped

    await a_handler(
        Filter(name="1", typed_config=Scripted(on_connection=first)),
        Filter(name="2", typed_config=Scripted(on_connection=second)),
        serving(serve),
    ).serve(server)

    assert order == ["first", "second", "serve", "closed"]
    assert wrapped.closed


class TestWall:
    @pytest.mark.parametrize(
        "error",
        [ConnectionResetError("gone"), BrokenPipeError(), CloseConnection("refused"), ExceptionGroup("g", [OSError()])],
    )
    async def test_faults_of_the_peer_are_quiet(self, autojump_clock, caplog, error):
        async def serve(_connection):
            raise error

        handler = a_handler(serving(serve))
        client, server = memory_channel_pair()
        await handler.serve(server)

        assert await receive_all(client) == b""
        assert caplog.records == []
        assert bugs(handler) == 0
        assert handler.stats.downstream_cx_active == 0

    @pytest.mark.parametrize("error", [ValueError("boom"), ExceptionGroup("g", [OSError(), KeyError("boom")])])
    @pytest.mark.parametrize("where", ["serve", "on_connection", "on_close", "listener_filter"])
    async def test_a_bug_ends_one_connection_with_a_traceback(self, autojump_clock, caplog, error, where):
        async def fail(connection):
            if where == "on_close":
                connection.on_close.append(lambda: (_ for _ in ()).throw(error))
            else:
                raise error

        async def serve(_connection):
            pass

        failing = Filter(name="f", typed_config=Scripted(on_connection=fail))
        handler = {
            "serve": lambda: a_handler(serving(fail)),
            "on_connection": lambda: a_handler(failing, ECHO),
            "on_close": lambda: a_handler(failing, serving(serve)),
            "listener_filter": lambda: a_handler(
                listener_filters=(ListenerFilter(name="f", typed_config=Scripted(on_accept=fail)),)
            ),
        }[where]()
        client, server = memory_channel_pair()
        await handler.serve(server)

        assert await receive_all(client) == b""
        assert "boom" in caplog.text
        assert "Traceback" in caplog.text
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert bugs(handler) == 1
        assert handler.stats.downstream_cx_active == handler.stats.downstream_pre_cx_active == 0

    async def test_cancellation_passes(self, autojump_clock):
        handler = a_handler()
        _client, server = memory_channel_pair()
        with trio.move_on_after(1) as scope:
            await handler.serve(server)

        assert scope.cancelled_caught
        assert server.closed
        assert handler.stats.downstream_cx_active == 0

    async def test_cancellation_passes_and_a_bug_beside_it_is_logged(self, autojump_clock, caplog):
        async def child():
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("boom")

        async def serve(_connection):
            async with trio.open_nursery() as tasks:
                tasks.start_soon(child)
                await trio.sleep_forever()

        handler = a_handler(serving(serve))
        _client, server = memory_channel_pair()
        with trio.move_on_after(1) as scope:
            await handler.serve(server)

        assert scope.cancelled_caught
        assert "boom" in caplog.text
        assert bugs(handler) == 1

    async def test_keyboard_interrupt_passes(self, autojump_clock):
        async def serve(_connection):
            raise KeyboardInterrupt

        _client, server = memory_channel_pair()
        with pytest.raises(KeyboardInterrupt):
            await a_handler(serving(serve)).serve(server)


async def test_no_chain_fits(autojump_clock, monkeypatch):
    handler = a_handler(chain={"filter_chain_match": FilterChainMatch(destination_port=99)})
    client, server = memory_channel_pair()
    await handler.serve(server)

    assert await receive_all(client) == b""
    assert (handler.stats.no_filter_chain_match, handler.stats.downstream_cx_total) == (1, 0)


async def test_a_chain_without_filters_closes(autojump_clock):
    services = a_services()
    handler = a_handler(services=services)
    handler._chains = ConnectionHandler(
        Listener(name="l", filter_chains=(FilterChain(),)),
        FilterContext(
            services=services,
            clusters=None,
            scope=services.stats.scope(""),
            listener_scope=services.stats.scope("listener.b."),
            listener_name="l",
            buffer_limit_bytes=1,
            direction="",
            draining=lambda: False,
        ),
    )._chains
    client, server = memory_channel_pair()
    await handler.serve(server)

    assert await receive_all(client) == b""
    assert (handler.stats.no_filter_chain_match, handler.stats.downstream_cx_total) == (0, 0)


class TestListenerFilters:
    def a_handler(self, on_accept, **config):
        return a_handler(
            listener_filters=(ListenerFilter(name="f", typed_config=Scripted(on_accept=on_accept)),), **config
        )

    async def test_they_run_before_the_chain_is_chosen(self, autojump_clock):
        seen = []

        async def look(connection):
            seen.append(connection.info.filter_chain)
            seen.append(handler.stats.downstream_pre_cx_active)

        handler = self.a_handler(look, chain={"name": "c"})
        client, server = memory_channel_pair()
        client.close()
        await handler.serve(server)

        assert seen == ["", 1]
        assert handler.stats.downstream_pre_cx_active == 0
        assert handler.stats.downstream_cx_total == 1

    @pytest.mark.parametrize(("config", "seconds"), [({}, 15), ({"listener_filters_timeout": 3.0}, 3)])
    async def test_too_slow_is_closed(self, autojump_clock, config, seconds):
        handler = self.a_handler(never, **config)
        _client, server = memory_channel_pair()
        start = trio.current_time()
        await handler.serve(server)

        assert trio.current_time() - start == pytest.approx(seconds)
        stats = handler.stats
        assert (stats.downstream_pre_cx_timeout, stats.downstream_pre_cx_active, stats.downstream_cx_total) == (1, 0, 0)

    async def test_too_slow_may_go_on(self, autojump_clock):
        handler = self.a_handler(never, continue_on_listener_filters_timeout=True)
        client, server = memory_channel_pair()
        client.close()
        await handler.serve(server)

        assert (handler.stats.downstream_pre_cx_timeout, handler.stats.downstream_cx_total) == (1, 1)

    async def test_zero_is_no_timeout(self, autojump_clock):
        handler = self.a_handler(late, listener_filters_timeout=0.0)
        client, server = memory_channel_pair()
        client.close()
        await handler.serve(server)

        assert (handler.stats.downstream_pre_cx_timeout, handler.stats.downstream_cx_total) == (0, 1)

    @pytest.mark.parametrize(
        ("error", "stat"),
        [
            (CloseConnection("no"), "downstream_listener_filter_error"),
            (ConnectionResetError(), "downstream_listener_filter_remote_close"),
        ],
    )
    async def test_they_may_refuse(self, autojump_clock, error, stat):
        async def refuse(_connection):
            raise error

        handler = self.a_handler(refuse)
        _client, server = memory_channel_pair()
        await handler.serve(server)

        assert getattr(handler.stats, stat) == 1
        assert (handler.stats.downstream_cx_total, handler.stats.downstream_pre_cx_active) == (0, 0)
        assert server.closed


class TestTransport:
    def a_handler(self, accept, timeout=None, *filters):
        socket = TransportSocket(name="t", typed_config=Scripted(accept=accept))
        return a_handler(*filters, chain={"transport_socket": socket, "transport_socket_connect_timeout": timeout})

    async def test_what_it_makes_is_served(self, autojump_clock):
        _client, server = memory_channel_pair()
        other_client, other_server = memory_channel_pair()

        async def accept(channel):
            assert channel is server
            channel.info.tls = TlsInfo(alpn="h2")
            return other_server

        async def serve(connection):
            assert connection.channel is other_server
            assert connection.alpn == "h2"
            await send_all(connection.channel, b"served")

        await self.a_handler(accept, None, serving(serve)).serve(server)

        assert await receive_all(other_client) == b"served"

    async def test_too_slow_is_closed_and_counted(self, autojump_clock):
        handler = self.a_handler(never, 2.0)
        _client, server = memory_channel_pair()
        start = trio.current_time()
        await handler.serve(server)

        assert trio.current_time() - start == pytest.approx(2)
        assert handler.stats.downstream_cx_transport_socket_connect_timeout == 1
        assert (handler.stats.downstream_cx_total, handler.stats.downstream_cx_active) == (1, 0)
        assert server.closed

    async def test_a_handshake_that_fails_is_quiet(self, autojump_clock, caplog):
        async def accept(_channel):
            raise CloseConnection("bad certificate")

        handler = self.a_handler(accept)
        _client, server = memory_channel_pair()
        await handler.serve(server)

        assert caplog.records == []
        assert handler.stats.downstream_cx_destroy == 1

    @pytest.mark.parametrize("limit", [2.0, 5.0])
    async def test_a_filter_that_counts_is_told_of_it(self, autojump_clock, limit):
        told = []

        async def accept(_channel):
            await trio.sleep(3)
            raise CloseConnection("bad certificate")

        def failed(seconds, *, local):
            told.append((seconds, local))

        counting = Filter(name="s", typed_config=Scripted(serve=never, handshake_failed=failed))
        _client, server = memory_channel_pair()
        await self.a_handler(accept, limit, counting).serve(server)

        assert told == [(pytest.approx(min(limit, 3.0)), limit < 3)]


class TestDrain:
    async def test_the_filter_is_told_or_else_the_channel_closed(self, autojump_clock, nursery):
        told = []

        async def serve(connection):
            connection.drain = lambda: told.append(connection)
            await trio.sleep_forever()

        polite, rude = a_handler(serving(serve)), a_handler()
        _client, one = memory_channel_pair()
        _client2, two = memory_channel_pair()
        nursery.start_soon(polite.serve, one)
        nursery.start_soon(rude.serve, two)
        await wait_all_tasks_blocked()
        polite.drain()
        rude.drain()
        await wait_all_tasks_blocked()

        assert len(told) == 1
        assert not one.closed
        assert two.closed


class TestAccessLog:
    @pytest.fixture
    def lines(self, monkeypatch):
        lines = []

        class FakeLog:
            def __init__(self, _entry, _services):
                pass

            def log(self, context):
                info = context.info
                lines.append((info.flags, info.details, info.bytes_received, info.bytes_sent, info.end - info.start))

        monkeypatch.setattr(connections, "AccessLog", FakeLog)
        return lines

    async def test_a_connection_is_logged_at_its_end(self, autojump_clock, nursery, lines):
        handler = a_handler(access_log=(object(),))
        client, server = memory_channel_pair()
        nursery.start_soon(handler.serve, server)
        await send_all(client, b"hello")
        await trio.sleep(2)
        client.close()
        await wait_all_tasks_blocked()

        assert lines == [(0, "", 5, 5, pytest.approx(2))]

    async def test_flags_of_the_connection_are_in_its_entry(self, autojump_clock, lines):
        async def serve(connection):
            connection.info.flags |= DPE

        _client, server = memory_channel_pair()
        await a_handler(serving(serve), access_log=(object(),)).serve(server)

        assert lines == [(DPE, "", 0, 0, 0)]

    async def test_one_that_no_chain_takes_has_its_flag(self, autojump_clock, lines):
        handler = a_handler(chain={"filter_chain_match": FilterChainMatch(destination_port=99)}, access_log=(object(),))
        _client, server = memory_channel_pair()
        await handler.serve(server)

        assert lines == [(NR, "filter_chain_not_found", 0, 0, 0)]


def test_bugs_are_counted_where_the_server_shows_them():
    services = a_services()
    handler = a_handler(services=services)

    assert handler._server_stats is services.stats.scope("server.").block(ServerStats)
