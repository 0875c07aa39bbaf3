"""Limits on frames: where each begins to be a flood."""

import pytest

from trio_envoy.http.h2.floods import Floods
from trio_envoy.http.h2.options import Http2Options

DATA, HEADERS, PRIORITY, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 4, 6, 8, 9
ACK = END_STREAM = 1


def first_flood(floods, *frame, limit=5000):
    """(how many of these frames pass, the counter that the next one makes)."""
    for passed in range(limit):
        flood = floods.inbound(*frame)
        if flood:
            return passed, flood
    return limit, ""


@pytest.mark.parametrize(
    ("frame", "passed", "counter"),
    [
        ((DATA, 0, 0), 1, "inbound_empty_frames_flood"),
        ((CONTINUATION, 0, 0), 1, "inbound_empty_frames_flood"),
        ((PRIORITY, 0, 5), 100, "inbound_priority_frames_flood"),
        ((WINDOW_UPDATE, 0, 4), 5, "inbound_window_update_frames_flood"),
        ((PING, 0, 8), 1000, "outbound_control_flood"),
        ((SETTINGS, 0, 0), 1000, "outbound_control_flood"),
        ((PING, ACK, 8), 5000, ""),
        ((SETTINGS, ACK, 0), 5000, ""),
        ((DATA, 0, 1), 5000, ""),
        ((DATA, END_STREAM, 0), 5000, ""),
        ((HEADERS, 0, 9), 5000, ""),
        ((7, 0, 8), 5000, ""),
    ],
)
def test_envoys_defaults(frame, passed, counter):
    assert first_flood(Floods(Http2Options()), *frame) == (passed, counter)


def test_empty_frames_count_in_a_row():
    floods = Floods(Http2Options(max_empty_frames=2))
    for _ in range(100):
        assert not floods.inbound(DATA, 0, 0)
        assert not floods.inbound(CONTINUATION, 0, 0)
        assert not floods.inbound(DATA, 0, 1)

    assert first_flood(floods, DATA, 0, 0)[0] == 2


def test_streams_and_data_allow_more():
    floods = Floods(Http2Options(max_priority_frames=3, max_window_updates=4))
    for _ in range(2):
        floods.inbound(HEADERS, END_STREAM, 9)
    floods.data_sent = 5

    assert first_flood(floods, PRIORITY, 0, 5)[0] == 3 * (1 + 2)
    assert first_flood(floods, WINDOW_UPDATE, 0, 4)[0] == 5 + 2 * (2 + 4 * 5)


def test_what_the_socket_took_does_not_count():
    floods = Floods(Http2Options(max_outbound_control_frames=2, max_outbound_frames=3))
    for _ in range(10):
        assert not floods.control()
        assert not floods.inbound(PING, 0, 8)
        assert not floods.outbound()
        floods.flushed()

    floods.queued = 4
    assert floods.outbound() == "outbound_flood"
