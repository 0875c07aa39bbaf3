"""Whatever comes, in whatever pieces: properties of the request parser."""

from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.request_parser import RequestParser
from trio_envoy.http.h1.writer import NONE, request_head
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request


def parse(data, size=None):
    """All messages, and the error after them."""
    parser = RequestParser(Http1Options(), Http1Stats(), b"http")
    found, error = [], None
    size = size or len(data) or 1
    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])
        try:
            while (message := parser.next()) is not None:
                found.append(message)
        except RemoteProtocolError as caught:
            error = caught
    return found, error or parser.body_error


token = st.from_regex(rb"[a-z][a-z0-9\-]{0,8}", fullmatch=True).filter(
    lambda name: name not in {b"host", b"connection", b"te", b"upgrade", b"content-length"}
)
value = st.from_regex(rb"([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?", fullmatch=True)
messages = st.builds(
    Request,
    st.sampled_from([b"GET", b"HEAD", b"DELETE"]),
    st.from_regex(rb"[a-z]{1,9}(:[0-9]{1,4})?", fullmatch=True),
    st.from_regex(rb"/[!-\"$-~]*", fullmatch=True),
    st.just(b"http"),
    st.builds(Headers, st.lists(st.tuples(token, value), max_size=6)),
)


@given(st.lists(messages, min_size=1, max_size=4), st.integers(1, 200))
def test_what_the_writer_writes_is_read_back(requests, size):
    found, error = parse(b"".join(request_head(request, NONE) for request in requests), size)

    assert error is None
    assert [(m.method, m.authority, m.path) for m in found] == [(r.method, r.authority, r.path) for r in requests]
    assert [m.headers.items for m in found] == [r.headers.items for r in requests]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_break_the_parser(data, size):
    whole, error = parse(data)
    pieces, piecewise = parse(data, size)

    assert [m.path for m in pieces] == [m.path for m in whole]
    assert (error is None) == (piecewise is None)


alphabet = st.lists(
    st.sampled_from(
        [
            b"GET ",
            b"/x ",
            b"HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r",
            b"Host: a",
            b"X: y",
            b" ",
            b"\t",
            b":",
            b"Content-Length: 1",
            b"Transfer-Encoding: chunked",
            b"1\r\na\r\n",
            b"0\r\n\r\n",
            b"\x00",
            b"a",
            b"Connection: close",
        ]
    ),
    max_size=24,
)


@given(alphabet, st.integers(1, 30))
def test_pieces_never_change_what_is_read(parts, size):
    data = b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"".join(parts)
    whole, error = parse(data)
    pieces, piecewise = parse(data, size)

    assert [(m.method, m.path, m.headers.items) for m in pieces] == [(m.method, m.path, m.headers.items) for m in whole]
    assert [m.framing.take() if m.framing else None for m in pieces] == [
        m.framing.take() if m.framing else None for m in whole
    ]
    # Of a head that is wrong in two ways the first line may be noticed before the rest is here.
    assert (error is None) == (piecewise is None)
