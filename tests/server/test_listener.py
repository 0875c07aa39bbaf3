from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import textwrap
import uuid

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import Scripted, a_services
from trio_envoy.config.address import Address, Pipe, SocketAddress, SocketAddressProtocol, TcpKeepalive
from trio_envoy.config.core import TrafficDirection
from trio_envoy.config.listener import AdditionalAddress, Filter, FilterChain
from trio_envoy.config.listener import Listener as Config
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.network.echo import Echo
from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.net.sockets import BindError, NetworkTable
from trio_envoy.runtime import Entry
from trio_envoy.server.listener import Listener

ECHO = FilterChain(filters=(Filter(name="echo", typed_config=Echo()),))


def at(host: str = "127.0.0.1", port: int = 0, **more) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port, **more))


def serving(serve) -> FilterChain:
    return FilterChain(filters=(Filter(name="s", typed_config=Scripted(serve=serve)),))


def a_listener(services, chain=ECHO, address=None, **config) -> Listener:
    config = Config(name="l", address=address or at(), filter_chains=(chain,), **config)
    return Listener(config, services, None)


@pytest.fixture
async def services(nursery):
    made = a_services()
    nursery.start_soon(made.poller.run)
    return made


async def ask(address, data=b"hello") -> bytes:
    if isinstance(address, PipeAddress):
        stream = await trio.open_unix_socket(address.path)
    else:
        stream = await trio.open_tcp_stream(address.host, address.port)
    async with stream:
        await stream.send_all(data)
        await stream.send_eof()
        return b"".join([part async for part in stream])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_serves_connections(nursery, services, host):
    listener = a_listener(services, address=at(host))
    await nursery.start(listener.run)
    (address,) = listener.addresses

    assert address.port
    for data in (b"one", b"two"):
        assert await ask(address, data) == data
    assert listener.stats.downstream_cx_total == 2
    accepted = listener.stats.connections_accepted_per_socket_event
    accepted.close_interval()
    assert accepted.used


async def test_a_pipe(nursery, services, tmp_path):
    path = str(tmp_path / "s")
    seen = []

    async def serve(connection):
        seen.append((str(connection.info.local), str(connection.info.remote)))

    listener = a_listener(services, serving(serve), Address(pipe=Pipe(path=path, mode=0o600)))
    await nursery.start(listener.run)

    assert await ask(PipeAddress(path), b"") == b""
    assert seen == [(path, path)], "a client without a name has that of the pipe, as in Envoy"
    assert os.stat(path).st_mode & 0o777 == 0o600


async def test_additional_addresses_and_wildcards_tell_where_the_client_came_in(nursery, services):
    seen = []

    async def serve(connection):
        seen.append(connection.info.local)

    more = (AdditionalAddress(address=at("127.0.0.1")),)
    listener = a_listener(services, serving(serve), at("0.0.0.0"), additional_addresses=more)
    await nursery.start(listener.run)
    first, second = listener.addresses

    await ask(IpAddress("127.0.0.1", first.port), b"")
    await ask(second, b"")
    assert seen == [IpAddress("127.0.0.1", first.port), second]


async def test_connections_have_ids_addresses_and_no_delay(nursery, services):
    seen = []

    async def serve(connection):
        info = connection.info
        seen.append((info.id, info.remote == info.direct_remote, str(info.local)))
        seen.append(connection.channel._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
        seen.append(connection.channel._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))

    listener = a_listener(services, serving(serve), tcp_keepalive=TcpKeepalive(keepalive_time=77))
    await nursery.start(listener.run)
    await ask(listener.addresses[0], b"")
    await ask(listener.addresses[0], b"")

    here = str(listener.addresses[0])
    assert seen == [(0, True, here), True, 77, (1, True, here), True, 77]


async def test_the_table_moves_the_socket_and_not_the_stats(nursery):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    services = a_services(table=NetworkTable.of({}, {"0.0.0.0:80": f"127.0.0.1:{port}"}, {}))
    nursery.start_soon(services.poller.run)
    listener = a_listener(services, address=at("0.0.0.0", 80))
    await nursery.start(listener.run)

    assert await ask(IpAddress("127.0.0.1", port)) == b"hello"
    assert services.stats.scope("listener.0.0.0.0_80.").block(type(listener.stats)) is listener.stats


@pytest.mark.parametrize(
    ("config", "prefix"),
    [
        ({"address": at("127.0.0.1", 0)}, "listener.127.0.0.1_0."),
        ({"address": at("::1", 81)}, "listener.[__1]_81."),
        ({"address": at(), "stat_prefix": "mine"}, "listener.mine."),
        ({"address": Address(pipe=Pipe(path="/tmp/x"))}, "listener./tmp/x."),
    ],
)
def test_names_of_stats(config, prefix):
    services = a_services()
    listener = Listener(Config(name="l", filter_chains=(ECHO,), **config), services, None)

    assert services.stats.scope(prefix).block(type(listener.stats)) is listener.stats


