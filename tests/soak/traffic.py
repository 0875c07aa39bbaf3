"""Clients that behave: whatever they ask must be answered as it should be."""

import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from typing import Any

import attrs
import grpc
import h2.exceptions
import trio
import websockets.exceptions
import websockets.sync.client
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests import grpc_peer
from tests.parity.http1 import Reader
from tests.parity.http2 import Peer, Stream
from tests.soak.record import Record
from tests.soak.upstreams import GONE, content

_PATIENCE = 60.0  # s for one exchange
_STEADY = ("http1", "http2", "tls", "moving")  # upstreams that are always there
_SIZES = (0, 1, 100, 1000, 16_384, 70_000, 300_000)


@attrs.define
class Client:
    """What the clients share.

    Attributes:
        plain, secure: ports of the proxy.
        context: trusts the proxy's certificate.
        authority: the same, in PEM.
        until: trio's time at which a new exchange is no longer begun.
    """

    record: Record
    random: Random
    plain: int
    secure: int
    context: ssl.SSLContext
    authority: bytes
    until: float

    @property
    def over(self) -> bool:
        """Whether the round is at its end."""
        return trio.current_time() >= self.until

    @contextlib.asynccontextmanager
    async def connection(self, protocol: str = "") -> AsyncIterator[Any]:
        """A connection to the proxy; over TLS if there is an ALPN protocol. Ended with FIN."""
        tcp: Any = await trio.open_tcp_stream("127.0.0.1", self.secure if protocol else self.plain)
        stream = tcp
        if protocol:
            self.context.set_alpn_protocols([protocol])  # what a stream offers is settled when it is made
            stream = trio.SSLStream(tcp, self.context, server_hostname="localhost", https_compatible=True)
        try:
            yield stream
            await stream.aclose()
        finally:
            await trio.aclose_forcefully(tcp)


async def over_and_over(client: Client, kind: str, one: Callable[[Client], Any]) -> None:
    """Run `one(client)` until the round is over; what it meets is a fault, as is an exchange that takes too long."""
    while not client.over:
        try:
            with trio.fail_after(_PATIENCE):
                await one(client)
        except (*GONE, OSError, trio.TooSlowError, h2.exceptions.ProtocolError) as error:
            client.record.fault(kind, f"{error!r} {error.__cause__!r}")


async def http1(client: Client) -> None:
    """Some exchanges on a connection."""
    protocol = client.random.choice(("", "", "http/1.1"))
    async with client.connection(protocol) as stream:
        reader = Reader(stream)
        for _ in range(client.random.randint(1, 20)):
            name = client.random.choice(_STEADY)
            if not await _exchange(client, stream, reader, name, f"{'TLS' if protocol else 'HTTP/1'} to {name}"):
                return


async def restarted(client: Client) -> None:
    """One exchange with the upstream that restarts: it is answered, by it or by the proxy, or cut off in its body."""
    async with client.connection() as stream:
        size = client.random.choice(_SIZES)
        await stream.send_all(b"GET /restarting/%d HTTP/1.1\r\nhost: soak.test\r\n\r\n" % size)
        reader = Reader(stream)
        answer = await reader.head()
        if answer is None or answer.start.split(" ")[1] not in ("200", "503"):
            client.record.fault("restarts", f"answered {answer}")
            return
        await reader.body(answer, answers="GET")
        client.record.did(f"restarts, {answer.start.split(' ')[1]}{'' if answer.whole else ' cut off'}")
    await trio.sleep(0.02)


async def slow_writer(client: Client) -> None:
    """A request whose bytes come a few at a time."""
    async with client.connection() as stream:
        body = content(300)
        raw = b"POST /http1/echo HTTP/1.1\r\nhost: soak.test\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        at = 0
        while at < len(raw):
            step = client.random.randint(1, 40)
            await stream.send_all(raw[at : at + step])
            at += step
            await trio.sleep(0.02)
        await _expect(client, Reader(stream), "POST", body, "slow writer")


