"""Bytes at random: however they are split, the same comes out; whatever they are, only SessionError."""

import itertools

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.h2.events import Broken, Data, GoAway, Head, Pong, Reset, TooLarge, Trailers, Window
from tests.http.h2.events import Ours as Session
from tests.http.h2.fakes import H2, OK, REQUEST
from trio_envoy.http.h2.frames import PREFACE
from trio_envoy.http.h2.options import DEFAULT_HEADER_BUDGET, Http2Options
from trio_envoy.http.h2.state import SessionError

IDS = st.sampled_from([0, 1, 1, 2, 3, 5, 2**31 - 1])
FLAGS = st.integers(0, 255)
HPACK = st.sampled_from(
    [b"", b"\x82\x86\x84", b"\x82\x86\x84\x41\x01a", b"\x88", b"\xbf", b"\x40\x01X\x01y", b"\x3f\xe1\x1f"]
)


def raw(kind, flags, stream_id, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def well_formed(frame, *args, **fields):
    return frame(*args, **fields).serialize()


FRAMES = st.one_of(
    st.builds(raw, st.integers(0, 11), FLAGS, IDS, st.binary(max_size=40) | HPACK),
    st.builds(raw, st.just(1), st.sampled_from([4, 5]), IDS, HPACK),
    st.builds(lambda data: well_formed(DataFrame, 1, data), st.binary(max_size=40)),
    st.builds(lambda data: well_formed(HeadersFrame, 1, data, flags=["END_HEADERS"]), HPACK),
    st.builds(lambda data: well_formed(ContinuationFrame, 1, data, flags=["END_HEADERS"]), HPACK),
    st.builds(lambda code: well_formed(RstStreamFrame, 1, error_code=code), st.integers(0, 2**32 - 1)),
    st.builds(lambda code: well_formed(GoAwayFrame, 0, 1, error_code=code), st.integers(0, 2**32 - 1)),
    st.builds(lambda size: well_formed(WindowUpdateFrame, 1, window_increment=size), st.integers(1, 2**31 - 1)),
    st.builds(
        lambda name, value: well_formed(SettingsFrame, 0, settings={name: value}),
        st.integers(1, 9),
        st.integers(0, 2**32 - 1),
    ),
    st.builds(lambda: well_formed(PingFrame, 0, b"12345678")),
    st.builds(lambda: well_formed(PriorityFrame, 1, depends_on=3)),
)
EVENTS = (Head, Data, Trailers, Reset, GoAway, Window, Pong, Broken, TooLarge)


def outcome(session, pieces):
    """(events, what was wrong, output) of all pieces."""
    events = []
    try:
        for piece in pieces:
            for event in session.receive(piece):
                assert isinstance(event, EVENTS)
                events.append(event)
            assert_little_is_held(session)
    except SessionError as error:
        return events, str(error), session.take_output()
    return events, "", session.take_output()


def assert_little_is_held(session):
    """Of what is not whole no more than the limits allow, and nothing of streams that are closed."""
    limit = 8 * 1024  # eight times the limit of a head
    assert len(session._rest) < max(limit, 16384) + 9
    assert len(session._block) <= limit
    assert 0 <= session.kept <= DEFAULT_HEADER_BUDGET
    assert len(session._decoder._memo) <= 16


def split(data, cuts):
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


def a_server():
    return Session(Http2Options(max_head_bytes=1024), client=False)


def a_client():
    session = Session(Http2Options(max_head_bytes=1024), client=True)
    session.send_head(1, REQUEST, ended=False)
    return session


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 1000), max_size=5))
@pytest.mark.parametrize(("make", "preface"), [(a_server, PREFACE), (a_client, b"")], ids=["server", "client"])
def test_whatever_comes_is_an_event_or_an_error_of_the_session(make, preface, frames, cuts):
    data = preface + well_formed(SettingsFrame, 0) + b"".join(frames)

    whole = outcome(make(), [data])
    assert outcome(make(), split(data, cuts)) == whole


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_bytes_at_random(data, cuts):
    for make, preface in ((a_server, PREFACE), (a_client, b"")):
        outcome(make(), split(preface + data, cuts))
        outcome(make(), split(data, cuts))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=30), st.lists(st.integers(0, 100_000), max_size=20))
def test_a_good_conversation_in_any_pieces(sizes, cuts):
    peer = H2()
    for index, size in enumerate(sizes):
        stream_id = 2 * index + 1
        peer.send_head(stream_id, REQUEST, ended=not size)
        if size:
            for begin in range(0, size, 1000):
                peer.send_data(stream_id, b"x" * min(1000, size - begin), ended=False)
            peer.send_head(stream_id, [(b"t", b"1")], ended=True)
    data = peer.take_output()

    events, wrong, _ = outcome(a_server(), split(data, cuts))

    assert wrong == ""
    assert [event.ended for event in events if isinstance(event, Head)] == [not size for size in sizes]
    assert sum(len(event.data) for event in events if isinstance(event, Data)) == sum(sizes)
    assert sum(isinstance(event, Trailers) for event in events) == sum(size > 0 for size in sizes)


def test_counts_of_streams_come_back_to_zero_whatever_ends_them():
    server, peer = a_server(), H2()
    for stream_id in range(1, 4000, 2):
        peer.send_head(stream_id, REQUEST, ended=stream_id % 3 == 0)
        deliver(server, peer)
        match stream_id % 5:
            case 0:
                server.send_head(stream_id, OK, ended=True)
                server.reset(stream_id, 0)
            case 1:
                peer.reset(stream_id, 8)
            case 2:
                server.reset(stream_id, 8)
            case 3:
                server.send_head(stream_id, OK, ended=False)
                server.send_data(stream_id, b"x", ended=True)
                peer.reset(stream_id, 8)
            case _:
                if stream_id % 3:
                    peer.send_data(stream_id, b"", ended=True)
                    deliver(server, peer)
                server.send_head(stream_id, OK, ended=False)
                server.send_head(stream_id, [(b"t", b"1")], ended=True)
        deliver(server, peer)
        assert server.open_streams == 0
        server.release(stream_id)
        assert server.kept == 0
    assert server.streams == {}


def deliver(server, peer):
    list(server.receive(peer.take_output()))
    peer.receive(server.take_output())
