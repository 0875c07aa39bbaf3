from __future__ import annotations

import os
import socket
import stat

import pytest
import trio

from trio_envoy.config.address import TcpKeepalive
from trio_envoy.config.cluster import DnsLookupFamily
from trio_envoy.net.address import IpAddress, PipeAddress, from_sockaddr
from trio_envoy.net.dns import Resolution, Resolver
from trio_envoy.net.sockets import BACKLOG, BindError, Network, NetworkTable

ANY = IpAddress("127.0.0.1", 0)


class NoTransport:
    async def exchange(self, server, question, read, *, tcp):
        raise AssertionError("nobody is to be asked")


def a_network(table=None) -> Network:
    return Network(table, Resolver(transport=NoTransport()))


@pytest.fixture
def opened():
    """Sockets to close at the end."""
    made = []
    yield made
    for sock in made:
        sock.close()


def listening(network, address, opened, **options) -> IpAddress | PipeAddress:
    sock = network.bind(address, **options)
    sock.listen(BACKLOG)
    opened.append(sock)
    return from_sockaddr(sock.family, sock.getsockname())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_bind_and_connect(opened, host):
    network = a_network()
    address = listening(network, IpAddress(host, 0), opened)
    assert address.port

    sock = await network.connect(address)
    opened.append(sock)
    assert sock.getpeername()[:2] == (host, address.port)
    assert not sock.getblocking()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("name", ["file", "abstract"])
async def test_pipes(opened, tmp_path, name):
    network = a_network()
    path = str(tmp_path / "s") if name == "file" else f"@trio-envoy-test-{os.getpid()}"
    assert listening(network, PipeAddress(path), opened, mode=0o600) == PipeAddress(path)
    if name == "file":
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    opened.append(await network.connect(PipeAddress(path)))


async def test_a_file_that_was_left_behind_is_replaced(opened, tmp_path):
    network = a_network()
    address = PipeAddress(str(tmp_path / "s"))
    listening(network, address, opened)
    listening(network, address, opened)

    opened.append(await network.connect(address))


def test_reuse_port_shares_and_without_it_the_port_is_in_use(opened):
    network = a_network()
    address = listening(network, ANY, opened)
    listening(network, address, opened)

    alone = listening(network, ANY, opened, reuse_port=False)
    with pytest.raises(BindError, match=rf"^cannot bind '127.0.0.1:{alone.port}': Address already in use$"):
        network.bind(alone, reuse_port=False).listen(1)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (IpAddress("203.0.113.1", 80), "cannot bind '203.0.113.1:80': Cannot assign requested address"),
        (PipeAddress("/nonexistent/x"), "cannot bind '/nonexistent/x': No such file or directory"),
    ],
)
def test_what_cannot_be_bound(address, text):
    with pytest.raises(BindError) as caught:
        a_network().bind(address)

    assert str(caught.value) == text


