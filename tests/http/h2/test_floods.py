"""Limits on frames: where each begins to be a flood."""

import pytest

from trio_envoy.http.h2.floods import DETAILS, Floods, Resets
from trio_envoy.http.h2.options import Http2Options, Http2Stats

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


def test_what_was_answered_in_time_does_not_count():
    floods = Floods(Http2Options(max_outbound_control_frames=2))
    for _ in range(10):
        assert not floods.inbound(SETTINGS, 0, 0)
        assert not floods.inbound(PING, 0, 8)
        floods.turn()

    assert first_flood(floods, PING, 0, 8)[0] == 2


@pytest.mark.parametrize(
    ("frames", "controls", "counter"),
    [(3, 2, ""), (4, 2, "outbound_flood"), (3, 3, "outbound_control_flood"), (4, 3, "outbound_control_flood")],
)
def test_what_waits_for_the_socket(frames, controls, counter):
    floods = Floods(Http2Options(max_outbound_control_frames=2, max_outbound_frames=3))

    assert floods.outbound(frames, controls) == counter


def test_every_flood_has_its_details():
    assert {name for name in DETAILS if hasattr(Http2Stats, name)} == set(DETAILS)


@pytest.mark.parametrize(
    ("good", "age", "bad"),
    [(0, 0.0, 250), (0, 1.9, 250), (249, 0.0, 250), (400, 0.0, 400), (1000, 0.0, 1000), (0, 2.0, None)],
)
def test_most_streams_reset_at_once_are_too_many(good, age, bad):
    resets = Resets()
    for _ in range(good):
        resets.closed()

    for number in range(1, 3000):
        resets.closed()
        if resets.too_many(age):
            assert number == bad
            return
    assert bad is None
