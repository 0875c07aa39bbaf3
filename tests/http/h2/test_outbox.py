"""What waits for the socket: bytes, and frames that are not gone whole."""

import pytest
from hyperframe.frame import DataFrame, PingFrame, RstStreamFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http.h2.frames import PREFACE
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.h2.outbox import Outbox

DATA = DataFrame(1, b"x" * 10).serialize()  # 19 bytes
RESET = RstStreamFrame(1).serialize()  # 13 bytes
ANSWER = PingFrame(0, b"12345678", flags=["ACK"]).serialize()
CONTROLS = [RESET, ANSWER, SettingsFrame(0, flags=["ACK"]).serialize()]
OTHERS = [DATA, PingFrame(0, b"12345678").serialize(), SettingsFrame(0, settings={1: 2}).serialize()]


@pytest.mark.parametrize(
    ("data", "sent", "frames", "controls"),
    [
        (b"".join(CONTROLS), 0, 3, 3),
        (b"".join(OTHERS), 0, 3, 0),
        (DATA + RESET, 18, 2, 1),
        (DATA + RESET, 19, 1, 1),
        (RESET + DATA, 13, 1, 0),
        (RESET + DATA, 14, 1, 0),
        (PREFACE + SettingsFrame(0).serialize(), 0, 1, 0),
    ],
)
def test_frames_count_until_they_are_gone(data, sent, frames, controls):
    stats = Http2Stats()
    outbox = Outbox(stats)

    outbox.add(data, sent)

    assert (outbox.frames, outbox.controls) == (frames, controls)
    assert (stats.outbound_frames_active, stats.outbound_control_frames_active) == (frames, controls)
    assert outbox.first(1000) == data[sent:]
    assert len(outbox) == len(data) - sent

    outbox.sent(len(outbox) - 1)
    assert outbox.frames == frames
    outbox.sent(1)
    assert (len(outbox), outbox.frames, outbox.controls) == (0, 0, 0)


@given(st.lists(st.lists(st.sampled_from([DATA, RESET, ANSWER]), min_size=1), min_size=1), st.data())
def test_any_order_of_adding_and_sending_comes_out_in_order(batches, choose):
    stats = Http2Stats()
    outbox = Outbox(stats)
    gone = b""
    for batch in batches:
        outbox.add(b"".join(batch), 0)
        size = choose.draw(st.integers(0, len(outbox)))
        gone += outbox.first(size)
        outbox.sent(size)
        assert outbox.frames >= -(-len(outbox) // len(DATA))

    assert gone + outbox.first(1 << 20) == b"".join(frame for batch in batches for frame in batch)
    outbox.clear()
    assert stats.outbound_frames_active == stats.outbound_control_frames_active == len(outbox) == 0