async def slow_reader(client: Client) -> None:
    """A MiB that is read a little at a time, to its end."""
    async with client.connection() as stream:
        size = 1 << 20
        name = client.random.choice((b"http1", b"http2"))
        await stream.send_all(b"GET /%b/%d HTTP/1.1\r\nhost: soak.test\r\n\r\n" % (name, size))
        await _expect(client, Reader(_Slow(stream)), "GET", content(size), "slow reader")


class _Slow:
    """Gives what comes from a stream a little at a time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep(0.02)
        data: bytes = await self._stream.receive_some(32_768)
        return data


async def _exchange(client: Client, stream: Any, reader: Reader, name: str, kind: str) -> bool:
    size = client.random.choice(_SIZES)
    if client.random.random() < 0.5:
        await stream.send_all(b"GET /%b/%d HTTP/1.1\r\nhost: soak.test\r\n\r\n" % (name.encode(), size))
        return await _expect(client, reader, "GET", content(size), kind)
    body = content(size)
    head = b"POST /%b/echo HTTP/1.1\r\nhost: soak.test\r\n" % name.encode()
    if client.random.random() < 0.5:
        await stream.send_all(b"%bcontent-length: %d\r\n\r\n%b" % (head, size, body))
    else:
        chunk = b"%x\r\n%b\r\n" % (size, body) if size else b""
        await stream.send_all(b"%btransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n" % (head, chunk))
    return await _expect(client, reader, "POST", body, kind)


async def _expect(client: Client, reader: Reader, method: str, body: bytes, kind: str) -> bool:
    answer = await reader.head()
    if answer is None:
        client.record.fault(kind, "no answer")
        return False
    await reader.body(answer, answers=method)
    got = (answer.start, answer.whole, len(answer.body), answer.body == body)
    if got[3]:
        return client.record.expect(kind, got[:2], ("HTTP/1.1 200 OK", True))
    return client.record.expect(kind, (got, answer.body[:100]), "the whole body")


async def http2(client: Client) -> None:
    """A connection with some streams at a time."""
    protocol = client.random.choice(("", "", "h2"))
    async with client.connection(protocol) as stream, trio.open_nursery() as tasks:
        peer = Peer(stream, client=True, reader=Reader(stream))
        kind = "HTTP/2 over TLS" if protocol else "HTTP/2"

        async def read() -> None:
            await peer.run(tasks)
            client.record.fault(kind, f"the connection was ended: {peer.goaway}")
            tasks.cancel_scope.cancel()

        await peer.begin()
        tasks.start_soon(read)
        async with trio.open_nursery() as streams:
            for _ in range(client.random.randint(1, 8)):
                streams.start_soon(_some_streams, client, peer, kind)
        tasks.cancel_scope.cancel()


async def _some_streams(client: Client, peer: Peer, kind: str) -> None:
    for _ in range(client.random.randint(1, 6)):
        name = client.random.choice(_STEADY)
        size = client.random.choice(_SIZES)
        echo = client.random.random() < 0.5
        path = f"/{name}/{'echo' if echo else size}"
        fields = [
            (":method", "POST" if echo else "GET"),
            (":scheme", "http"),
            (":authority", "soak.test"),
            (":path", path),
        ]
        exchange: Stream = await peer.open(fields, end=not echo)
        if echo:
            await peer.send_body(exchange, content(size), end=True)
        await exchange.over.wait()
        got = (exchange.first(":status"), exchange.reset, len(exchange.body), exchange.body == content(size))
        client.record.expect(f"{kind} to {name}", got, ("200", "", size, True))


def grpc_calls(client: Client, seconds: float, service: grpc_peer.Service) -> None:
    """Calls of every kind in this thread, plain or over TLS, for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        secure = client.random.random() < 0.3
        port, authority = (client.secure, client.authority) if secure else (client.plain, None)
        with grpc_peer.channel(port, authority) as channel:
            for _ in range(20):
                if time.monotonic() > end:
                    break
                try:
                    _call(client, channel, "gRPC over TLS" if secure else "gRPC")
                except grpc.RpcError as error:
                    client.record.fault("gRPC", repr(error))


