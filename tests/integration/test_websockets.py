"""A real WebSocket client and server with the proxy between them: the `websockets` package, in threads."""

import contextlib
import socket
import threading

import pytest
import trio
import websockets.exceptions
from websockets.sync import client
from websockets.sync.server import serve

from tests.waiting import eventually

ALLOWED = "upgrade_configs: [{upgrade_type: websocket}]"
MIB = 1 << 20


def connect(url, **options):
    return client.connect(url, subprotocols=["chat"], max_size=4 * MIB, open_timeout=10, **options)


class Echo:
    """A WebSocket server that sends everything back; `said` are the ends of its connections: (code, reason)."""

    def __init__(self):
        self.ended = []
        self.server = serve(self._handle, "127.0.0.1", 0, max_size=4 * MIB, subprotocols=["chat"])
        self.port = self.server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self.server.serve_forever)

    def _handle(self, connection):
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            for message in connection:
                if message == "close":
                    connection.close(4001, "as you wish")
                elif message == "abort":
                    connection.socket.close()
                else:
                    connection.send(message)
        self.ended.append((connection.close_code, connection.close_reason))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self._thread.join()


@contextlib.asynccontextmanager
async def proxied(live, hcm=ALLOWED):
    """The proxy in front of an Echo: (world, echo, URL). At the end nothing is counted as being in use."""
    with Echo() as echo:
        async with live.serving(live.proxy_config(echo.port, hcm=hcm)) as world:
            yield world, echo, f"ws://127.0.0.1:{world.port}/chat"
            await eventually(lambda: not world.has_tunnels())


async def in_a_thread(function, *arguments):
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(function, *arguments)


async def test_messages_of_every_kind(live):
    def talk(url):
        with connect(url) as ws:
            assert ws.subprotocol == "chat"
            for message in ("hello", "", "käse", b"\x00\xff", "x" * 125, b"y" * 126, b"z" * 70_000, b"m" * MIB):
                ws.send(message)
                assert ws.recv(timeout=10) == message
            ws.send(["frag", "men", "ted"])
            assert ws.recv(timeout=10) == "fragmented"
            assert ws.ping("are you there").wait(10)
            ws.close(4000, "enough")
        return ws.close_code, ws.close_reason

    async with proxied(live) as (world, echo, url):
        assert await in_a_thread(talk, url) == (4000, "enough")
        await eventually(lambda: echo.ended)
        assert echo.ended == [(4000, "enough")]
        assert world.stat("http.ingress.downstream_cx_upgrades_total") == 1
        assert world.stat("http.ingress.downstream_rq_1xx") == 1


async def test_the_server_closes(live):
    def talk(url):
        with connect(url) as ws:
            ws.send("close")
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                ws.recv(timeout=10)
        return closed.value.rcvd.code, closed.value.rcvd.reason

    async with proxied(live) as (_, _, url):
        assert await in_a_thread(talk, url) == (4001, "as you wish")


async def test_the_server_vanishes(live):
    def talk(url):
        with connect(url) as ws:
            ws.send("abort")
            with pytest.raises(websockets.exceptions.ConnectionClosedError):
                ws.recv(timeout=10)

    async with proxied(live) as (_, _, url):
        await in_a_thread(talk, url)


async def test_the_client_vanishes(live):
    def talk(url):
        with connect(url, close_timeout=1) as ws:
            ws.send("hello")
            assert ws.recv(timeout=10) == "hello"
            ws.socket.shutdown(socket.SHUT_RDWR)

    async with proxied(live) as (_, echo, url):
        await in_a_thread(talk, url)
        await eventually(lambda: echo.ended)
        assert echo.ended == [(1006, "")]


async def test_many_at_once(live):
    def talk(url):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(url)) for _ in range(20)]
            for turn in range(10):
                for number, ws in enumerate(clients):
                    ws.send(f"{turn} {number}")
                for number, ws in enumerate(clients):
                    assert ws.recv(timeout=10) == f"{turn} {number}"

    async with proxied(live) as (world, _, url):
        await in_a_thread(talk, url)
        assert world.stat("http.ingress.downstream_cx_upgrades_total") == 20


async def test_it_is_refused_unless_it_is_allowed(live):
    def talk(url):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused, connect(url):
            pass
        return refused.value.response.status_code

    async with proxied(live, hcm="") as (world, _, url):
        assert await in_a_thread(talk, url) == 403
        assert world.stat("http.ingress.downstream_rq_ws_on_non_ws_route") == 1


async def test_an_idle_one_is_ended(live):
    def talk(url):
        with connect(url, ping_interval=None) as ws, pytest.raises(websockets.exceptions.ConnectionClosedError):
            ws.recv(timeout=10)

    async with proxied(live, hcm=f"{ALLOWED}\n              stream_idle_timeout: 0.2s") as (world, _, url):
        await in_a_thread(talk, url)
        assert world.stat("http.ingress.downstream_rq_idle_timeout") == 1
