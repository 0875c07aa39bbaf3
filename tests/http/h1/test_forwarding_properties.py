"""What goes on is written anew: whatever came in, a strict reader takes it as the one message that it is."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.wire import request_head as read_request
from tests.fuzz.wire import response_head as read_response
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.request_parser import RequestParser
from trio_envoy.http.h1.response_parser import ResponseParser
from trio_envoy.http.h1.writer import NONE, request_encoding, request_head, response_head

PERMISSIVE = Http1Options(accept_http_10=True, allow_chunked_length=True, trailers=True, custom_methods=True)
WORDS = [
    b"GET ",
    b"POST ",
    b"FOO ",
    b"/x ",
    b"* ",
    b"http://h/p ",
    b"/a\tb ",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n ",
    b"Host: a",
    b"host: b c",
    b"X: y",
    b"X : y",
    b"X\r: y",
    b": y",
    b" ",
    b"\t",
    b":",
    b"\x00",
    b"\x0b",
    b"\x80",
    b"Content-Length: 3",
    b"content-length: 4",
    b"Content-Length: +1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding:\r\n chunked",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"abc",
    b"Connection: close",
    b"Connection: content-length",
    b"Connection: host, x",
    b"Connection: transfer-encoding",
    b"Upgrade: h2c",
    b"TE: trailers",
    b"TE: x",
    b"Expect: 100-continue",
]
soup = st.lists(st.sampled_from(WORDS), max_size=24).map(b"".join)


def messages(parser, data, size):
    """All messages of the bytes, fed in pieces of a size; only RemoteProtocolError may come out."""
    found = []
    try:
        for start in range(0, len(data), size):
            parser.feed(data[start : start + size])
            while (message := parser.next()) is not None:
                found.append(message)
    except RemoteProtocolError:
        pass
    return found


@given(soup, st.integers(1, 60), st.booleans())
def test_requests_that_go_on_are_strict(data, size, permissive):
    parser = RequestParser(PERMISSIVE if permissive else Http1Options(), Http1Stats(), b"http")
    for message in messages(parser, b"GET /x HTTP/1.1\r\nHost: a\r\n" + data, size):
        if message.host_missing or message.protocol or message.method == b"CONNECT" or message.path[:1] != b"/":
            continue  # these do not go on, or not as HTTP
        if message.framing is not None:
            message.body = BytesBody(b"abc")
        encoding = request_encoding(message)
        head = request_head(message, encoding)

        assert head.endswith(b"\r\n\r\n")
        read = read_request(head[:-4])
        assert read.line == message.method + b" " + message.path + b" HTTP/1.1"
        assert read.values(b"host") == [message.authority]
        assert read.length != 0 or message.framing is None or encoding is NONE
        assert not read.values(b"connection")


@given(soup, st.integers(1, 60), st.sampled_from([b"GET", b"HEAD", b"POST"]))
def test_responses_that_go_on_are_strict(data, size, method):
    parser = ResponseParser(PERMISSIVE, Http1Stats())
    parser.expect(method)
    for message in messages(parser, b"HTTP/1.1 200 OK\r\n" + data, size):
        body = message.framing is not None
        head, _ = response_head(message.status, message.headers, body, method == b"HEAD")

        assert head.endswith(b"\r\n\r\n")
        read = read_response(head[:-4], bodiless=method == b"HEAD")
        assert int(read.line[9:12]) == message.status
        assert len(read.values(b"content-length") + read.values(b"transfer-encoding")) <= 1
