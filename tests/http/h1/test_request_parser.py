"""Heads and bodies of requests: what Envoy 1.40 made of the same bytes."""

import pytest

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1.framing import Chunked, Length
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.request_parser import RequestParser

SIMPLE = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def a_parser(**options):
    return RequestParser(Http1Options(**options), Http1Stats(), b"http")


def parse(data, size=None, **options):
    """All messages with their bodies, and the error after them."""
    parser = a_parser(**options)
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


def one(data, size=None, **options):
    found, error = parse(data, size, **options)
    assert error is None
    assert len(found) == 1
    return found[0]


def refused(data, **options):
    found, error = parse(data, **options)
    assert not found
    assert parse(data, 1, **options)[1].details == error.details
    return error.details, error.status


def with_field(*fields, method=b"GET"):
    return method + b" /x HTTP/1.1\r\nHost: a\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def test_a_plain_request():
    message = one(b"GET /x?y HTTP/1.1\r\nHost: a.b\r\nX-Y: z\r\nx-y: w \r\nAccept:*/*\r\n\r\n")
    request = message

    assert (request.method, request.authority, request.path, request.scheme) == (b"GET", b"a.b", b"/x?y", b"http")
    assert request.headers.items == [(b"x-y", b"z"), (b"x-y", b"w"), (b"accept", b"*/*")]
    assert request.headers.first == {b"x-y": b"z", b"accept": b"*/*"}
    assert request.protocol == b""
    assert message.framing is None
    assert message.keep_alive
    assert not message.http10


