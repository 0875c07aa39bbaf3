"""Bytes in, events out: two sessions of ours, and one against the library's own."""

import h2.connection
import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, PriorityFrame, RstStreamFrame

from tests.http.h2.events import Data, GoAway, Head, Pong, Reset, Trailers, Window
from tests.http.h2.events import Ours as Session
from tests.http.h2.fakes import H2
from trio_envoy.http.h2 import frames as h2session
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.h2.state import SessionError

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
RESPONSE = [(b":status", b"200")]


class Ends:
    """A client and a server that are introduced to each other."""

    def __init__(self, client=None, server=None):
        self.client = Session(client or Http2Options(), client=True)
        self.server = Session(server or Http2Options(), client=False)
        for _ in range(2):
            self.to_server()
            self.to_client()

    def to_server(self, size=None):
        return deliver(self.server, self.client.take_output(), size)

    def to_client(self, size=None):
        return deliver(self.client, self.server.take_output(), size)


def deliver(session, data, size=None):
    size = size or len(data) or 1
    return [event for start in range(0, len(data), size) for event in session.receive(data[start : start + size])]


def with_stream(ends, *, ended=False):
    stream_id = ends.client.next_stream_id()
    ends.client.send_head(stream_id, REQUEST, ended=ended)
    return stream_id


@pytest.mark.parametrize("size", [1, 7, None])
def test_an_exchange(size):
    ends = Ends()
    stream_id = with_stream(ends)
    ends.client.send_data(stream_id, b"abc", ended=False)
    ends.client.send_head(stream_id, [(b"x", b"y")], ended=True)

    assert ends.to_server(size) == [
        Head(stream_id, REQUEST, ended=False),
        Data(stream_id, b"abc", 3, ended=False),
        Trailers(stream_id, [(b"x", b"y")]),
    ]

    ends.server.send_head(stream_id, [(b":status", b"103")], ended=False)
    ends.server.send_head(stream_id, RESPONSE, ended=False)
    ends.server.send_data(stream_id, b"d", ended=True)
    assert ends.to_client(size) == [
        Head(stream_id, [(b":status", b"103")], ended=False),
        Head(stream_id, RESPONSE, ended=False),
        Data(stream_id, b"d", 1, ended=True),
    ]


def test_the_settings_of_each_side_are_envoys():
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    peer.initiate_connection()
    server = Session(Http2Options(), client=False)
    deliver(server, peer.data_to_send())
    peer.receive_data(server.take_output())

    assert peer.remote_settings.max_concurrent_streams == 1024
    assert peer.remote_settings.initial_window_size == 16 << 20
    assert peer.outbound_flow_control_window == 24 << 20
    assert not server.mute


def test_extended_connect_is_offered_where_it_is_allowed():
    for allowed in (False, True):
        ends = Ends(server=Http2Options(allow_connect=allowed))
        assert ends.client.peer.connect is allowed


