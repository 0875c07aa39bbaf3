"""Frames of ours as the hyperframe package makes and reads them."""

import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from trio_envoy.http.h2 import frames


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (frames.frame(frames.DATA, frames.END_STREAM, 5, b"abc"), DataFrame(5, b"abc", flags=["END_STREAM"])),
        (frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"x"), HeadersFrame(1, b"x", flags=["END_HEADERS"])),
        (frames.frame(frames.PING, frames.ACK, 0, b"12345678"), PingFrame(0, b"12345678", flags=["ACK"])),
        (frames.settings([(4, 70_000), (1, 0)]), SettingsFrame(0, settings={4: 70_000, 1: 0})),
        (frames.settings([]), SettingsFrame(0)),
        (frames.SETTINGS_ACK, SettingsFrame(0, flags=["ACK"])),
        (frames.rst_stream(2**31 - 1, 2**32 - 1), RstStreamFrame(2**31 - 1, error_code=2**32 - 1)),
        (frames.window_update(0, 2**31 - 1), WindowUpdateFrame(0, window_increment=2**31 - 1)),
        (frames.goaway(7, 9, "why"), GoAwayFrame(0, 7, 9, additional_data=b"why")),
    ],
)
def test_bytes_are_those_of_hyperframe(ours, theirs):
    assert ours == theirs.serialize()


def test_a_head_is_read_back():
    data = frames.frame(frames.DATA, 9, 3, b"x" * 70_000)
    length_and_kind, flags, stream_id = frames.HEAD.unpack_from(data)
    frame, size = Frame.parse_frame_header(memoryview(data[:9]))

    assert (length_and_kind >> 8, length_and_kind & 0xFF, flags, stream_id) == (size, frame.type, 9, frame.stream_id)
    assert frames.number_at(memoryview(b"ab\0\0\1\2"), 2) == 258
