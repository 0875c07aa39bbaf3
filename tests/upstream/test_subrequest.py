import httpcore
import pytest
import trio

from tests.fakes import receive_some
from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.channel import send_all
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.stream_info import UF
from trio_envoy.upstream.subrequest import ORIGIN, ChannelBackend, ChannelStream


class Dial:
    """Gives connected memory channels and keeps their far ends."""

    def __init__(self, failure=None, seconds=0):
        self.failure = failure
        self.seconds = seconds
        self.far = []

    async def __call__(self):
        await trio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        near, far = memory_channel_pair()
        self.far.append(far)
        return near


async def answer(dial, response):
    while not dial.far:
        await trio.lowlevel.checkpoint()
    request = b""
    while b"\r\n\r\n" not in request:
        request += await receive_some(dial.far[0])
    await send_all(dial.far[0], response)


async def test_httpcore_over_a_dial_function(autojump_clock, nursery):
    dial = Dial()
    nursery.start_soon(answer, dial, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    async with httpcore.AsyncConnectionPool(network_backend=ChannelBackend(dial)) as pool:
        response = await pool.request("GET", "http://whatever/path")

        assert (response.status, response.content) == (200, b"hi")


async def test_a_failure_to_connect_keeps_its_words(autojump_clock):
    failure = UpstreamFailure("remote connection failure", UF, transport="delayed connect error: Connection refused")
    connection = httpcore.AsyncHTTPConnection(ORIGIN, network_backend=ChannelBackend(Dial(failure)))

    with pytest.raises(httpcore.ConnectError, match="delayed connect error: Connection refused"):
        await connection.request("GET", "http://cluster/")


async def test_timeouts_are_httpcores(autojump_clock):
    backend = ChannelBackend(Dial(seconds=10))
    near, _ = memory_channel_pair()
    stream = ChannelStream(near)

    with pytest.raises(httpcore.ConnectTimeout):
        await backend.connect_tcp("x", 1, timeout=1)
    with pytest.raises(httpcore.ConnectTimeout):
        await backend.connect_unix_socket("x", timeout=1)
    with pytest.raises(httpcore.ReadTimeout):
        await stream.read(10, timeout=1)
    with pytest.raises(httpcore.WriteTimeout):
        await stream.write(bytes(10**6), timeout=1)
    assert trio.current_time() == 4


async def test_a_broken_connection_is_httpcores_error(autojump_clock):
    near, far = memory_channel_pair()
    stream = ChannelStream(near)
    far.reset()

    with pytest.raises(httpcore.ReadError):
        await stream.read(10)
    with pytest.raises(httpcore.WriteError):
        await stream.write(b"x")


async def test_reading_takes_what_is_there(autojump_clock):
    near, far = memory_channel_pair()
    stream = ChannelStream(near)
    far.send(b"abcdef")

    assert stream.get_extra_info("is_readable")
    assert await stream.read(4) == b"abcd"
    assert await stream.read(4) == b"ef"
    assert not stream.get_extra_info("is_readable")
    assert stream.get_extra_info("ssl_object") is None
    far.close()
    assert await stream.read(4) == b""


async def test_closing_and_sleeping(autojump_clock):
    near, far = memory_channel_pair()

    await ChannelStream(near).aclose()
    await ChannelBackend(Dial()).sleep(3)

    assert far.peer_closed.is_set()
    assert trio.current_time() == 3


async def test_tls_is_the_transport_sockets(autojump_clock):
    near, _ = memory_channel_pair()

    with pytest.raises(NotImplementedError):
        await ChannelStream(near).start_tls(None)
