"""Which HTTP a connection speaks."""

import pytest
import trio

from tests.fakes import counted, receive_some
from tests.hcm.served import Managed, ask
from trio_envoy.config.hcm import CodecType
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.http.sniff import PREFACE

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # an empty SETTINGS frame
CX = "http.ingress.downstream_cx_"


async def spoken(managed, data, *, alpn="", pieces=1):
    """The number of the HTTP version that answers."""
    connection, far = managed.connection()
    connection.alpn = alpn
    size = -(-len(data) // pieces)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(managed.services.timers.run)
        tasks.start_soon(managed.serve, connection)
        for at in range(0, len(data), size):
            far.send(data[at : at + size])
            await trio.testing.wait_all_tasks_blocked()
        answer = await receive_some(far)
        tasks.cancel_scope.cancel()
    return 1 if answer.startswith(b"HTTP/1.1 ") else 2


@pytest.mark.parametrize(
    ("kind", "alpn", "data", "version"),
    [
        (CodecType.AUTO, "", GET, 1),
        (CodecType.AUTO, "", PREFACE + SETTINGS, 2),
        (CodecType.AUTO, "h2", PREFACE + SETTINGS, 2),
        (CodecType.AUTO, "http/1.1", GET, 1),
        (CodecType.HTTP1, "", GET, 1),
        (CodecType.HTTP1, "h2", GET, 1),
        (CodecType.HTTP2, "", PREFACE + SETTINGS, 2),
        (CodecType.HTTP2, "http/1.1", PREFACE + SETTINGS, 2),
    ],
)
async def test_by_configuration_by_alpn_or_by_the_first_bytes(kind, alpn, data, version):
    managed = Managed(codec_type=kind)

    assert await spoken(managed, data, alpn=alpn) == version
    assert counted(managed.services, CX)[f"http{version}_total"] == 1


@pytest.mark.parametrize(("data", "version"), [(GET, 1), (PREFACE + SETTINGS, 2), (b"P" + GET[1:], 1)])
async def test_one_byte_at_a_time(data, version):
    assert await spoken(Managed(), data, pieces=len(data)) == version


async def test_http2_stats_are_there_from_the_first_connection_on():
    managed = Managed()

    def names():
        return {name for name, _, _ in managed.services.stats if name.startswith("http2.")}

    assert not names()
    for _ in range(2):
        await spoken(managed, PREFACE + SETTINGS)
        assert "http2.streams_active" in names()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_says_nothing_and_leaves(how):
    managed = Managed()
    async with managed.serving() as far:
        await trio.testing.wait_all_tasks_blocked()
        getattr(far, how)()
        await trio.testing.wait_all_tasks_blocked()

    assert counted(managed.services, CX) == {"total": 1, "destroy": 1, "destroy_remote": 1}


async def test_a_client_that_says_nothing_is_closed_when_the_idle_time_is_over(autojump_clock):
    managed = Managed(common_http_protocol_options=HttpProtocolOptions(idle_timeout=5.0))
    start = trio.current_time()
    async with managed.serving() as far:
        await far.peer_closed.wait()

    assert trio.current_time() - start == pytest.approx(5)
    assert counted(managed.services, CX) == {"total": 1, "destroy": 1, "destroy_local": 1, "idle_timeout": 1}


async def test_without_an_idle_timeout_it_may_wait(autojump_clock):
    managed = Managed(common_http_protocol_options=HttpProtocolOptions(idle_timeout=0.0))
    async with managed.serving() as far:
        await trio.sleep(20_000)

        assert (await ask(far, GET)).startswith(b"HTTP/1.1 200")
