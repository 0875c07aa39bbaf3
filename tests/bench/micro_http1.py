"""What our HTTP/1 code costs, without a proxy around it: `python tests/bench/micro_http1.py`.

Everything runs in one Trio run over socket pairs. "echo" is the floor: the same sockets, poller and wake-ups with two
bytes-in-bytes-out tasks; the other rows minus the echo are our code. 32 connections at a time, as under load; CPU
microseconds per exchange, best of several rounds.
"""

import cProfile
import pstats
import socket
import sys
import time
from functools import partial

import trio

from trio_envoy.http.body import BytesBody
from trio_envoy.http.h1.client import Http1ClientConnection
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.request_parser import RequestParser
from trio_envoy.http.h1.response_parser import ResponseParser
from trio_envoy.http.h1.server import Http1ServerConnection
from trio_envoy.http.h1.writer import NONE, request_head, response_head
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import CodecOptions, ServerContext
from trio_envoy.net.address import IpAddress
from trio_envoy.net.poller import make_poller
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.util.deadlines import Guard, Timers

REQUEST = (
    b"GET /some/path?x=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: wrk/4.1.0 abcdef\r\nAccept: */*\r\n"
    b"Accept-Encoding: gzip, deflate\r\nX-Trace: 0123456789abcdef\r\nCookie: a=b; c=d\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: c\r\nDate: Tue, 24 Nov 2026 10:17:23 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 64\r\nX-A: b\r\nX-C: d\r\nETag: 0123456789\r\n\r\n" + b"x" * 64
)
ADDRESS = IpAddress("127.0.0.1", 80)
ROUNDS, CONNECTIONS, TIMES = 7, 32, 100


class Stats:
    """Counts nothing that anyone reads."""

    def __getattr__(self, name):
        return 0


class Answer:
    """A handler that answers at once."""

    async def handle(self, stream):
        headers = Headers([(b"content-length", b"64"), (b"content-type", b"text/plain"), (b"server", b"envoy")])
        await stream.respond(Response(200, headers, BytesBody(b"x" * 64)))

    async def interrupted(self, stream, cause):
        stream.reset()

    def continued(self):
        raise AssertionError("nobody expects")

    def protocol_error(self, info, details, status):
        raise AssertionError(details)


class Proxy(Answer):
    """A handler that asks an upstream."""

    def __init__(self, client):
        self.client = client

    async def handle(self, stream):
        client = self.client
        client.info = stream.info
        response = await client.exchange(stream.request, None, None)
        await stream.respond(response)
        client.release()


class Pair:
    """Two channels on a socket pair."""

    number = 0

    def __init__(self, poller):
        ends = socket.socketpair()
        self.near, self.far = (self._channel(end, poller) for end in ends)

    def _channel(self, end, poller):
        end.setblocking(False)
        Pair.number += 1
        return SocketChannel(end, poller, ConnectionInfo(Pair.number, ADDRESS, ADDRESS))


async def answer_forever(channel, view, answer):
    """The far end: whatever comes in is answered."""
    while True:
        if channel.recv_into(view) is None:
            await channel.wait_read()
        else:
            channel.send(answer)


async def ask(channel, view, request, size):
    """The near end: one request, all of its answer."""
    channel.send(request)
    while size > 0:
        received = channel.recv_into(view)
        if received is None:
            await channel.wait_read()
        else:
            size -= received


async def repeat(once):
    for _ in range(TIMES):
        await once()


async def measure(name, every):
    """Run each of the coroutine functions TIMES times, side by side."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        async with trio.open_nursery() as nursery:
            for once in every:
                nursery.start_soon(repeat, once)
        best = min(best, (time.process_time() - start) / TIMES / len(every))
    print(f"{name:44} {best * 1e6:7.1f} us")
    return best


def measure_sync(name, once, times=20000):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            once()
        best = min(best, (time.process_time() - start) / times)
    print(f"{name:44} {best * 1e6:7.2f} us")


def sans_io():
    parser = RequestParser(Http1Options(), Http1Stats(), b"http")
    responses = ResponseParser(Http1Options(), Http1Stats())

    def parse():
        parser.feed(REQUEST)
        return parser.next()

    def parse_response():
        responses.expect(b"GET")
        responses.feed(ANSWER)
        return responses.next()

    request = parse()
    response = parse_response()
    measure_sync("parse a request", parse)
    measure_sync("parse a response with its body", parse_response)
    measure_sync("write a request head", lambda: request_head(request, NONE))
    measure_sync("write a response head", lambda: response_head(200, response.headers, True))


def server(channel, handler, timers, view):
    context = ServerContext(CodecOptions(), Stats(), Http1Stats(), Http2Stats(), timers, view)
    return Http1ServerConnection(channel, handler, context, Guard(timers))


async def main():
    sans_io()
    poller, timers = make_poller(), Timers()
    view = poller.view
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        nursery.start_soon(timers.run)
        pairs = [Pair(poller) for _ in range(CONNECTIONS)]
        for pair in pairs:
            nursery.start_soon(answer_forever, pair.far, view, ANSWER)
        floor = await measure("echo", [partial(ask, pair.near, view, REQUEST, len(ANSWER)) for pair in pairs])

        served = [Pair(poller) for _ in range(CONNECTIONS)]
        for pair in served:
            nursery.start_soon(server(pair.far, Answer(), timers, view).serve)
        reply = len(b"HTTP/1.1 200 OK\r\ncontent-length: 64\r\ncontent-type: text/plain\r\nserver: envoy\r\n\r\n") + 64
        cost = await measure("serve", [partial(ask, pair.near, view, REQUEST, reply) for pair in served])
        print(f"{'  our part':44} {(cost - floor) * 1e6:7.1f} us")

        clients = [Http1ClientConnection(pair.near, Http1Options(), Http1Stats()) for pair in pairs]
        parser = RequestParser(Http1Options(), Http1Stats(), b"http")
        parser.feed(REQUEST)
        request = parser.next()

        async def exchange(client):
            response = await client.exchange(request, None, None)
            await response.body.read()
            client.release()

        cost = await measure("exchange", [partial(exchange, client) for client in clients])
        print(f"{'  our part':44} {(cost - floor) * 1e6:7.1f} us")

        fronts = [Pair(poller) for _ in range(CONNECTIONS)]
        for pair, client in zip(fronts, clients, strict=True):
            nursery.start_soon(server(pair.far, Proxy(client), timers, view).serve)
        asks = [partial(ask, pair.near, view, REQUEST, len(ANSWER)) for pair in fronts]
        profile = cProfile.Profile() if "--profile" in sys.argv else None
        if profile is not None:
            profile.enable()
        cost = await measure("serve + exchange", asks)
        print(f"{'  our part':44} {(cost - 2 * floor) * 1e6:7.1f} us")
        if profile is not None:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
