"""The tutorial's front proxy when a service behind it is down, slow, resets, or answers garbage.

Everything is real but the application of service 1: front proxy, both sidecars, HTTP/2 between them.
"""

import gc
import socket
import struct
from contextlib import AsyncExitStack, asynccontextmanager, closing

import httpcore
import pytest
import trio

from tests.samples import Mesh, web_application
from tests.waiting import eventually

CONNECT_FAILED = b"upstream connect error or disconnect/reset before headers. reset reason: "


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


@asynccontextmanager
async def front_proxy():
    """All of it, with service 2 in order and nobody behind the sidecar of service 1 yet; gives the Mesh."""
    async with AsyncExitStack() as stack:
        mesh = stack.enter_context(closing(Mesh()))
        second = await stack.enter_async_context(web_application("2"))
        await stack.enter_async_context(mesh.sidecar("service2", second))
        await stack.enter_async_context(mesh.sidecar("service1"))
        await stack.enter_async_context(mesh.front())
        yield mesh


@asynccontextmanager
async def application(mesh, handler):
    """Service 1: `handler(stream)` for each connection that has sent a request."""

    async def serve(stream):
        data = b""
        try:
            while b"\r\n\r\n" not in data and (more := await stream.receive_some()):
                data += more
            if data:
                await handler(stream)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as tasks:
        sock = mesh.applications["service1"]
        sock.listen()
        sock.setblocking(False)
        tasks.start_soon(trio.serve_listeners, serve, [trio.SocketListener(trio.socket.from_stdlib_socket(sock))])
        yield
        tasks.cancel_scope.cancel()


async def get(mesh, path, port=0):
    async with httpcore.AsyncConnectionPool() as pool:
        with trio.fail_after(10):
            return await pool.request("GET", f"http://127.0.0.1:{port or mesh.public}{path}")


async def waiting_for_service_1(mesh, requests):
    """Whether so many requests wait, at the front proxy and at the sidecar."""
    front = (await get(mesh, "/stats?filter=service1.upstream_rq_active$", mesh.admin)).content
    sidecar = (await get(mesh, "/stats?filter=local_service.upstream_rq_active$", mesh.admins["service1"])).content
    return all(stat.endswith(b": %d\n" % requests) for stat in (front, sidecar))


async def good(mesh):
    """Service 2 is as it should be, whatever service 1 does."""
    answer = await get(mesh, "/service/2")
    return answer.status == 200 and b"(service 2)" in answer.content


async def ok(stream):
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def test_down_is_503_and_it_recovers():
    async with front_proxy() as mesh:
        answer = await get(mesh, "/service/1")
        assert (answer.status, answer.content[: len(CONNECT_FAILED)]) == (503, CONNECT_FAILED)
        assert await good(mesh)

        async with application(mesh, ok):
            assert (await get(mesh, "/service/1")).content == b"ok"
        assert (await get(mesh, "/service/1")).status == 503


async def test_a_sidecar_that_is_down_is_503():
    with closing(Mesh()) as mesh:
        async with mesh.front():
            answer = await get(mesh, "/service/1")

    assert answer.status == 503
    assert answer.content.startswith(CONNECT_FAILED + b"remote connection failure")


async def test_slow_harms_nobody_else_and_can_be_given_up():
    asked, go_on = trio.Event(), trio.Event()

    async def slow(stream):
        asked.set()
        await go_on.wait()
        await ok(stream)

    async with front_proxy() as mesh, application(mesh, slow):
        answers = []
        async with trio.open_nursery() as tasks:
            tasks.start_soon(keep_answer, answers, mesh)
            await asked.wait()
            for _ in range(10):
                assert await good(mesh)
            with trio.move_on_after(0.1):
                await get(mesh, "/service/1")
            await eventually(lambda: waiting_for_service_1(mesh, 1))
            assert answers == []
            go_on.set()

        assert answers == [b"ok"]


async def keep_answer(answers, mesh):
    answers.append((await get(mesh, "/service/1")).content)


async def test_resets_before_the_answer_are_503():
    async def reset(stream):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with front_proxy() as mesh, application(mesh, reset):
        for _ in range(5):
            answer = await get(mesh, "/service/1")
            assert (answer.status, answer.content[: len(CONNECT_FAILED)]) == (503, CONNECT_FAILED)
        assert await good(mesh)


async def test_a_reset_within_the_answer_is_seen_by_the_client():
    async def half(stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    async with front_proxy() as mesh, application(mesh, half):
        with pytest.raises(httpcore.RemoteProtocolError):
            await get(mesh, "/service/1")
        assert await good(mesh)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02 nonsense\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"x" * 100_000,
    ],
    ids=["bytes", "status", "field", "lengths", "flood"],
)
async def test_garbage_is_502_and_harms_nobody_else(garbage):
    async def answer(stream):
        await stream.send_all(garbage)

    async with front_proxy() as mesh, application(mesh, answer):
        for _ in range(3):
            answered = await get(mesh, "/service/1")
            assert answered.status == 502
            assert answered.content == CONNECT_FAILED + b"protocol error"
        assert await good(mesh)
