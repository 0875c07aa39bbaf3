"""`python -m tests.bench.websocket_load port seconds connections`: echoes of 125 bytes, one at a time on each."""

import select
import socket
import sys
import time

from tests.bench.connections import PATIENCE, connected
from tests.bench.load import summary

_UPGRADE = (
    b"GET /echo HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_PAYLOAD = b"x" * 125
_QUESTION = b"\x82\xfd\x00\x00\x00\x00" + _PAYLOAD  # binary, masked with zeros
_ANSWER = b"\x82\x7d" + _PAYLOAD


def load(port: int, seconds: float, connections: int) -> tuple[list[float], float]:
    """The time of each echo, and of all, in seconds.

    Raises:
        ConnectionError: an echo was wrong or did not come.
    """
    with connected(port, connections) as (poller, sockets):
        for connection in sockets.values():
            _upgrade(connection)
        return _load(poller, sockets, seconds)


def _load(poller: select.epoll, sockets: dict[int, socket.socket], seconds: float) -> tuple[list[float], float]:
    begin = time.perf_counter()
    sent = dict.fromkeys(sockets, begin)
    times: list[float] = []
    for connection in sockets.values():
        connection.sendall(_QUESTION)
    while sent:
        ready = poller.poll(PATIENCE)
        if not ready:
            raise ConnectionError(f"{len(sent)} echoes did not come")
        for number, _ in ready:
            _expect(sockets[number], _ANSWER)
            now = time.perf_counter()
            times.append(now - sent.pop(number))
            if now - begin < seconds:
                sent[number] = now
                sockets[number].sendall(_QUESTION)
    return times, time.perf_counter() - begin


def _upgrade(connection: socket.socket) -> None:
    connection.sendall(_UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more or not b"HTTP/1.1 101".startswith(head[:12]):
            raise ConnectionError(f"no upgrade: {head!r}")
        head += more


def _expect(connection: socket.socket, message: bytes) -> None:
    """Read exactly that."""
    received = b""
    while len(received) < len(message):
        more = connection.recv(4096)
        received += more
        if not more or not message.startswith(received):
            raise ConnectionError(f"not an echo: {received!r}")


if __name__ == "__main__":
    port, seconds, connections = map(int, sys.argv[1:])
    print(summary(*load(port, seconds, connections)))
