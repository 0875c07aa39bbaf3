"""Frames of HTTP/2 as bytes: their heads, their numbers, and those that are made in one place.

Source: RFC 9113 s4.1, s6, s7.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
HEAD: Final = Struct(">IBI")  # length and kind, flags, stream
MAX_STREAM_ID: Final = 2**31 - 1  # the highest bit is reserved
MAX_WINDOW: Final = 2**31 - 1  # bytes
DEFAULT_WINDOW: Final = 65535  # bytes; s6.9.2
DEFAULT_FRAME_BYTES: Final = 16384  # payload; s6.5.2
MAX_FRAME_BYTES: Final = 2**24 - 1
SETTING: Final = Struct(">HI")

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
ENABLE_CONNECT_PROTOCOL: Final = 8
NO_RFC7540_PRIORITIES: Final = 9

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
CONNECT_ERROR: Final = 10
ENHANCE_YOUR_CALM: Final = 11

_NUMBER: Final = Struct(">I")
_PAIR: Final = Struct(">II")
_SHORT: Final = Struct(">IBII")  # a whole frame whose payload is one number
SETTINGS_ACK: Final = HEAD.pack(SETTINGS, ACK, 0)


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """A whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: list[tuple[int, int]]) -> bytes:
    """SETTINGS: (identifier, value) each."""
    return frame(SETTINGS, 0, 0, b"".join([SETTING.pack(*value) for value in values]))


def rst_stream(stream_id: int, code: int) -> bytes:
    """RST_STREAM."""
    return _SHORT.pack(_NUMBER.size << 8 | RST_STREAM, 0, stream_id, code)


def window_update(stream_id: int, size: int) -> bytes:
    """WINDOW_UPDATE; stream 0 is the connection."""
    return _SHORT.pack(_NUMBER.size << 8 | WINDOW_UPDATE, 0, stream_id, size)


def goaway(last_stream_id: int, code: int, text: str = "") -> bytes:
    """GOAWAY."""
    return frame(GOAWAY, 0, 0, _PAIR.pack(last_stream_id, code) + text.encode())


def number_at(payload: bytes | memoryview, position: int) -> int:
    """The 32 bits from there on."""
    number: int = _NUMBER.unpack_from(payload, position)[0]
    return number
