import errno

import pytest
import trio

from tests.fakes import a_services, receive_some
from tests.upstream.fakes import address, config_of, connect_in_memory, make_services
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.tls import UpstreamTlsContext
from trio_envoy.errors import ConfigError, UpstreamFailure
from trio_envoy.extensions.transport_sockets.raw_buffer import RawBuffer
from trio_envoy.net.address import PipeAddress, from_sockaddr
from trio_envoy.net.stream_info import UF
from trio_envoy.registry import Category, register
from trio_envoy.upstream.transport import Dialer, connect_failure, make_transport, scheme_of

HOST = address("10.0.0.1:80")


@pytest.mark.parametrize(
    ("number", "where", "reason", "transport"),
    [  # measured on 1.40, but for the last one
        (errno.ECONNREFUSED, HOST, "remote connection failure", "delayed connect error: Connection refused"),
        (
            errno.ENOENT,
            PipeAddress("/tmp/x"),
            "remote connection failure",
            "immediate connect error: No such file or directory|remote address:/tmp/x",
        ),
        (
            errno.ENETUNREACH,
            HOST,
            "remote connection failure",
            "immediate connect error: Network is unreachable|remote address:10.0.0.1:80",
        ),
        (errno.EMFILE, HOST, "local connection failure", "Too many open files"),
    ],
)
def test_failures_in_envoys_words(number, where, reason, transport):
    failure = connect_failure(OSError(number, "whatever"), where)

    assert (failure.reason, failure.transport) == (reason, transport)
    assert failure.flag == UF
    assert not failure.sent


def test_the_scheme_is_that_of_the_transport_socket():
    def scheme(typed):
        socket = None if typed is None else TransportSocket(name="t", typed_config=typed)
        return scheme_of(Cluster(name="c", transport_socket=socket))

    assert [scheme(None), scheme(RawBuffer()), scheme(UpstreamTlsContext())] == [b"http", b"http", b"https"]


def test_an_error_without_a_number():
    assert connect_failure(OSError("odd"), HOST).transport == "delayed connect error: odd"


def test_an_extension_that_is_no_upstream_transport_socket_is_refused():
    config = config_of(transport_socket=TransportSocket(name="t", typed_config=object()))
    services = make_services()

    with pytest.raises(ConfigError, match="Didn't find a registered implementation for 't' with type URL: ''"):
        make_transport(config, services, services.stats.scope("cluster.c."))


async def test_a_real_connection(nursery):
    services = a_services()
    nursery.start_soon(services.poller.run)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    where = from_sockaddr(listener.socket.family, listener.socket.getsockname())
    dialer = Dialer(config_of(), services, None)

    channel = await dialer.dial(where)
    accepted = await listener.accept()
    await accepted.send_all(b"hello")

    assert await receive_some(channel) == b"hello"
    assert channel.info.remote == where
    assert str(channel.info.local).startswith("127.0.0.1:")
    channel.close()
    await trio.aclose_forcefully(accepted)
    await trio.aclose_forcefully(listener)
    nursery.cancel_scope.cancel()


async def test_a_real_refusal():
    services = a_services()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    where = from_sockaddr(listener.socket.family, listener.socket.getsockname())
    await trio.aclose_forcefully(listener)
    dialer = Dialer(config_of(), services, None)

    with pytest.raises(UpstreamFailure) as caught:
        await dialer.dial(where)

    assert caught.value.transport == "delayed connect error: Connection refused"


async def test_a_transport_socket_shakes_hands(monkeypatch):
    services = make_services()
    monkeypatch.setattr(Dialer, "_connected", connect_in_memory)
    config = config_of(transport_socket=TransportSocket(name="t", typed_config=Shaking()))
    dialer = Dialer(config, services, make_transport(config, services, services.stats.scope("cluster.c.")))

    channel = await dialer.dial(HOST, hostname="h", server_name="s", verified_name="v", alpn=("h2",))

    assert channel.shaken == {"hostname": "h", "server_name": "s", "verified_name": "v", "alpn": ("h2",)}
    assert channel.scope.prefix == "cluster.c."


class Shaking:
    """Config and transport socket in one."""

    __proto__ = "tests.Shaking"


@register(Category.TRANSPORT_SOCKET_UPSTREAM, "tests.shaking", config=Shaking)
class _Transport:
    def __init__(self, config, context):
        self.context = context

    async def connect(self, channel, **facts):
        channel.shaken = facts
        channel.scope = self.context.scope
        return channel