def test_bytes_are_counted_as_envoy_counts_them():
    message = one(SIMPLE)
    assert (message.head_bytes, message.header_bytes) == (28, 8)

    message = one(b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\x80b\r\n\r\n")
    assert (message.head_bytes, message.header_bytes) == (36, 15)

    message = one(b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n")
    assert (message.head_bytes, message.header_bytes) == (38, 15)

    assert one(b"GET /x HTTP/1.1\r\n\r\n").header_bytes == 3


@pytest.mark.parametrize("size", [1, 2, 7, None])
@pytest.mark.parametrize(
    ("head", "method", "path", "items"),
    [
        (SIMPLE, b"GET", b"/x", []),
        (b"\r\n\n" + SIMPLE, b"GET", b"/x", []),
        (b"GET /x HTTP/1.1\nHost: a\n\n", b"GET", b"/x", []),
        (b"GET /x HTTP/1.1\r\nHost: a\n\r\n", b"GET", b"/x", []),
        (b"GET  /x\tHTTP/1.1 \r\nHost: a\r\n\r\n", b"GET", b"/x", []),
        (b"MSEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n", b"MSEARCH", b"/x", []),
        (with_field(b"X: a\r\n b"), b"GET", b"/x", [(b"x", b"a b")]),
        (with_field(b"X: a\rb"), b"GET", b"/x", [(b"x", b"ab")]),
        (with_field(b"X:\t a \t"), b"GET", b"/x", [(b"x", b"a")]),
        (
            with_field(b"Keep-Alive: 5", b"Proxy-Connection: x", b"Upgrade: h2c", b"HTTP2-Settings: A"),
            b"GET",
            b"/x",
            [(b"http2-settings", b"A")],  # without `connection: upgrade` it means nothing
        ),
        (with_field(b"Connection: x-a, close", b"X-A: 1", b"X-B: 2"), b"GET", b"/x", [(b"x-b", b"2")]),
        (
            with_field(b"B: 1", b"TE: gzip, trailers", b"C: 2"),
            b"GET",
            b"/x",
            [(b"b", b"1"), (b"te", b"trailers"), (b"c", b"2")],
        ),
        (with_field(b"TE: gzip"), b"GET", b"/x", []),
        (with_field(b"Connection: te", b"TE: trailers"), b"GET", b"/x", [(b"te", b"trailers")]),
    ],
)
def test_heads_that_pass(head, method, path, items, size):
    request = one(head, size)

    assert (request.method, request.path, request.authority, request.headers.items) == (method, path, b"a", items)


@pytest.mark.parametrize(
    ("data", "details"),
    [
        (b"GARBAGE\r\n\r\n", "http1.codec_error"),
        (b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET /x HTTP/1.10\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET /u p HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET /x RTSP/1.0\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b" GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "http1.codec_error"),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "http1.invalid_url"),
        (b"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "http1.invalid_scheme"),
        (b"CONNECT a HTTP/1.1\r\n\r\n", "http1.invalid_url"),
        (b"CONNECT a:80 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", "http1.body_disallowed"),
        (with_field(b"no colon"), "http1.codec_error"),
        (with_field(b"a b: 1"), "http1.codec_error"),
        (with_field(b"X : 1"), "http1.codec_error"),
        (with_field(b": 1"), "http1.codec_error"),
        (with_field(b"X\x80: 1"), "http1.codec_error"),
        (with_field(b"X: \x00"), "http1.invalid_characters"),
        (with_field(b"X: a\x7f"), "http1.invalid_characters"),
        (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "http1.invalid_characters"),
        (b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", "http.invalid_authority"),
        (b"GET /x HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", "http.invalid_authority"),
        (with_field(b"Content-Length: x"), "http1.codec_error"),
        (with_field(b"Content-Length: +3"), "http1.codec_error"),
        (with_field(b"Content-Length: 3", b"Content-Length: 3"), "http1.codec_error"),
        (with_field(b"Content-Length: 3,3"), "http1.codec_error"),
        (with_field(b"Content-Length:"), "http1.codec_error"),
        (with_field(b"Content-Length: " + b"9" * 5000), "http1.codec_error"),
        (
            with_field(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
            "http1.content_length_and_chunked_not_allowed",
        ),
        (with_field(b"Connection: x-forwarded-for"), "http1.connection_header_rejected"),
        (with_field(b"Connection: " + b",".join(b"a%d" % i for i in range(10))), "http1.connection_header_rejected"),
    ],
)
def test_heads_that_are_answered_400(data, details):
    assert refused(data) == (details, 400)


@pytest.mark.parametrize(
    "encoding", [b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"", b"chunked,", b"xchunked"]
)
def test_other_encodings_are_answered_501(encoding):
    details = ("http1.invalid_transfer_encoding", 501)
    assert refused(with_field(b"Transfer-Encoding: " + encoding)) == details


def test_two_encodings_are_answered_501():
    assert refused(with_field(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"))[1] == 501
    assert refused(b"CONNECT a:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")[1] == 501


@pytest.mark.parametrize("version", [b" HTTP/1.0", b" HTTP/1.2", b" HTTP/2.0", b" HTTP/0.9", b""])
def test_other_versions_are_answered_426(version):
    assert refused(b"GET /x" + version + b"\r\nHost: a\r\n\r\n") == ("low_version", 426)


def test_bare_words_that_end_like_a_version_pass_for_one():
    request = one(b"POST /x,HTTP/1.1\r\n")

    assert (request.path, request.authority, request.http10) == (b"/x,HTTP/1.1", b"", False)


def test_head_of_just_the_limit_and_one_byte_more():
    fits = with_field(b"X: " + b"a" * (1024 - len(with_field(b"X: "))))
    assert len(fits) == 1024

    assert one(fits, max_head_bytes=1024)
    assert refused(fits.replace(b"X:", b"XX:"), max_head_bytes=1024) == ("http1.headers_too_large", 431)


def test_a_head_that_never_ends_is_too_large():
    for data in (b"GET /x HTTP/1.1\r\nX: " + b"a" * 1100, b"GET /" + b"a" * 1100, b"G" * 1100):
        assert refused(data, max_head_bytes=1024) == ("http1.headers_too_large", 431)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1x\r\n", ("http1.headers_too_large", 431)),
        (b"\r\nGET / HTTP/1.1x\r\n", ("http1.codec_error", 400)),
        (b"\n\r\nGET x HTTP/1.1\r\n", ("http1.codec_error", 400)),
        (b"\r\nGET / HTTP/1.1\r\n", ("http1.headers_too_large", 431)),
        (b"\r\n\r\n\r\nGET /" + b"x" * 1001 + b" HTTP/1.1x\r\n", ("http1.codec_error", 400)),
        (b"\r\n\r\n\r\nGET /" + b"x" * 1002 + b" HTTP/1.1x\r\n", ("http1.headers_too_large", 431)),
    ],
)
def test_behind_blank_lines_the_first_line_is_seen_before_the_size(data, expected):
    parser = a_parser(max_head_bytes=1024)
    parser.feed(data + b"X: " + b"a" * 1100)

    with pytest.raises(RemoteProtocolError) as caught:
        parser.next()
    assert (caught.value.details, caught.value.status) == expected


def test_blank_lines_of_more_than_a_head_may_have():
    assert one(b"\r\n" * 600 + with_field(), max_head_bytes=1024).path == b"/x"


def test_field_count_of_just_the_limit_and_one_more():
    fields = [b"x%d: 1" % i for i in range(99)]

    assert one(with_field(*fields))
    assert refused(with_field(*fields, b"y: 1")) == ("http1.too_many_headers", 431)
    assert refused(with_field(*[b"x: 1"] * 100)) == ("http1.too_many_headers", 431)


@pytest.mark.parametrize("partial", [b"BAD\r\n", b"FOO / HTTP/1.1\r\nHost", b"\x16\x03\x01\x02", b" "])
def test_garbage_is_answered_before_its_head_ends(partial):
    assert refused(partial)[0] == "http1.codec_error"


@pytest.mark.parametrize(
    "partial", [b"BAD", b"FOO / HT", b"GET / HTTP/1.1\r\nno colon\r\n", b"GET / HTTP/1.1\r\nX: \x01", b"\r\n"]
)
def test_what_may_still_become_a_request_waits(partial):
    assert parse(partial) == ([], None)


def test_a_head_that_breaks_off():
    parser = a_parser()
    parser.feed(SIMPLE + b"GET /y")
    parser.next()
    assert parser.in_head

    with pytest.raises(RemoteProtocolError):
        parser.end_of_stream()

    assert parser.refused_bytes == 6
    assert not parser.in_head


@pytest.mark.parametrize(
    ("data", "header_bytes"),
    [
        (with_field(b"X: \x01"), 0),
        (with_field(b"Connection: :x"), 23),
        (b"GARBAGE\r\n\r\n", 0),
        (b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", 8),
    ],
)
def test_what_was_refused_is_counted(data, header_bytes):
    parser = a_parser()
    parser.feed(SIMPLE)
    parser.feed(data)

    assert (parser.refused_bytes, parser.refused_header_bytes) == (len(data), header_bytes)


@pytest.mark.parametrize(
    ("url", "scheme", "authority", "path"),
    [
        (b"http://b", b"http", b"b", b"/"),
        (b"HTTPS://B:80/x?y", b"https", b"B:80", b"/x?y"),
        (b"http://u@b?x", b"http", b"b", b"?x"),
    ],
)
def test_absolute_form(url, scheme, authority, path):
    request = one(b"GET " + url + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (request.scheme, request.authority, request.path) == (scheme, authority, path)


def test_absolute_form_that_is_not_taken_apart():
    request = one(b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", allow_absolute_url=False)

    assert (request.authority, request.path) == (b"a", b"http://b/x")


def test_options_of_the_server():
    assert one(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path == b"*"


def test_connect():
    message = one(b"CONNECT b:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

    assert (message.authority, message.path) == (b"b:80", b"")
    assert not message.keep_alive


def test_hosts():
    assert one(b"GET /x HTTP/1.1\r\n\r\n").authority == b""
    assert one(b"GET /x HTTP/1.1\r\nHost:\r\n\r\n").authority == b""
    assert one(b"GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: b\r\n\r\n").authority == b"a,b"
    assert one(b"GET /x HTTP/1.1\r\nX: y\r\nHost: b\r\n\r\n").authority == b"b"
    assert one(with_field(b"Connection: host")).authority == b""


@pytest.mark.parametrize(
    ("fields", "protocol"),
    [
        ([b"Connection: Upgrade", b"Upgrade: WebSocket"], b"WebSocket"),
        ([b"Connection: keep-alive, upgrade", b"Upgrade: h2c, websocket"], b"h2c, websocket"),
        ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: A"], b""),
        ([b"Upgrade: websocket"], b""),
        ([b"Connection: upgrade"], b""),
    ],
)
def test_upgrades(fields, protocol):
    request = one(with_field(*fields))

    assert request.protocol == protocol
    assert [name for name, _ in request.headers.items] == ([b"connection", b"upgrade"] if protocol else [])


def test_an_upgrade_to_h2c_with_a_body_is_an_ordinary_request():
    data = with_field(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2", method=b"POST")
    found, error = parse(data + b"hi" + SIMPLE)

    assert error is None
    assert found[0].framing.take() == b"hi"
    assert found[1].path == b"/x"


@pytest.mark.parametrize(
    ("fields", "keep_alive"),
    [
        ([], True),
        ([b"Connection: keep-alive"], True),
        ([b"Connection: Close"], False),
        ([b"Connection: x", b"Connection: close"], False),
        ([b"Connection: closed"], True),
        ([b"Proxy-Connection: close"], False),
    ],
)
def test_keep_alive(fields, keep_alive):
    assert one(with_field(*fields)).keep_alive is keep_alive


def test_nothing_is_read_after_the_last_request():
    parser = a_parser()
    parser.feed(with_field(b"Connection: close") + SIMPLE + b"garbage")

    assert parser.next() is not None
    assert parser.next() is None
    assert parser.surplus


@pytest.mark.parametrize("size", [1, 3, None])
def test_pipelined_requests_with_bodies(size):
    data = (
        SIMPLE
        + with_field(b"Content-Length: 3", method=b"POST")
        + b"abc"
        + with_field(b"Transfer-Encoding: Chunked", method=b"PUT")
        + b"2\r\nde\r\n0\r\n\r\n"
        + b"\r\n"
        + SIMPLE
    )
    found, error = parse(data, size)

    assert error is None
    assert [message.method for message in found] == [b"GET", b"POST", b"PUT", b"GET"]
    assert [message.framing.take() if message.framing else None for message in found] == [None, b"abc", b"de", None]
    assert type(found[1].framing) is Length
    assert type(found[2].framing) is Chunked
    assert len({id(message.headers) for message in found}) == 4


def test_good_requests_come_before_the_error():
    found, error = parse(SIMPLE + SIMPLE + b"BAD\r\n\r\n" + SIMPLE)

    assert len(found) == 2
    assert error.details == "http1.codec_error"


def test_a_broken_body_is_an_error_of_the_body():
    parser = a_parser()
    parser.feed(with_field(b"Transfer-Encoding: chunked") + b"2\r\nab\r\nzz\r\n" + SIMPLE)

    message = parser.next()
    assert message.framing.take() is None  # of the bytes that came with the fault nothing goes on
    assert parser.body_error.details == "http1.codec_error"
    assert parser.next() is None


def test_a_length_of_zero_is_no_body():
    message = one(with_field(b"Content-Length: 0", method=b"POST"))

    assert message.framing is None
    assert message.headers.items == [(b"content-length", b"0")]


def test_chunked_length_may_be_allowed():
    data = with_field(b"Content-Length: 9", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n"
    message = one(data, allow_chunked_length=True)

    assert message.headers.items == []
    assert message.framing.take() == b"a"


def test_http_10_where_it_is_taken():
    options = {"accept_http_10": True, "default_host": b"d"}

    message = one(b"GET /x HTTP/1.0\r\n\r\n", **options)
    assert message.http10
    assert not message.keep_alive
    assert message.authority == b"d"

    message = one(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", **options)
    assert message.keep_alive
    assert message.authority == b"a"
    assert message.headers.items == []

    assert one(b"GET /x\r\nHost: a\r\ngarbage\r\n\r\n", **options).authority == b"d"
    assert len(parse(b"GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n" * 2, **options)[0]) == 2
    assert len(parse(b"GET /x HTTP/1.0\r\n\r\n" * 2, **options)[0]) == 1


def test_custom_methods():
    for method in (b"FOO", b"get", b"F!O", b"M-SEARCH"):
        assert one(method + b" /x HTTP/1.1\r\nHost: a\r\n\r\n", custom_methods=True).method == method
    assert refused(b"F(O /x HTTP/1.1\r\nHost: a\r\n\r\n", custom_methods=True)[0] == "http1.codec_error"


def test_underscores_dropped():
    parser = a_parser(underscores=HeadersWithUnderscoresAction.DROP_HEADER)
    parser.feed(with_field(b"a_b: 1", b"c: 2", b"D_E: 3"))

    assert parser.next().headers.items == [(b"c", b"2")]
    assert parser._stats.dropped_headers_with_underscores == 2


def test_an_underscore_behind_a_name_that_is_no_name_is_not_seen():
    options = {"underscores": HeadersWithUnderscoresAction.REJECT_REQUEST}
    data = b"GET /x HTTP/1.1\r\nx\xffy: 1\r\na_b: 1\r\nHost: a\r\n\r\n"

    assert refused(data, **options) == ("http1.codec_error", 400)


def test_underscores_rejected():
    options = {"underscores": HeadersWithUnderscoresAction.REJECT_REQUEST}
    parser = a_parser(**options)
    parser.feed(with_field(b"a_b: 1"))

    with pytest.raises(RemoteProtocolError, match=r"http1\.unexpected_underscore"):
        parser.next()
    assert parser._stats.requests_rejected_with_underscores_in_headers == 1
    assert one(with_field(b"ab: 1"), **options)