def test_without_a_name_it_is_a_uuid():
    listener = Listener(Config(address=at(), filter_chains=(ECHO,)), a_services(), None)

    assert str(uuid.UUID(listener.name)) == listener.name


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (Config(filter_chains=(ECHO,)), "address is necessary"),
        (Config(address=at(), additional_addresses=(AdditionalAddress(),), filter_chains=(ECHO,)), "address is nec"),
        (Config(address=at("service1"), filter_chains=(ECHO,)), "malformed IP address: service1"),
        (Config(address=at(ipv4_compat=True), filter_chains=(ECHO,)), "can set ipv4_compat: 127.0.0.1:"),
        (Config(address=at("::1", ipv4_compat=True), filter_chains=(ECHO,)), r"can set ipv4_compat: \[::1\]:"),
        (Config(address=at()), "no filter chains specified"),
        (Config(address=at(protocol=SocketAddressProtocol.UDP), filter_chains=(ECHO,)), "UDP listeners are not supp"),
    ],
)
def test_faults(config, text):
    with pytest.raises(ConfigError, match=text) as caught:
        Listener(config, a_services(), None)

    assert caught.value.at is not None


async def test_bind_says_what_is_taken_and_leaves_nothing_open(services):
    taken = services.network.bind(IpAddress("127.0.0.1", 0), reuse_port=False)
    taken.listen(1)
    port = taken.getsockname()[1]
    listener = a_listener(services, address=at(), additional_addresses=(AdditionalAddress(address=at(port=port)),))

    with pytest.raises(BindError, match=f"cannot bind '127.0.0.1:{port}': Address already in use"):
        listener.bind()
    assert listener._sockets == []
    taken.close()


async def test_bound_it_refuses_until_it_runs(services, nursery):
    listener = a_listener(services)
    listener.bind()
    listener.bind()
    with pytest.raises(OSError, match="failed"):
        await ask(listener.addresses[0])

    await nursery.start(listener.run)
    assert await ask(listener.addresses[0]) == b"hello"


async def test_bind_to_port_false_opens_nothing(services, nursery):
    listener = a_listener(services, bind_to_port=False)
    await nursery.start(listener.run)

    assert listener.addresses == (IpAddress("127.0.0.1", 0),)
    listener.stop()


async def test_without_reuse_port_nobody_shares(services):
    listener = a_listener(services, enable_reuse_port=False)
    listener.bind()
    with services.network.bind(listener.addresses[0], reuse_port=False) as other:
        other.listen(1)  # both were bound before one of them listened

        with pytest.raises(BindError, match=rf"cannot bind '{listener.addresses[0]}': Address already in use"):
            await listener.run()


async def test_a_bug_in_one_connection_hurts_no_other(nursery, services, caplog):
    async def serve(connection):
        if connection.info.id == 0:
            raise ValueError("boom")
        await connection.channel.wait_read()

    listener = a_listener(services, serving(serve))
    await nursery.start(listener.run)

    await ask(listener.addresses[0], b"")
    assert await ask(listener.addresses[0], b"") == b""
    assert "boom" in caplog.text
    assert listener.stats.downstream_cx_destroy == 2


async def test_cancelled_connections_are_cut(services):
    listener = a_listener(services)
    async with trio.open_nursery() as tasks:
        await tasks.start(listener.run)
        stream = await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port)
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"
        tasks.cancel_scope.cancel()

    assert await stream.receive_some() == b""
    assert listener.connections() == 0
    await stream.aclose()


async def test_the_connection_limit_of_the_runtime(nursery, services):
    listener = a_listener(services)
    await nursery.start(listener.run)
    services.runtime.snapshot = type(services.runtime.snapshot)(
        entries={"envoy.resource_limits.listener.l.connection_limit": Entry("1", 1)}
    )
    async with await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port) as first:
        await first.send_all(b"x")
        assert await first.receive_some() == b"x"

        assert await ask(listener.addresses[0], b"") == b""
        assert listener.stats.downstream_cx_overflow == 1
        assert listener.stats.downstream_cx_total == 1


async def test_filters_are_told_when_connections_are_to_end(nursery, services):
    listener = a_listener(services, FilterChain(filters=(Filter(name="s", typed_config=Scripted(serve=receive)),)))
    asked = listener._handler._chains.find(None).terminal.context.draining
    await nursery.start(listener.run)
    assert not asked()

    listener.drain(0, stop=False)
    assert asked()
    listener.stop()


async def receive(_connection):
    raise AssertionError("nobody connects")


async def test_stopped_as_soon_as_it_runs(nursery, services):
    listener = a_listener(services)
    await nursery.start(listener.run)
    listener.stop()
    await wait_all_tasks_blocked()

    with pytest.raises(OSError, match="failed"):
        await ask(listener.addresses[0])


async def test_stopped_before_it_runs(nursery, services):
    listener = a_listener(services)
    listener.bind()
    listener.stop()
    await nursery.start(listener.run)

    with pytest.raises(OSError, match="failed"):
        await ask(listener.addresses[0])


