"""Heads as Envoy 1.40 writes them."""

import pytest

from trio_envoy.http.body import BytesBody
from trio_envoy.http.h1 import writer
from trio_envoy.http.h1.writer import CHUNKED, NONE, PLAIN
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request

BODY = True
LENGTH = (b"content-length", b"2")


@pytest.mark.parametrize(
    ("status", "fields", "has_body", "options", "head", "encoding"),
    [
        (200, [LENGTH, (b"x", b"y")], BODY, {}, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\n", PLAIN),
        (200, [(b"x", b"y")], BODY, {}, b"HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n", CHUNKED),
        (200, [], not BODY, {}, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", NONE),
        (
            404,
            [(b"connection", b"close")],
            not BODY,
            {},
            b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            NONE,
        ),
        (200, [], BODY, {"http10": True}, b"HTTP/1.0 200 OK\r\n\r\n", PLAIN),
        (200, [], not BODY, {"http10": True}, b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", NONE),
        (200, [LENGTH], BODY, {"head": True}, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", NONE),
        (200, [], not BODY, {"head": True}, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", NONE),
        (200, [], not BODY, {"head": True, "http10": True}, b"HTTP/1.0 200 OK\r\n\r\n", NONE),
        (204, [], not BODY, {}, b"HTTP/1.1 204 No Content\r\n\r\n", NONE),
        (
            204,
            [(b"content-length", b"0"), (b"x", b"y")],
            not BODY,
            {},
            b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
            NONE,
        ),
        (204, [LENGTH], BODY, {"proper": True}, b"HTTP/1.1 204 No Content\r\n\r\n", NONE),
        (204, [], not BODY, {"head": True}, b"HTTP/1.1 204 No Content\r\n\r\n", NONE),
        (304, [], not BODY, {}, b"HTTP/1.1 304 Not Modified\r\n\r\n", NONE),
        (304, [LENGTH], BODY, {}, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", NONE),
        (304, [], not BODY, {"head": True}, b"HTTP/1.1 304 Not Modified\r\n\r\n", NONE),
        (304, [], BODY, {}, b"HTTP/1.1 304 Not Modified\r\n\r\n", NONE),
        (103, [(b"link", b"a")], not BODY, {}, b"HTTP/1.1 103 Unknown\r\nlink: a\r\n\r\n", NONE),
        (100, [], not BODY, {}, writer.CONTINUE, NONE),
        (600, [LENGTH], BODY, {}, b"HTTP/1.1 600 Unknown\r\ncontent-length: 2\r\n\r\n", PLAIN),
        (
            200,
            [(b"x-1a", b"b"), (b"x_ab", b"c"), (b"foo$b#$are", b"d"), (b"x1y", b"e")],
            BODY,
            {"proper": True},
            b"HTTP/1.1 200 OK\r\nX-1a: b\r\nX_Ab: c\r\nFoo$B#$Are: d\r\nX1y: e\r\nTransfer-Encoding: chunked\r\n\r\n",
            CHUNKED,
        ),
        (200, [], not BODY, {"proper": True}, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NONE),
    ],
)
def test_responses(status, fields, has_body, options, head, encoding):
    assert writer.response_head(status, Headers(fields), has_body, **options) == (head, encoding)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, b"Found"),
        (306, b"Unknown"),
        (413, b"Payload Too Large"),
        (418, b"Unknown"),
        (422, b"Unprocessable Entity"),
        (425, b"Too Early"),
        (431, b"Request Header Fields Too Large"),
        (451, b"Unknown"),
        (599, b"Last Unassigned Server Error Code"),
    ],
)
def test_reasons_are_envoys(status, reason):
    assert writer.status_line(status) == b"HTTP/1.1 %d %b\r\n" % (status, reason)


def a_request(method=b"GET", path=b"/x", fields=(), body=None):
    return Request(method, b"a", path, b"http", Headers(fields), body)


@pytest.mark.parametrize(
    ("request_", "head", "encoding"),
    [
        (a_request(fields=[(b"x", b"y")]), b"GET /x HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n", NONE),
        (a_request(b"POST"), b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", NONE),
        (a_request(b"OPTIONS"), b"OPTIONS /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", NONE),
        (
            a_request(b"PUT", fields=[LENGTH], body=BytesBody(b"ab")),
            b"PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n",
            PLAIN,
        ),
        (
            a_request(b"PUT", body=BytesBody(b"ab")),
            b"PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            CHUNKED,
        ),
        (a_request(b"CONNECT", b""), b"CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n", NONE),
    ],
)
def test_requests(request_, head, encoding):
    assert writer.request_encoding(request_) is encoding
    assert writer.request_head(request_, encoding) == head


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"TRACE"])
def test_these_methods_say_no_length(method):
    assert b"content-length" not in writer.request_head(a_request(method), NONE)


def test_full_url_and_proper_case():
    head = writer.request_head(a_request(b"POST", fields=[(b"x-y", b"z")]), NONE, full_url=True, proper=True)

    assert head == b"POST http://a/x HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nContent-Length: 0\r\n\r\n"
    assert b"\r\nTransfer-Encoding: chunked\r\n" in writer.request_head(a_request(), CHUNKED, proper=True)


def test_chunks():
    assert writer.chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
    assert writer.last_chunk(None) == b"0\r\n\r\n"
    assert writer.last_chunk(Headers()) == b"0\r\n\r\n"
    assert writer.last_chunk(Headers([(b"x", b"1"), (b"y", b"2")])) == b"0\r\nx: 1\r\ny: 2\r\n\r\n"