@pytest.mark.parametrize("size", [1, None])
def test_what_is_no_preface(size):
    server = Session(Http2Options(), client=False)

    with pytest.raises(SessionError, match="preface"):
        deliver(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", size)
    assert server.take_output() == b""


def test_window_is_given_back_when_a_body_was_read():
    ends = Ends(server=Http2Options(stream_window=65535, connection_window=65535))
    stream_id = with_stream(ends)
    ends.to_server()
    for _ in range(4):
        ends.client.send_data(stream_id, b"x" * min(ends.client.room(stream_id), 16384), ended=False)
    assert ends.client.room(stream_id) == 0
    events = ends.to_server()
    assert ends.to_client() == []

    for event in events:
        ends.server.credit(stream_id, event.size)
    assert Window(stream_id) in ends.to_client()
    assert ends.client.room(stream_id) > 16000


def test_room_is_what_both_windows_allow():
    ends = Ends(server=Http2Options(stream_window=100_000, connection_window=150_000))
    first, second = with_stream(ends), with_stream(ends)

    assert ends.client.room(first) == 100_000
    ends.client.send_data(first, b"x" * 90_000, ended=False)
    assert ends.client.room(first) == 10_000
    assert ends.client.room(second) == 60_000
    assert [event.size for event in ends.to_server() if isinstance(event, Data)] == [16384] * 5 + [8080]


def test_resets():
    ends = Ends()
    stream_id = with_stream(ends)
    ends.to_server()

    assert ends.server.reset(stream_id, h2session.REFUSED_STREAM)
    assert ends.to_client() == [Reset(stream_id, h2session.REFUSED_STREAM)]
    assert not ends.server.reset(99, 0)
    with pytest.raises(BrokenPipeError):
        ends.server.send_head(stream_id, RESPONSE, ended=True)
    with pytest.raises(BrokenPipeError):
        ends.server.send_data(stream_id, b"x", ended=True)
    with pytest.raises(BrokenPipeError):
        ends.server.room(stream_id)


@pytest.mark.parametrize("size", [1, None])
def test_goaway_lets_streams_end(size):
    ends = Ends()
    stream_id = with_stream(ends, ended=True)
    ends.to_server()
    ends.server.go_away(stream_id, h2session.NO_ERROR)
    assert ends.to_client(size) == [GoAway(stream_id, 0)]

    ends.server.send_head(stream_id, RESPONSE, ended=True)
    assert ends.to_client(size) == [Head(stream_id, RESPONSE, ended=True)]


def test_pings_are_answered():
    ends = Ends()

    ends.client.ping()

    assert ends.to_server() == []
    assert ends.to_client() == [Pong()]


def test_the_limit_of_the_peer():
    ends = Ends(server=Http2Options(max_streams=3))

    assert ends.client.peer.max_streams == 3


def test_a_frame_that_is_too_long():
    ends = Ends()
    with_stream(ends)
    frame = ends.client.take_output() + DataFrame(1, b"x" * 16385).serialize()
    events = ends.server.receive(frame)

    assert next(events) == Head(1, REQUEST, ended=False)
    with pytest.raises(SessionError, match="too large frame size"):
        next(events)
    goaway = GoAwayFrame(0, 1, h2session.FRAME_SIZE_ERROR, additional_data=b"too large frame size")
    assert ends.server.take_output() == goaway.serialize()


@pytest.mark.parametrize(
    ("frame", "times", "flood"),
    [
        (PriorityFrame(1, depends_on=3), 300, "inbound_priority_frames_flood"),
        (DataFrame(1), 5, "inbound_empty_frames_flood"),
        (PingFrame(0, b"12345678"), 1001, "outbound_control_flood"),
    ],
)
def test_floods_come_behind_what_was_before(frame, times, flood):
    ends = Ends()
    with_stream(ends)
    events = ends.server.receive(ends.client.take_output() + frame.serialize() * times)

    assert next(events) == Head(1, REQUEST, ended=False)
    with pytest.raises(SessionError) as caught:
        list(events)
    assert caught.value.stat == flood
    assert caught.value.silent is (flood != "outbound_control_flood")  # what was made till then is sent


def test_what_is_wrong_takes_no_head_with_it():
    ends = Ends()
    with_stream(ends, ended=True)
    bad = b"\0\0\1\0\0\0\0\0\0x"  # DATA on stream 0
    events = ends.server.receive(ends.client.take_output() + bad)

    assert next(events) == Head(1, REQUEST, ended=True)
    with pytest.raises(SessionError) as caught:
        next(events)
    assert caught.value.stat == ""


def test_lengths_are_not_the_librarys_business():
    ends = Ends()
    ends.client.send_head(1, [*REQUEST, (b"content-length", b"9")], ended=False)
    ends.client.send_data(1, b"x", ended=True)

    assert ends.to_server()[1] == Data(1, b"x", 1, ended=True)


def test_a_head_over_the_limit_of_the_decoder():
    ends = Ends(server=Http2Options(max_head_bytes=1024))
    ends.client.send_head(1, [*REQUEST, (b"x", b"y" * 9000)], ended=True)

    with pytest.raises(SessionError):
        ends.to_server()


def test_streams_that_are_over_are_reset_by_nobody():
    ends = Ends()
    stream_id = with_stream(ends, ended=True)
    ends.to_server()
    ends.server.send_head(stream_id, RESPONSE, ended=True)
    ends.to_client()

    assert deliver(ends.server, RstStreamFrame(stream_id, error_code=8).serialize()) in ([], [Reset(stream_id, 8)])


def test_ids_run_out():
    client = Session(Http2Options(), client=True)
    client.session._next_id = 2**31 - 1
    assert client.next_stream_id() == 2**31 - 1

    with pytest.raises(SessionError):
        client.next_stream_id()


def test_a_stream_that_has_just_ended_can_be_reset_late():
    ends = Ends()
    stream_id = with_stream(ends, ended=True)
    ends.to_server()
    ends.server.send_head(stream_id, RESPONSE, ended=True)
    ends.to_client()

    assert not ends.client.reset(stream_id, 1)
    assert ends.client.take_output() == b""
    assert ends.client.reset(stream_id, 1, late=True)
    assert ends.client.take_output() == RstStreamFrame(stream_id, error_code=1).serialize()


@pytest.mark.parametrize(
    ("field", "indexed"),
    [
        ((b"authorization", b"Basic xyz"), False),
        ((b"cookie", b"a=b"), False),
        ((b"cookie", b"a=" + b"b" * 30), True),
        ((b"x", b"y"), True),
    ],
)
def test_secrets_are_in_no_table(field, indexed):
    ends = Ends()
    sizes = []
    for _ in range(3):
        stream_id = ends.client.next_stream_id()
        ends.client.send_head(stream_id, [*REQUEST, field], ended=True)
        data = ends.client.take_output()
        sizes.append(len(data))
        assert deliver(ends.server, data) == [Head(stream_id, [*REQUEST, field], ended=True)]
    assert sizes[2] < sizes[0] - 3 if indexed else field[1] and sizes[2] >= 9 + len(field[1]) // 2


@pytest.mark.parametrize("size", [0, 100, 4096, 65536])
def test_the_size_of_our_compression_table_is_agreed(size):
    server, peer = Session(Http2Options(table_size=size), client=False), H2()
    for _ in range(6):
        stream_id = peer.next_stream_id()
        peer.send_head(stream_id, [*REQUEST, (b"x", b"y" * 90)], ended=True)
        assert deliver(server, peer.take_output())[-1] == Head(stream_id, [*REQUEST, (b"x", b"y" * 90)], ended=True)
        peer.receive(server.take_output())

    assert peer.lib.encoder.header_table_size == size
    assert server._decoder.allowed_table_size == size


def test_longer_frames_come_if_we_say_so():
    ends = Ends(server=Http2Options(custom_settings=((5, 20_000),)))
    stream_id = with_stream(ends)
    assert ends.client.peer.frame_bytes == 20_000
    ends.client.send_data(stream_id, b"x" * 30_000, ended=True)

    assert [event.size for event in ends.to_server() if isinstance(event, Data)] == [20_000, 10_000]
