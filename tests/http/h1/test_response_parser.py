"""Heads and bodies of responses: what Envoy 1.40 made of the same bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1 import response_parser
from trio_envoy.http.h1.framing import Chunked, Length, UntilClose
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.response_parser import ResponseParser
from trio_envoy.http.h1.writer import response_head
from trio_envoy.http.headers import Headers

OK = b"HTTP/1.1 200 OK\r\n"


def a_parser(**options):
    return ResponseParser(
        Http1Options.of_upstream(None, None) if not options else Http1Options(**options), Http1Stats()
    )


def parse(data, size=None, method=b"GET", **options):
    """(parser, heads) after these bytes."""
    parser = a_parser(**options)
    parser.expect(method)
    found = []
    size = size or len(data) or 1
    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])
        while (message := parser.next()) is not None:
            found.append(message)
    return parser, found


def one(data, size=None, method=b"GET", **options):
    parser, found = parse(data, size, method, **options)
    assert len(found) == 1
    return parser, found[0]


def refused(data, **options):
    for size in (1, None):
        with pytest.raises(RemoteProtocolError):
            parse(data, size, **options)


@pytest.mark.parametrize("size", [1, 5, None])
def test_a_plain_response(size):
    parser, message = one(OK + b"Content-Length: 3\r\nX: y \r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nabc", size)

    assert message.status == 200
    assert message.headers.items == [
        (b"content-length", b"3"),
        (b"x", b"y"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]
    assert message.headers.get(b"set-cookie") == b"a"
    assert message.keep_alive
    assert type(message.framing) is Length
    assert message.framing.take() == b"abc"
    assert message.framing.ended
    assert not parser.surplus
    parser.end_of_stream()


def test_header_bytes_as_envoy_counts_them():
    assert one(OK + b"content-length: 2\r\n\r\nok")[1].header_bytes == 18
    assert one(OK + b"\r\n")[1].header_bytes == 3
    assert one(OK + b"X: a\r\n b\r\ncontent-length: 0\r\n\r\n")[1].header_bytes == 25


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200", 200),
        (b"HTTP/1.1 200 ", 200),
        (b"HTTP/1.1 404 Foo Bar", 404),
        (b"HTTP/1.1 200 O\x80", 200),
        (b"HTTP/1.1  200 OK", 200),
        (b"HTTP/1.2 200 OK", 200),
        (b"HTTP/1.0 200 OK", 200),
        (b"HTTP/1.1 999 OK", 999),
    ],
)
def test_status_lines_that_pass(line, status, size):
    assert one(line + b"\r\ncontent-length: 0\r\n\r\n", size)[1].status == status


def test_bare_line_feeds_and_folded_lines_pass():
    message = one(b"HTTP/1.1 200 OK\nX: a\n  b\ncontent-length: 2\n\nab")[1]

    assert message.headers.items == [(b"x", b"a  b"), (b"content-length", b"2")]
    assert message.framing.take() == b"ab"


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"garbage",
        b"\r\n" + OK + b"\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 99 OK\r\n\r\n",
        b"HTTP/1.1 1000 OK\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"X : a\r\n\r\n",
        OK + b": a\r\n\r\n",
        OK + b"X\x80: a\r\n\r\n",
        OK + b"X: \x01\r\n\r\n",
        OK + b"content-length: x\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nab",
        OK + b"content-length: 2, 2\r\n\r\nab",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"".join(b"x%d: 1\r\n" % i for i in range(101)) + b"\r\n",
        OK + b"x: " + b"a" * 81920,
        OK + b"x: " + b"a" * 81920 + b"\r\n\r\n",
    ],
)
def test_what_breaks_the_protocol(data):
    refused(data[:90000])


def test_head_of_just_the_limit():
    frame = OK + b"content-length: 0\r\nx: \r\n\r\n"

    assert one(frame.replace(b"x: ", b"x: " + b"a" * (81920 - len(frame))))[1].status == 200


@pytest.mark.parametrize(
    ("line", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\nconnection: foo, Keep-Alive\r\n", True),
        (b"HTTP/1.2 200 OK\r\n", False),
    ],
)
def test_keep_alive(line, keep_alive):
    assert one(line + b"content-length: 0\r\n\r\n")[1].keep_alive is keep_alive


def test_fields_of_the_connection_go_but_not_what_they_name():
    fields = (
        b"connection: x-a\r\nx-a: 1\r\nkeep-alive: 5\r\nproxy-connection: a\r\nupgrade: h2\r\nte: a\r\ntrailer: b\r\n"
    )
    message = one(OK + fields + b"content-length: 0\r\n\r\n")[1]

    assert message.headers.items == [(b"x-a", b"1"), (b"te", b"a"), (b"trailer", b"b"), (b"content-length", b"0")]


@pytest.mark.parametrize("size", [1, None])
def test_chunks(size):
    parser, message = one(OK + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", size)

    assert type(message.framing) is Chunked
    assert message.framing.take() == b"abc"
    assert message.keep_alive
    parser.end_of_stream()


def test_a_body_without_a_length_ends_with_the_connection():
    parser, message = one(OK + b"\r\nhello")

    assert type(message.framing) is UntilClose
    assert not message.keep_alive
    parser.end_of_stream()
    assert message.framing.take() == b"hello"
    assert message.framing.take() == b""


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", OK + b"content-length: 5\r\n\r\n"),
        (b"HEAD", OK + b"transfer-encoding: chunked\r\n\r\n"),
        (b"HEAD", OK + b"\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"),
        (b"GET", OK + b"content-length: 0\r\n\r\n"),
    ],
)
def test_responses_without_a_body(method, head):
    parser, message = one(head, method=method)
    assert message.framing is None
    assert message.keep_alive
    assert not parser.surplus

    parser.expect(b"GET")  # and the next one is read as if nothing had been
    parser.feed(OK + b"content-length: 2\r\n\r\nab")
    assert parser.next().framing.take() == b"ab"


@pytest.mark.parametrize("size", [1, None])
def test_informational_responses_come_first(size):
    data = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK + b"content-length: 0\r\n\r\n"
    )
    _, found = parse(data, size)

    assert [message.status for message in found] == [100, 103, 200]
    assert found[1].headers.items == [(b"link", b"a")]


def test_switching_protocols_is_final():
    _, message = one(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n")

    assert message.status == 101
    assert message.framing is None
    assert not message.keep_alive


@pytest.mark.parametrize("surplus", [b"x", OK + b"content-length: 0\r\n\r\n"])
def test_what_nobody_asked_for_is_surplus(surplus):
    parser, _ = one(OK + b"content-length: 2\r\n\r\nab" + surplus)
    assert parser.surplus

    parser, _ = one(OK + b"content-length: 5\r\n\r\n" + surplus, method=b"HEAD")
    assert parser.surplus

    parser = a_parser()
    parser.feed(surplus)
    assert parser.surplus


def test_one_exchange_after_the_other():
    parser = a_parser()
    for status in (200, 404, 500):
        parser.expect(b"GET")
        parser.feed(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nab" % status)
        message = parser.next()
        assert (message.status, message.framing.take()) == (status, b"ab")


def test_the_connection_breaks_off():
    parser, _ = parse(b"HTTP/1.1 200")
    with pytest.raises(RemoteProtocolError):
        parser.end_of_stream()

    parser, _ = one(OK + b"content-length: 5\r\n\r\nabc")
    with pytest.raises(RemoteProtocolError):
        parser.end_of_stream()

    parse(b"")[0].end_of_stream()  # that is the client's to judge


def test_a_broken_body_is_an_error_of_the_body():
    parser, message = one(OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n")

    assert message.framing.take() is None  # of the bytes that came with the fault nothing goes on
    assert parser.body_error.details == "http1.codec_error"
    assert parser.next() is None


token = st.from_regex(rb"[a-z][a-z0-9\-]{0,8}", fullmatch=True).filter(
    lambda name: name not in {b"connection", b"upgrade", b"content-length"}
)
value = st.from_regex(rb"([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?", fullmatch=True)


@given(st.integers(200, 599), st.lists(st.tuples(token, value), max_size=6), st.integers(1, 100))
def test_what_the_writer_writes_is_read_back(status, items, size):
    head, _ = response_head(status, Headers(items), has_body=False)
    message = one(head, size)[1]

    assert message.status == status
    assert [item for item in message.headers.items if item[0] != b"content-length"] == items
    assert message.framing is None or status == 304


@given(st.binary(max_size=100), st.integers(1, 30))
def test_no_bytes_break_the_parser(data, size):
    outcomes = []
    for step in (size, len(data) or 1):
        parser = a_parser()
        parser.expect(b"GET")
        outcome = []
        try:
            for start in range(0, len(data), step):
                parser.feed(b"HTTP/1.1 2" * (not start) + data[start : start + step])
                while (message := parser.next()) is not None:
                    outcome.append(message.status)
        except RemoteProtocolError:
            pass
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]


def test_first_lines_are_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr(response_parser, "_STATUSES", {})
    long = b"HTTP/1.1 298 " + b"x" * response_parser._MAX_LINE
    _, message = one(long + b"\r\ncontent-length: 0\r\n\r\n")
    assert message.status == 298
    assert not response_parser._STATUSES

    for count in range(400):
        _, message = one(b"HTTP/1.1 299 Reason %d\r\ncontent-length: 0\r\n\r\n" % count)
        assert message.status == 299
    assert len(response_parser._STATUSES) == response_parser._MAX_STATUSES
