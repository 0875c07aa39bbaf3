import httptools
import pytest

from trio_envoy.http.h1.head import HeadReader, HttpParserError


def test_fields_in_order_with_lower_case_names():
    reader = HeadReader(httptools.HttpRequestParser)

    fields = reader.read(b"GET /x HTTP/1.1\r\nB: 1 \r\nA:\t2\r\n\r\n")

    assert list(fields.items()) == [(b"b", b"1"), (b"a", b"2")]
    assert reader.urls == [b"/x"]
    assert reader.llhttp.get_method() == b"GET"


def test_it_reads_one_head_after_the_other():
    reader = HeadReader(httptools.HttpRequestParser)
    reader.read(b"GET /x HTTP/1.1\r\nA: 1\r\n\r\n")
    assert reader.urls.pop() == b"/x"

    assert reader.read(b"PUT /y HTTP/1.1\r\nB: 2\r\n\r\n") == {b"b": b"2"}
    assert reader.urls.pop() == b"/y"


def test_a_name_that_comes_twice_is_not_lost():
    reader = HeadReader(httptools.HttpResponseParser)
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX: y\r\nset-cookie: b\r\nSet-Cookie: c \r\n\r\n"

    assert reader.read(head) is None
    assert reader.collect(head) == [
        (b"set-cookie", b"a"),
        (b"x", b"y"),
        (b"set-cookie", b"b"),
        (b"set-cookie", b"c"),
    ]
    assert reader.llhttp.get_status_code() == 200


def test_what_httptools_refuses_leaves_a_fresh_reader():
    reader = HeadReader(httptools.HttpRequestParser)
    with pytest.raises(HttpParserError):
        reader.read(b"GET /x HTTP/1.1\r\nno colon\r\n\r\n")

    assert reader.read(b"GET /x HTTP/1.1\r\nA: 1\r\n\r\n") == {b"a": b"1"}


@pytest.mark.parametrize("twice", [b"", b"X: 1\r\nX: 2\r\n"])
def test_upgrades_are_read_like_the_rest(twice):
    reader = HeadReader(httptools.HttpRequestParser)

    head = b"GET /x HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + twice + b"\r\n"
    assert (reader.read(head) is None) is (twice != b"")
    assert reader.collect(head)[:2] == [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]

    reader.restart()
    assert reader.read(b"CONNECT a:80 HTTP/1.1\r\nA: 1\r\n\r\n") == {b"a": b"1"}
