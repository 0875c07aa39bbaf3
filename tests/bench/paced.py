"""`python -m tests.bench.paced port seconds rate`: GETs at a fixed rate, whether the answers come or not (open loop).

A request has its time to be sent, and its latency counts from then on: one that must wait for a connection, because the
proxy is behind, is as late as a user would find it. Closed loops, as of wrk, hide just that.
"""

import collections
import select
import socket
import sys
import time

from tests.bench.connections import PATIENCE, connected
from tests.bench.load import HEADERS, summary

_CONNECTIONS = 64
_REQUEST = "\r\n".join(("GET /64 HTTP/1.1", "Host: localhost", *HEADERS, "", "")).encode()
_END = b"\r\n\r\n" + b"x" * 64


def load(port: int, seconds: float, rate: float) -> tuple[list[float], float]:
    """The latency of each request, and the time of all, in seconds.

    Raises:
        ConnectionError: an answer was wrong or did not come.
    """
    with connected(port, _CONNECTIONS) as (poller, sockets):
        return _load(poller, sockets, seconds, rate)


def _load(
    poller: select.epoll, sockets: dict[int, socket.socket], seconds: float, rate: float
) -> tuple[list[float], float]:
    free = collections.deque(sockets)
    due_at: dict[int, float] = {}
    received: dict[int, bytes] = {}
    times: list[float] = []
    total, sent = int(seconds * rate), 0
    begin = time.perf_counter()
    while len(times) < total:
        while sent < total and free and (due := begin + sent / rate) <= time.perf_counter():
            sent += 1
            number = free.popleft()
            due_at[number] = due
            sockets[number].sendall(_REQUEST)
        wait = begin + sent / rate - time.perf_counter() if sent < total and free else PATIENCE
        for number, _ in poller.poll(max(0.0, wait)):
            part = sockets[number].recv(4096)
            answer = received.pop(number, b"") + part
            if answer.endswith(_END) and answer.startswith(b"HTTP/1.1 200"):
                times.append(time.perf_counter() - due_at.pop(number))
                free.append(number)
            elif part:
                received[number] = answer
            else:
                raise ConnectionError(f"a connection ended after {answer!r}")
        if time.perf_counter() > begin + seconds + PATIENCE:
            raise ConnectionError(f"{total - len(times)} answers did not come")
    return times, time.perf_counter() - begin


if __name__ == "__main__":
    port, seconds, rate = map(int, sys.argv[1:])
    print(summary(*load(port, seconds, rate)))
