"""Heads whose spelling is remembered; parity requests/preserve_case* has the transcripts."""

import pytest

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1 import writer
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.spelled import SpelledHeaders, SpelledRequestParser, SpelledResponseParser, names_of, reason_of
from trio_envoy.http.headers import Headers


class Spelled:
    """Names that came as they came, others in capitals."""

    def __init__(self, names, reason):
        self.names, self.reason = names, reason

    def __call__(self, name):
        return self.names.get(name, name.upper())


OPTIONS = Http1Options(remember=Spelled, trailers=True)


def a_request(data):
    parser = SpelledRequestParser(OPTIONS, Http1Stats(), b"http")
    for piece in data if isinstance(data, list) else [data]:
        parser.feed(piece)
    return parser.next()


def a_response(data, method=b"GET"):
    parser = SpelledResponseParser(OPTIONS, Http1Stats())
    parser.expect(method)
    parser.feed(data)
    return parser.next()


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"GET / HTTP/1.1\r\nHOst: a:1\r\nX-A:\r\n\r\n", {b"host": b"HOst", b"x-a": b"X-A"}),
        (b"GET / HTTP/1.1\nX-UP: a\nx-uP: b\n\n", {b"x-up": b"X-UP"}),
        (b"GET / HTTP/1.1\r\nX-A: a\r\n\tB: c\r\n D: e\r\n\r\n", {b"x-a": b"X-A"}),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", {}),
        (b"GET /\r\n", {}),
    ],
)
def test_names_of_a_head(head, names):
    assert names_of(head) == names


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"OK"),
        (b"HTTP/1.1 200   Two\twords \r\n", b"Two\twords"),
        (b"HTTP/1.1\t200\tX  Y\n", b"X  Y"),
        (b"HTTP/1.1 200 \r\n", b""),
        (b"HTTP/1.1 200\r\n", b""),
    ],
)
def test_the_reason_of_a_head(line, reason):
    assert reason_of(line + b"A: b c\r\n\r\n") == reason


@pytest.mark.parametrize(
    "data",
    [
        b"POST /x HTTP/1.1\r\nhoST: a\r\nX-B: 1\r\n\r\n",
        [b"POST /x HTTP/1.1\r\nho", b"ST: a\r\nX-B: 1\r\n\r\n"],
        b"POST /x HTTP/1.1\nhoST: a\nX-B: 1\n\n",
    ],
)
def test_a_request_goes_on_as_it_came(data):
    request = a_request(data)
    request.headers.set(b"x-new", b"2")
    head = writer.request_head(request, writer.request_encoding(request), proper=True)

    assert head == b"POST /x HTTP/1.1\r\nhoST: a\r\nX-B: 1\r\nX-NEW: 2\r\nCONTENT-LENGTH: 0\r\n\r\n"
    assert request.headers.get(b"x-b") == b"1"


def test_each_message_of_a_pipeline_has_its_own_spelling():
    parser = SpelledRequestParser(OPTIONS, Http1Stats(), b"http")
    parser.feed(b"GET / HTTP/1.1\r\nhOst: a\r\n\r\nGET / HTTP/1.1\r\nHOST: a\r\n\r\n")

    assert [parser.next().headers.spelling(b"host") for _ in range(2)] == [b"hOst", b"HOST"]


def test_what_is_refused_is_refused():
    with pytest.raises(RemoteProtocolError):
        a_request(b"GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n")


def test_a_name_that_comes_twice_has_the_first_spelling():
    request = a_request(b"GET / HTTP/1.1\r\nHost: a\r\nX-DUP: 1\r\nx-Dup: 2\r\n\r\n")

    assert writer.request_head(request, writer.NONE) == b"GET / HTTP/1.1\r\nHost: a\r\nX-DUP: 1\r\nX-DUP: 2\r\n\r\n"


@pytest.mark.parametrize(("http10", "version"), [(False, b"1.1"), (True, b"1.0")])
def test_a_response_goes_on_as_it_came(http10, version):
    response = a_response(b"HTTP/1.1 200 Fine\r\nX-lOng: 1\r\nContent-LENGTH: 0\r\n\r\n")
    head, _ = writer.response_head(200, response.headers, has_body=False, http10=http10)

    assert head == b"HTTP/%b 200 Fine\r\nX-lOng: 1\r\nContent-LENGTH: 0\r\n\r\n" % version


def test_what_is_added_for_the_framing_is_spelled_as_it_came():
    response = a_response(b"HTTP/1.1 200 \r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n")
    head, _ = writer.response_head(200, response.headers, has_body=True)

    assert head == b"HTTP/1.1 200 OK\r\ntransfer-ENCODING: chunked\r\n\r\n"


def test_a_content_length_of_nothing_is_dropped_however_it_is_spelled():
    response = a_response(b"HTTP/1.1 204 None\r\nX-A: 1\r\n\r\n")
    response.headers.set(b"content-length", b"0")

    assert writer.response_head(204, response.headers, has_body=False)[0] == b"HTTP/1.1 204 None\r\nX-A: 1\r\n\r\n"


def test_the_answer_to_an_upgrade():
    headers = SpelledHeaders(Headers([(b"upgrade", b"x")]), Spelled({b"upgrade": b"upGrade"}, b"Yes"))

    assert writer.tunnel_head(101, headers, http10=False, proper=False) == b"HTTP/1.1 101 Yes\r\nupGrade: x\r\n\r\n"


def test_a_copy_remembers_too():
    headers = SpelledHeaders(Headers([(b"a", b"1"), (b"a", b"2")]), Spelled({b"a": b"A"}, b""))
    copy = headers.copy()
    copy.remove(b"a")

    assert copy.spelling is headers.spelling
    assert headers.get_all(b"a") == [b"1", b"2"]
