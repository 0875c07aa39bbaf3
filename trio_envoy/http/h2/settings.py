"""SETTINGS: what we say, and what the peer has said.

Sources: RFC 9113 s6.5, RFC 8441 s3, RFC 9218 s2.1; nghttp2, with which Envoy reads them.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.options import Http2Options

MAX_ENTRIES: Final = 32  # of one frame, as nghttp2
_NO_LIMIT: Final = 2**32 - 1
_UNKNOWN: Final = -1


def ours(options: Http2Options, *, client: bool) -> list[tuple[int, int]]:
    """What our end says at the start, in Envoy's order."""
    values = [*options.custom_settings, (frames.HEADER_TABLE_SIZE, options.table_size)]
    if client:
        values.append((frames.ENABLE_PUSH, 0))
    else:
        values += [
            (frames.ENABLE_CONNECT_PROTOCOL, int(options.allow_connect)),
            (frames.MAX_CONCURRENT_STREAMS, options.max_streams),
        ]
    values.append((frames.INITIAL_WINDOW_SIZE, options.stream_window))
    return values


class PeerSettings:
    """What the peer has said.

    Attributes:
        table_size: bytes of its decoder's table.
        max_streams: that we may have open.
        window: bytes that we may send on a new stream.
        frame_bytes: payload of a frame that we send, at most.
        connect: it takes extended CONNECT.
    """

    __slots__ = ("_priorities", "connect", "frame_bytes", "max_streams", "table_size", "window")

    def __init__(self) -> None:
        self.table_size = 4096
        self.max_streams = _NO_LIMIT
        self.window = frames.DEFAULT_WINDOW
        self.frame_bytes = frames.DEFAULT_FRAME_BYTES
        self.connect = False
        self._priorities = _UNKNOWN

    def take(self, payload: bytes, *, client: bool) -> str:
        """Take the entries of a frame, whose length is right; what is wrong with them, or ""."""
        for identifier, value in frames.SETTING.iter_unpack(payload):
            wrong = self._take(identifier, value, client=client)
            if wrong:
                return wrong
        if self._priorities == _UNKNOWN:
            self._priorities = 0  # whoever wants none says so first
        return ""

    def _take(self, identifier: int, value: int, *, client: bool) -> str:
        match identifier:
            case frames.HEADER_TABLE_SIZE:
                self.table_size = value
            case frames.ENABLE_PUSH if value > (not client):
                return "SETTINGS_ENABLE_PUSH is wrong"
            case frames.MAX_CONCURRENT_STREAMS:
                self.max_streams = value
            case frames.INITIAL_WINDOW_SIZE:
                if value > frames.MAX_WINDOW:
                    return "SETTINGS_INITIAL_WINDOW_SIZE is too large"
                self.window = value
            case frames.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME_BYTES <= value <= frames.MAX_FRAME_BYTES:
                    return "SETTINGS_MAX_FRAME_SIZE is out of range"
                self.frame_bytes = value
            case frames.ENABLE_CONNECT_PROTOCOL:
                if value > 1 or (client and self.connect and not value):
                    return "SETTINGS_ENABLE_CONNECT_PROTOCOL is wrong"
                self.connect = value == 1
            case frames.NO_RFC7540_PRIORITIES:
                if value > 1 or self._priorities not in {_UNKNOWN, value}:
                    return "SETTINGS_NO_RFC7540_PRIORITIES is wrong"
                self._priorities = value
        return ""
