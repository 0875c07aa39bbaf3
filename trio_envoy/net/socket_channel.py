"""A channel on a connected non-blocking socket.

A closed channel answers like a broken one: recv_into and send raise OSError (EBADF), waiting returns.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

from trio_envoy.net.channel import Buffer
from trio_envoy.net.poller import Pollable, Poller
from trio_envoy.net.stream_info import ConnectionInfo

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # close() sends RST


class SocketChannel(Pollable):
    """TCP or Unix domain stream (net.channel.Channel).

    Args:
        sock: connected and non-blocking; the channel owns it.
        poller: of this worker.
        info: of this connection.
        below: had the socket until now; it is closed for whoever else has it, and what it knew of the socket goes on.
    """

    __slots__ = ("_recv", "_recv_into", "_send", "_sock", "closed", "info")

    def __init__(
        self, sock: socket.socket, poller: Poller, info: ConnectionInfo, *, below: SocketChannel | None = None
    ) -> None:
        super().__init__(sock.fileno(), poller)
        self.info = info
        self.closed = False
        self._sock = sock
        self._recv = sock.recv
        self._recv_into = sock.recv_into
        self._send = sock.send
        if below is None:
            poller.add(self)
        else:
            below.hand_over(self)

    def recv_into(self, buffer: bytearray | memoryview) -> int | None:
        """Bytes read; 0 at the end; None when nothing is here. No system call when it is known that nothing is."""
        if not self.can_read:
            return None
        try:
            received = self._recv_into(buffer)
        except BlockingIOError:
            self.can_read = False
            return None
        if received < len(buffer):
            if not received:
                self.ended = True
            self.can_read = self.ended
        self.info.bytes_received += received
        return received

    def recv(self, limit: int) -> bytes | None:
        """What is here, b"" at the end, None when nothing is; see recv_into."""
        if not self.can_read:
            return None
        recv = self._recv  # called as a method it would be looked up in the class first
        try:
            data = recv(limit)
        except BlockingIOError:
            self.can_read = False
            return None
        received = len(data)
        if received < limit:
            if not received:
                self.ended = True
            self.can_read = self.ended
        self.info.bytes_received += received
        return data

    def send(self, data: Buffer) -> int:
        """Bytes taken; 0 when the peer takes none now."""
        send = self._send
        try:
            sent = send(data)
        except BlockingIOError:
            self.can_write = False
            return 0
        if sent != len(data):
            self.can_write = False
        self.info.bytes_sent += sent
        return sent

    def readable(self) -> bool:
        """Something waits to be read: data, or the end."""
        if not self.can_read and self.poller.edges:
            return False
        try:
            socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            self.can_read = False
            return False
        except OSError:
            pass
        self.can_read = True
        return True

    def peer_ended(self) -> bool:
        try:
            return not socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def sock(self) -> socket.socket:
        """For the channel that will go on with it."""
        return self._sock

    def hand_over(self, successor: SocketChannel) -> None:
        """Give the socket up; nothing is closed but this channel."""
        self.closed = True
        self._on_gone = None
        successor.can_read, successor.can_write, successor.ended = self.can_read, self.can_write, self.ended
        self.poller.replace(self, successor)
        self.end_waiting()

    def shutdown_write(self) -> None:
        """Send FIN behind what has been sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close now."""
        if not self.closed:
            self.closed = True
            self._on_gone = None
            self.poller.remove(self)
            self._sock.close()
            self.end_waiting()

    def reset(self) -> None:
        """Close with RST (a Unix domain socket just closes)."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self.close()