def test_no_descriptor_left(monkeypatch):
    def no_socket(*_args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", no_socket)

    with pytest.raises(BindError, match="Too many open files"):
        a_network().bind(ANY)


@pytest.mark.parametrize("compat", [True, False])
async def test_ipv4_compat(opened, compat):
    network = a_network()
    port = listening(network, IpAddress("::", 0), opened, ipv4_compat=compat).port

    if compat:
        opened.append(await network.connect(IpAddress("127.0.0.1", port)))
    else:
        with pytest.raises(ConnectionRefusedError):
            await network.connect(IpAddress("127.0.0.1", port))


async def test_refused_and_not_there(tmp_path):
    network = a_network()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await network.connect(IpAddress(*free.getsockname()))
    with pytest.raises(FileNotFoundError):
        await network.connect(PipeAddress(str(tmp_path / "none")))


async def test_a_full_pipe_fails_instead_of_hanging(opened, tmp_path):
    network = a_network()
    address = PipeAddress(str(tmp_path / "s"))
    sock = network.bind(address)
    sock.listen(0)
    opened.append(sock)

    async def connect_many():
        for _ in range(5):
            opened.append(await network.connect(address))

    with pytest.raises(BlockingIOError):
        await connect_many()


async def test_cancelled_the_socket_is_closed(monkeypatch):
    made = []

    async def never(sock):
        made.append(sock)
        await trio.sleep_forever()

    monkeypatch.setattr(trio.lowlevel, "wait_writable", never)
    with socket.create_server(("127.0.0.1", 0)) as server, trio.move_on_after(0.01):
        await a_network().connect(IpAddress(*server.getsockname()))

    assert made[0].fileno() == -1


async def test_keepalive(opened, tmp_path):
    network = a_network()
    keepalive = TcpKeepalive(keepalive_probes=3, keepalive_time=10, keepalive_interval=5)
    sock = await network.connect(listening(network, ANY, opened), keepalive=keepalive)
    opened.append(sock)

    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
    pipe = PipeAddress(str(tmp_path / "s"))
    listening(network, pipe, opened)
    opened.append(await network.connect(pipe, keepalive=keepalive))


class TestTable:
    async def test_names(self):
        table = NetworkTable.of({"service1": ["127.0.0.2", "::2"]}, {}, {})
        network = a_network(table)

        assert await network.resolve("service1", DnsLookupFamily.V4_ONLY) == Resolution(("127.0.0.2",), 0.0)
        assert await network.resolve("service1", DnsLookupFamily.AUTO) == Resolution(("::2",), 0.0)
        assert await network.resolve("127.0.0.9", DnsLookupFamily.AUTO) == Resolution(("127.0.0.9",), 0.0)

    async def test_binds_and_connects(self, opened):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        there = f"127.0.0.1:{port}"
        network = a_network(NetworkTable.of({}, {"0.0.0.0:80": there}, {"10.1.2.3:80": there}))

        assert listening(network, IpAddress("0.0.0.0", 80), opened) == IpAddress("127.0.0.1", port)
        sock = await network.connect(IpAddress("10.1.2.3", 80))
        opened.append(sock)
        assert sock.getpeername() == ("127.0.0.1", port)

    def test_text_that_is_no_address(self):
        with pytest.raises(ValueError, match=r"not an address with a port: '0\.0\.0\.0'"):
            NetworkTable.of({}, {"0.0.0.0": "127.0.0.1:1"}, {})


async def test_a_resolver_of_ones_own_is_asked():
    class Own:
        async def resolve(self, name, family):
            return Resolution((name,), 7.0)

    assert await a_network().resolve("x", DnsLookupFamily.AUTO, resolver=Own()) == Resolution(("x",), 7.0)


def test_a_group_is_a_socket_for_each_worker_on_one_port(opened):
    group = a_network().bind_group(ANY, 3)
    opened += group

    assert len({sock.getsockname() for sock in group}) == 1
    assert len(group) == 3
    for sock in group:
        sock.listen()
        sock.shutdown(socket.SHUT_RDWR)
        sock.listen()  # one that has stopped has its port still
    assert len({sock.getsockname() for sock in group}) == 1


def test_a_group_goes_where_the_table_says(opened):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = from_sockaddr(probe.family, probe.getsockname())
    network = a_network(NetworkTable(binds={IpAddress("10.1.2.3", 80): target}))
    opened += network.bind_group(IpAddress("10.1.2.3", 80), 2)

    assert [from_sockaddr(sock.family, sock.getsockname()) for sock in opened] == [target, target]


def test_what_is_not_shared_by_port_is_one_socket_for_all(opened, tmp_path):
    network = a_network()
    opened += network.bind_group(ANY, 2, reuse_port=False)
    opened += network.bind_group(PipeAddress(str(tmp_path / "p")), 2)

    assert len(opened) == 2


def test_of_a_group_that_cannot_be_nothing_stays_open(monkeypatch):
    network, made = a_network(), []
    bound = network._bound

    def third_time_unlucky(*arguments):
        if len(made) == 2:
            raise BindError(ANY, "no more")
        made.append(bound(*arguments))
        return made[-1]

    monkeypatch.setattr(network, "_bound", third_time_unlucky)
    with pytest.raises(BindError, match="no more"):
        network.bind_group(ANY, 3)
    assert [sock.fileno() for sock in made] == [-1, -1]