class TestStopping:
    @pytest.fixture
    async def opened(self, nursery, services):
        """A running echo listener with one connection."""
        stopped = []
        config = Config(name="l", address=at(), filter_chains=(ECHO,), traffic_direction=TrafficDirection.INBOUND)
        listener = Listener(config, services, None, lambda: stopped.append(1))
        await nursery.start(listener.run)
        stream = await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port)
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"
        yield listener, stream, stopped
        await trio.aclose_forcefully(stream)

    async def test_stop_refuses_new_connections_and_keeps_old_ones(self, opened):
        listener, stream, stopped = opened
        listener.stop()
        listener.stop()
        await wait_all_tasks_blocked()

        with pytest.raises(OSError, match="failed"):
            await ask(listener.addresses[0])
        await stream.send_all(b"y")
        assert await stream.receive_some() == b"y"
        assert (listener.stopped, listener.inbound, stopped) == (True, True, [1])
        assert not listener._drain.wanted()

    async def test_drain_lets_connections_end_and_stops_later(self, opened):
        listener, _stream, stopped = opened
        listener.drain(0.05)

        assert listener._drain.started
        assert await ask(listener.addresses[0]) == b"hello"
        assert not stopped
        await trio.sleep(0.1)
        with pytest.raises(OSError, match="failed"):
            await ask(listener.addresses[0])
        assert stopped

    async def test_drain_need_not_stop(self, opened):
        listener, _stream, stopped = opened
        listener.drain(0.01, stop=False)
        await trio.sleep(0.05)

        assert await ask(listener.addresses[0]) == b"hello"
        assert (listener._drain.wanted(), stopped) == (True, [])

    async def test_retire_waits_for_connections_that_end(self, nursery, services):
        go = trio.Event()

        async def serve(connection):
            connection.drain = go.set
            await go.wait()

        listener = a_listener(services, serving(serve))
        await nursery.start(listener.run)
        stream = await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port)
        await wait_all_tasks_blocked(0.01)
        with trio.fail_after(2):
            await listener.retire(1000)

        assert await stream.receive_some() == b""
        await stream.aclose()

    async def test_retire_cuts_those_that_do_not(self, nursery, services):
        async def serve(connection):
            connection.drain = lambda: None
            await trio.sleep_forever()

        listener = a_listener(services, serving(serve))
        await nursery.start(listener.run)
        stream = await trio.open_tcp_stream("127.0.0.1", listener.addresses[0].port)
        await wait_all_tasks_blocked(0.01)
        await listener.retire(0.05)

        assert await stream.receive_some() == b""
        assert listener.stopped
        await stream.aclose()


class FlakySocket:
    """A listening socket whose accept() fails as told, then works."""

    def __init__(self, sock, errors):
        self._sock = sock
        self.errors = errors

    def accept(self):
        if self.errors:
            raise OSError(self.errors[0], os.strerror(self.errors.pop(0)))
        return self._sock.accept()

    def __getattr__(self, name):
        return getattr(self._sock, name)


async def test_used_up_descriptors_pause_and_recover(nursery, services, caplog):
    listener = a_listener(services)
    listener.bind()
    listener._sockets = [FlakySocket(listener._sockets[0], [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])]
    await nursery.start(listener.run)
    start = trio.current_time()

    assert await ask(listener.addresses[0]) == b"hello"
    assert 0.3 <= trio.current_time() - start < 2
    assert [record.getMessage() for record in caplog.records] == [
        "listener l can't accept: Too many open files; waiting"
    ]


async def test_a_client_that_left_early_is_passed_over(nursery, services, caplog):
    listener = a_listener(services)
    listener.bind()
    listener._sockets = [FlakySocket(listener._sockets[0], [errno.ECONNABORTED, errno.EPERM, errno.EPROTO])]
    await nursery.start(listener.run)

    assert await ask(listener.addresses[0]) == b"hello"
    assert caplog.records == []


async def test_a_connection_that_can_not_be_set_up_is_closed(nursery, services, monkeypatch):
    listener = a_listener(services)
    await nursery.start(listener.run)
    with monkeypatch.context() as patch:
        patch.setattr(services.poller, "add", lambda _channel: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no")))
        assert await ask(listener.addresses[0], b"") == b""

    assert await ask(listener.addresses[0]) == b"hello"
    assert listener.stats.downstream_cx_total == 1


def test_descriptors_really_used_up():
    """A process with few descriptors: all get in at last, one after another."""
    script = textwrap.dedent("""
        import resource
        import trio
        from tests.fakes import a_services
        from tests.server.test_listener import a_listener, ask

        async def main():
            services = a_services()
            listener = a_listener(services)
            async with trio.open_nursery() as tasks:
                tasks.start_soon(services.poller.run)
                await tasks.start(listener.run)
                print(listener.addresses[0].port, flush=True)
                await trio.to_thread.run_sync(input)
                tasks.cancel_scope.cancel()

        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        trio.run(main)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        port = int(process.stdout.readline())
        clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(40)]
        for client in clients:
            client.sendall(b"x")
        for client in clients:
            assert client.recv(1) == b"x"
            client.close()
        _out, errors = process.communicate("\n", timeout=5)
    finally:
        process.kill()

    assert "can't accept: Too many open files; waiting" in errors
    assert process.returncode == 0