def _call(client: Client, channel: grpc.Channel, kind: str) -> None:
    path = f"/{grpc_peer.NAME}/"
    what = client.random.choice(("unary", "server", "client", "both", "refused", "called off", "late", "many"))
    message = content(client.random.choice((0, 10, 5000, 200_000)))
    echo = channel.unary_unary(f"{path}Echo")
    got: object
    expected: object
    if what == "unary":
        got, expected = echo(message, timeout=_PATIENCE), message
    elif what == "server":
        got = list(channel.unary_stream(f"{path}Count")(b"30", timeout=_PATIENCE))
        expected = [b"%d" % number for number in range(30)]
    elif what == "client":
        got = channel.stream_unary(f"{path}Collect")(iter([message] * 3), timeout=_PATIENCE)
        expected = message * 3
    elif what == "both":
        got = list(channel.stream_stream(f"{path}Chat")(iter([b"a", b"b"]), timeout=_PATIENCE))
        expected = [b"A", b"B"]
    elif what == "many":
        futures = [echo.future(b"%d" % number, timeout=_PATIENCE) for number in range(30)]
        got, expected = [one.result() for one in futures], [b"%d" % number for number in range(30)]
    else:
        got, expected = _ended(channel, path, what)
    client.record.expect(f"{kind}, {what}", got, expected)


def _ended(channel: grpc.Channel, path: str, what: str) -> tuple[object, object]:
    """A call that ends badly: (what the client is told, what it should be)."""
    if what == "refused":
        code = channel.unary_unary(f"{path}Refuse").with_call
        try:
            code(b"", timeout=_PATIENCE)
        except grpc.RpcError as error:
            return error.code(), grpc.StatusCode.FAILED_PRECONDITION
        return "answered", "refused"
    late = what == "late"
    call = channel.unary_stream(f"{path}Hang")(b"x", timeout=0.5 if late else _PATIENCE)
    with contextlib.suppress(grpc.RpcError):
        next(call)
        if not late:
            call.cancel()
        for _ in call:
            pass
    return call.code(), grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def websocket(client: Client, seconds: float) -> None:
    """WebSocket conversations in this thread, plain or over TLS, for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        secure = client.random.random() < 0.3
        kind = "WebSocket over TLS" if secure else "WebSocket"
        try:
            (_converse_over_tls if secure else _converse)(client, kind)
        except (OSError, EOFError, websockets.exceptions.WebSocketException) as error:
            client.record.fault(kind, f"{error!r} {error.__cause__!r}")


def _messages(client: Client) -> Iterator[bytes]:
    for _ in range(client.random.randint(1, 30)):
        yield content(client.random.choice((0, 5, 125, 126, 70_000, 500_000)))


def _converse(client: Client, kind: str) -> None:
    url = f"ws://127.0.0.1:{client.plain}/chat"
    with websockets.sync.client.connect(url, max_size=None, open_timeout=_PATIENCE, compression=None) as connection:
        for message in _messages(client):
            connection.send(message)
            if not client.record.expect(kind, connection.recv(timeout=_PATIENCE), message):
                break
        if client.random.random() < 0.2:
            connection.socket.shutdown(socket.SHUT_RDWR)  # it vanishes


def _converse_over_tls(client: Client, kind: str) -> None:
    """By the package's sans-IO protocol: its client reads and writes in two threads, which loses bytes of TLS."""
    context = ssl.create_default_context(cadata=client.authority.decode())
    protocol = ClientProtocol(parse_uri(f"wss://localhost:{client.secure}/chat"), max_size=None)
    with (
        socket.create_connection(("127.0.0.1", client.secure), _PATIENCE) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost") as stream,
    ):

        def turn() -> Any:
            """Send what there is to send, then the next event."""
            for data in protocol.data_to_send():
                stream.sendall(data)
            while not (events := protocol.events_received()):
                data = stream.recv(65536)
                if not data:
                    raise EOFError(kind)
                protocol.receive_data(data)
            (event,) = events
            return event

        protocol.send_request(protocol.connect())
        if not client.record.expect(f"{kind}, opened", turn().status_code, 101):
            return
        for message in _messages(client):
            protocol.send_binary(message)
            if not client.record.expect(kind, bytes(turn().data), message):
                return
