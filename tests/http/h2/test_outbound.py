"""What a session says, and the windows that it keeps; without a peer."""

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from tests.http.h2.fakes import OK, frames_of
from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.h2.outbound import Outbound
from trio_envoy.http.h2.state import SessionError, StreamState


def an_end(*, client=True, **options):
    end = Outbound(Http2Options(**options), client=client)
    end.mute = False
    end.take_output()
    return end


def a_stream(end):
    stream = StreamState()
    end.open(stream)
    return stream


def test_a_connection_begins_with_preface_settings_and_window():
    for client in (True, False):
        end = Outbound(Http2Options(), client=client)
        assert end.mute is not client
        end.mute = False
        data = end.take_output()
        assert data.startswith(frames.PREFACE) is client
        kinds = [frame[3] for frame in frames_of(data[len(frames.PREFACE) * client :])]
        assert kinds == [frames.SETTINGS, frames.WINDOW_UPDATE]
        assert end.take_output() == b""


def test_who_is_mute_says_nothing_and_forgets_nothing():
    end = Outbound(Http2Options(), client=False)

    assert end.take_output() == b""
    end.mute = False
    assert end.take_output()


def test_streams_have_odd_ids_until_these_run_out():
    end = an_end()

    assert [a_stream(end).id for _ in range(3)] == [1, 3, 5]
    assert end.open_streams == 3
    end._next_id = 2**31 - 1
    assert a_stream(end).id == 2**31 - 1
    with pytest.raises(SessionError):
        a_stream(end)


def test_a_long_head_is_continued():
    end = an_end()
    stream = a_stream(end)
    end.peer.frame_bytes = 100

    end.send_head(stream, [*OK, (b"x", b"~" * 250)], ended=True)

    first, second, third = frames_of(end.take_output())
    assert (first[3], first[4], second[3], second[4]) == (HeadersFrame.type, 1, ContinuationFrame.type, 0)
    assert (third[3], third[4]) == (ContinuationFrame.type, 4)
    assert {len(first), len(second)} == {109}
    assert stream.local_done


def test_a_payload_is_cut_as_the_peer_wants_it_and_uses_the_windows_up():
    end = an_end()
    stream = a_stream(end)

    end.send_data(stream, b"x" * 40_000, ended=True)

    pieces = [16384, 16384, 7232]
    whole = [DataFrame(1, b"x" * size, flags=["END_STREAM"] if size == 7232 else []).serialize() for size in pieces]
    assert end.take_output() == b"".join(whole)
    assert end.send_window == stream.send_window == 65535 - 40_000
    assert end.floods.data_sent == 3


def test_an_empty_end_needs_no_window():
    end = an_end()
    stream = a_stream(end)
    end.send_window = stream.send_window = 0

    end.send_data(stream, b"", ended=True)

    assert end.take_output() == DataFrame(1, b"", flags=["END_STREAM"]).serialize()


@pytest.mark.parametrize(
    "act",
    [
        lambda end, stream: end.send_head(stream, OK, ended=True),
        lambda end, stream: end.send_data(stream, b"x", ended=False),
        lambda end, stream: end.room(stream),
    ],
    ids=["head", "data", "room"],
)
def test_on_a_stream_that_is_done_nothing_is_sent(act):
    end = an_end()
    stream = a_stream(end)
    end.send_head(stream, OK, ended=True)

    with pytest.raises(BrokenPipeError):
        act(end, stream)


def test_window_is_given_back_by_halves():
    end = an_end(stream_window=100_000, connection_window=200_000)
    stream = a_stream(end)

    assert not end.credit(stream, 49_999)
    assert end.credit(stream, 1)
    assert end.take_output() == frames.window_update(1, 50_000)
    assert end.credit(stream, 50_000)
    assert end.take_output() == frames.window_update(0, 100_000) + frames.window_update(1, 50_000)


def test_a_stream_that_the_peer_has_ended_needs_no_window():
    end = an_end(stream_window=65535, connection_window=200_000)
    stream = a_stream(end)
    stream.remote_done = True

    assert not end.credit(stream, 99_999)
    assert end.credit(stream, 1)
    assert end.take_output() == frames.window_update(0, 100_000)


def test_what_is_reset_is_closed_and_reset_once():
    end = an_end()
    stream = a_stream(end)

    assert end.reset(stream, 8)
    assert not end.reset(stream, 8)
    assert end.take_output() == frames.rst_stream(1, 8)
    assert end.reset(stream, 8, late=True)
    assert end.take_output() == frames.rst_stream(1, 8)
    assert end.open_streams == 0


def test_fields_are_held_until_they_are_released():
    end = an_end()
    stream = a_stream(end)
    stream.kept, end.kept = 100, 150

    end.release(stream)
    end.release(stream)

    assert (stream.kept, end.kept) == (0, 50)
