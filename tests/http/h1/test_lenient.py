import pytest

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1 import lenient


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", b"HTTP/1.1")),
        (b"GET  /\t HTTP/1.0  ", (b"GET", b"/", b"HTTP/1.0")),
        (b"GET /\r HTTP/1.1\r", (b"GET", b"/", b"HTTP/1.1")),
        (b"GET\x12/\x00HTTP/1.1\r", (b"GET", b"/", b"HTTP/1.1")),
        (b"CONNECT a.b:80 HTTP/1.1", (b"CONNECT", b"a.b:80", b"HTTP/1.1")),
        (b"GET /", (b"GET", b"/", b"")),
        (b"MSEARCH * HTTP/9.9", (b"MSEARCH", b"*", b"HTTP/9.9")),
    ],
)
def test_request_lines(line, words):
    assert lenient.request_line(lenient.words_of(line), custom_methods=False) == words


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET http HTTP/1.1",
        b"GET http:/x HTTP/1.1",
        b"GET a.b:80 HTTP/1.1",
        b"GET /\x80 HTTP/1.1",
        b"GET / x HTTP/1.1",
        b"get / HTTP/1.1",
        b"M-SEARCH / HTTP/1.1",
        b"GET / HTTP/1.",
        b"GET / HTTP/1.10",
        b"GET / http/1.1",
        b"GET / RTSP/1.0",
        b"GET / HTTP/a.b",
    ],
)
def test_what_is_no_request_line(line):
    with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
        lenient.request_line(lenient.words_of(line), custom_methods=False)


def test_custom_methods_are_tokens():
    assert lenient.request_line([b"get!", b"/", b"HTTP/1.1"], custom_methods=True)[0] == b"get!"
    with pytest.raises(RemoteProtocolError):
        lenient.request_line([b"g(t", b"/", b"HTTP/1.1"], custom_methods=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"HTTP/1.1 200 OK", (b"HTTP/1.1", 200)),
        (b"HTTP/1.1  404", (b"HTTP/1.1", 404)),
        (b"HTTP/1.2 200 ", (b"HTTP/1.2", 200)),
        (b"HTTP/1.0 599 what \x80ever", (b"HTTP/1.0", 599)),
    ],
)
def test_status_lines(line, said):
    assert lenient.status_line(line) == said


@pytest.mark.parametrize(
    "line", [b"", b"HTTP/1.1", b"HTTP/1.1 99", b"HTTP/1.1 1000", b"HTTP/1.1 2000K", b"http/1.1 200", b"garbage"]
)
def test_what_is_no_status_line(line):
    with pytest.raises(RemoteProtocolError):
        lenient.status_line(line)


@pytest.mark.parametrize("byte", [b"\x00", b"\x01", b"\x0b", b"\x1f", b"\x7f"])
def test_control_characters_come_before_all_else(byte):
    with pytest.raises(RemoteProtocolError, match=r"http1\.invalid_characters"):
        lenient.split_head(b"no(line\r\n : " + byte + b"\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match=r"http1\.invalid_characters"):
        lenient.trailer_fields(b"no colon" + byte + b"\r\n\r\n")


def test_split_head_takes_any_line_end():
    assert lenient.split_head(b"GET / HTTP/1.1\t\r\nA: b\n\n") == (b"GET / HTTP/1.1", b"A: b\n\n")


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (b"\r\n", []),
        (b"A: b\r\nC:d\n\r\n", [(b"a", b"b"), (b"c", b"d")]),
        (b"A:\r\nB: \t \r\n\r\n", [(b"a", b""), (b"b", b"")]),
        (b"A: b\rc: d\r\n\r\n", [(b"a", b"bc: d")]),
        (b"A: b\r\r\n\r\n", [(b"a", b"b")]),
        (b"A: b\r\n c\r\n\td \r\n\r\n", [(b"a", b"b c\td")]),
        (b"A:\r\n b\r\n\r\n", [(b"a", b"b")]),
        (b"A: b\r\n \r\n c\r\n\r\n", [(b"a", b"b  c")]),
        (b"A!: \x80\xff\r\n\r\n", [(b"a!", b"\x80\xff")]),
    ],
)
def test_fields(block, fields):
    assert lenient.fields_of(block) == fields


@pytest.mark.parametrize(
    "block",
    [
        b"no colon\r\n\r\n",
        b": x\r\n\r\n",
        b"A : b\r\n\r\n",
        b"A(: b\r\n\r\n",
        b" A: b\r\n\r\n",
        b"A\r: b\r\n\r\n",
    ],
)
def test_what_is_no_field(block):
    with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
        lenient.fields_of(block)


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b" GET", b"\x00"])
def test_first_bytes_that_begin_no_request(data):
    with pytest.raises(RemoteProtocolError):
        lenient.check_first_byte(data)


@pytest.mark.parametrize("data", [b"G", b"\x80", b"("])
def test_first_bytes_that_may_wait_for_their_line(data):
    lenient.check_first_byte(data)
