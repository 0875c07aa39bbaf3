"""One end of the socket pair between the main process and a worker, on Trio."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Final

import trio

from trio_envoy.server.workers.messages import MAX_BYTES, Decoder, ProtocolFault, encode
from trio_envoy.util.wake import Wake

_READ_BYTES: Final = 256 * 1024


class Link:
    """Sends without waiting, receives in turn.

    Args:
        sock: a stream socket; it is ours from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unsent = bytearray()
        self._wake = Wake()
        self._decoder = Decoder()
        self._received: Iterator[Any] = iter(())

    def post(self, message: object) -> None:
        """Send a message, now or as soon as the other end takes it. One to a process that has gone is lost.

        Raises:
            ProtocolFault: it is too long, or the other end has taken nothing for so long that no more is kept.
        """
        data = encode(message)
        if len(self._unsent) + len(data) > MAX_BYTES:
            raise ProtocolFault("the other process takes no messages")
        self._unsent += data
        self._push()
        if self._unsent:
            self._wake.set()

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it has gone; receive() tells
            self._unsent.clear()

    async def run(self) -> None:
        """Send what could not be sent at once, until cancelled."""
        while True:
            await self._wake.wait()
            while self._unsent:
                await trio.lowlevel.wait_writable(self._sock)
                self._push()

    async def flush(self) -> None:
        """Return when all is sent, with or without run()."""
        while self._unsent:
            await trio.lowlevel.wait_writable(self._sock)
            self._push()

    async def receive(self) -> Any:
        """The next message; None when the other process has gone.

        Raises:
            ProtocolFault: what came is no message.
        """
        while True:
            message = next(self._received, None)
            if message is not None:
                return message
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not data:
                return None
            self._received = self._decoder.feed(data)

    def close(self) -> None:
        """Let the other process see that this one has gone; nobody may be waiting."""
        self._sock.close()
