"""Limits on frames: where each begins to be a flood."""

import pytest

from trio_envoy.http.h2.floods import DETAILS, STREAM_DETAILS, Floods, Resets
from trio_envoy.http.h2.options import Http2Options, Http2Stats


def passed(count, limit=5000):
    """(how many pass, the counter that the next one makes)."""
    for number in range(limit):
        flood = count()
        if flood:
            return number, flood
    return limit, ""


def test_envoys_defaults():
    floods = Floods(Http2Options())

    assert passed(floods.empty_frame) == (1, "inbound_empty_frames_flood")
    assert passed(lambda: floods.priority(0)) == (100, "inbound_priority_frames_flood")
    assert passed(lambda: floods.window_update(0)) == (5, "inbound_window_update_frames_flood")
    floods.controls = 1000
    assert not floods.too_many_controls()
    floods.controls = 1001
    assert floods.too_many_controls() == "outbound_control_flood"


def test_empty_frames_count_in_a_row():
    floods = Floods(Http2Options(max_empty_frames=2))
    for _ in range(100):
        assert not floods.empty_frame()
        assert not floods.empty_frame()
        floods.empty = 0

    assert passed(floods.empty_frame)[0] == 2


def test_streams_and_data_allow_more():
    floods = Floods(Http2Options(max_priority_frames=3, max_window_updates=4))
    floods.data_sent = 5

    assert passed(lambda: floods.priority(2))[0] == 3 * (1 + 2)
    assert passed(lambda: floods.window_update(2))[0] == 5 + 2 * (2 + 4 * 5)


def test_what_was_answered_in_time_does_not_count():
    floods = Floods(Http2Options(max_outbound_control_frames=2))
    for _ in range(10):
        floods.controls += 2
        assert not floods.too_many_controls()
        floods.turn()

    floods.controls += 3
    assert floods.too_many_controls()


@pytest.mark.parametrize(
    ("frames", "controls", "counter"),
    [(3, 2, ""), (4, 2, "outbound_flood"), (3, 3, "outbound_control_flood"), (4, 3, "outbound_control_flood")],
)
def test_what_waits_for_the_socket(frames, controls, counter):
    floods = Floods(Http2Options(max_outbound_control_frames=2, max_outbound_frames=3))

    assert floods.outbound(frames, controls) == counter


def test_every_flood_has_its_details():
    assert {name for name in DETAILS if hasattr(Http2Stats, name)} == set(DETAILS) > set(STREAM_DETAILS)


@pytest.mark.parametrize(
    ("good", "age", "bad"),
    [(0, 0.0, 250), (0, 1.9, 250), (249, 0.0, 250), (400, 0.0, 400), (1000, 0.0, 1000), (0, 2.0, None)],
)
def test_most_streams_reset_at_once_are_too_many(good, age, bad):
    resets = Resets(lambda key, default: default)
    for _ in range(good):
        resets.closed()

    for number in range(1, 3000):
        resets.closed()
        if resets.too_many(age):
            assert number == bad
            return
    assert bad is None


def test_the_runtime_says_what_is_suspicious():
    resets = Resets({"overload.premature_reset_total_stream_count": 4}.get)

    assert [resets.too_many(1.5) for _ in range(2)] == [False, True]


def test_the_runtime_says_what_is_premature():
    limits = {
        "overload.premature_reset_min_stream_lifetime_seconds": 5,
        "overload.premature_reset_total_stream_count": 2,
    }
    assert not Resets(limits.get).too_many(6.0)
    assert Resets(limits.get).too_many(5.9)
