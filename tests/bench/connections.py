"""The connections of our own load generators: opened at once, and watched together."""

import contextlib
import select
import socket
from collections.abc import Iterator

PATIENCE = 5.0  # s for whatever must come


@contextlib.contextmanager
def connected(port: int, count: int) -> Iterator[tuple[select.epoll, dict[int, socket.socket]]]:
    """So many connections to a port on loopback, by file descriptor, and what tells which of them can be read."""
    with contextlib.ExitStack() as stack:
        poller = stack.enter_context(select.epoll())
        sockets = {}
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poller.register(connection, select.EPOLLIN)
            sockets[connection.fileno()] = connection
        yield poller, sockets
