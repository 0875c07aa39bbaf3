"""Bytes of a connection that wait for the socket, and the frames in them, which are limited.

Source: Envoy, http/http2/protocol_constraints.h: frames count from when they are made until the socket has taken them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from trio_envoy.http.h2.options import Http2Stats

_HEAD: Final = 9  # bytes of a frame's head
_RST_STREAM: Final = 3
_ACKNOWLEDGED: Final = frozenset({4, 6})  # SETTINGS, PING
_ACK: Final = 1


class Outbox:
    """What the socket has not taken yet.

    Attributes:
        data: the bytes.
        frames: how many are not gone to their last byte.
        controls: acknowledgements and resets among them.
    """

    __slots__ = ("_batches", "_gone", "_stats", "controls", "data", "frames")

    def __init__(self, stats: Http2Stats) -> None:
        self._stats = stats
        self.data = bytearray()
        self._batches: deque[tuple[int, int, int]] = deque()  # bytes, frames, controls of each add()
        self._gone = 0  # bytes of the first batch that the socket has
        self.frames = 0
        self.controls = 0

    def __len__(self) -> int:
        return len(self.data)

    def add(self, data: bytes, sent: int) -> None:
        """Keep whole frames, of which the socket has taken the first `sent` bytes."""
        frames = controls = position = 0
        size = len(data)
        while position < size:
            kind, flags = data[position + 3], data[position + 4]
            position += _HEAD + int.from_bytes(data[position : position + 3], "big")
            if position > sent:
                frames += 1
                if kind == _RST_STREAM or (kind in _ACKNOWLEDGED and flags & _ACK):
                    controls += 1
        self.data += data[sent:]
        self._batches.append((size - sent, frames, controls))
        self._count(frames, controls)

    def first(self, size: int) -> bytes:
        """Up to so many bytes, to be sent next."""
        return bytes(self.data[:size])

    def sent(self, size: int) -> None:
        """The socket has taken so many bytes more."""
        del self.data[:size]
        self._gone += size
        batches = self._batches
        while batches and self._gone >= batches[0][0]:
            length, frames, controls = batches.popleft()
            self._gone -= length
            self._count(-frames, -controls)

    def clear(self) -> None:
        """The connection is gone."""
        self.sent(len(self.data))

    def _count(self, frames: int, controls: int) -> None:
        self.frames += frames
        self.controls += controls
        self._stats.outbound_frames_active += frames
        self._stats.outbound_control_frames_active += controls
