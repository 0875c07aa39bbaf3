"""What of the library we go without."""

import h2.config
import h2.events
import h2.exceptions
import pytest

from trio_envoy.http.h2.library import Connection, StreamClosed

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]


def introduced():
    ends = [Connection(h2.config.H2Configuration(client_side=client, header_encoding=None)) for client in (True, False)]
    for end in ends:
        end.initiate_connection()
    return ends


@pytest.mark.parametrize("length", [b"x", b"", b"9" * 5000, b"7"])
def test_nobody_looks_at_content_length(length):
    client, server = introduced()
    client.send_headers(1, [*REQUEST, (b"content-length", length)])
    client.send_data(1, b"abc", end_stream=True)

    server.receive_data(client.data_to_send())

    assert any(getattr(event, "data", b"") == b"abc" for event in server.events)


def test_nobody_counts_streams():
    client, server = introduced()
    server.local_settings.max_concurrent_streams = 1
    client.receive_data(server.data_to_send())
    for stream_id in (1, 3, 5):
        client.send_headers(stream_id, REQUEST)
    server.receive_data(client.data_to_send())

    assert client.open_outbound_streams == server.open_inbound_streams == 0
    assert list(server.streams) == [1, 3, 5]


def test_streams_are_forgotten_once_both_sides_are_done():
    client, server = introduced()
    client.send_headers(1, REQUEST, end_stream=True)
    server.receive_data(client.data_to_send())

    assert not server.forget_closed(1)
    server.send_headers(1, [(b":status", b"200")], end_stream=True)
    assert server.forget_closed(1)
    assert not server.forget_closed(1)
    assert server.streams == {}
    assert server._stream_is_closed_by_end(1)


def test_events_before_an_error_are_kept():
    client, server = introduced()
    client.send_headers(1, REQUEST)
    with pytest.raises(h2.exceptions.ProtocolError):
        server.receive_data(client.data_to_send() + b"\0\0\0\x09\4\0\0\0\1")

    assert any(isinstance(event, h2.events.RequestReceived) for event in server.events)


def test_the_end_of_a_stream_is_an_event():
    client, server = introduced()
    client.send_headers(1, REQUEST)
    client.reset_stream(1)
    server.receive_data(client.data_to_send())

    assert isinstance(server.events[-1], StreamClosed)
    assert server.streams == {}
