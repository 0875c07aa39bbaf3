"""What HTTP/2 messages must be; the reasons are Envoy's."""

from math import inf

import pytest

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.messages import INVALID, VIOLATION
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.hpack.errors import Oversized

GET = {b":method": b"GET", b":scheme": b"http", b":path": b"/", b":authority": b"a.com"}


def check(fields, *, ended=True):
    pseudo, headers = messages.split(fields, messages.REQUEST_PSEUDO)
    messages.check_request(pseudo, headers, ended=ended)
    return pseudo, headers


def a_get(*more, without=(), **changed):
    fields = GET | {f":{name}".encode(): value for name, value in changed.items()}
    return [(name, value) for name, value in fields.items() if name not in without] + list(more)


def test_a_good_request():
    pseudo, headers = check(a_get((b"x-a", b"1"), (b"te", b"trailers"), (b"x-a", b"2")))

    assert pseudo == GET
    assert headers.get_all(b"x-a") == [b"1", b"2"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (a_get((b"X-Upper", b"1")), INVALID),
        (a_get((b"connection", b"close")), INVALID),
        (a_get((b"transfer-encoding", b"chunked")), INVALID),
        (a_get((b"te", b"gzip")), INVALID),
        (a_get((b"x", b"a\nb")), INVALID),
        (a_get((b"x y", b"1")), INVALID),
        (a_get((b"", b"1")), INVALID),
        (a_get((b":path", b"/")), INVALID),
        (a_get((b":unknown", b"x")), INVALID),
        (a_get((b"x", b"1"), (b":protocol", b"x")), INVALID),
        (a_get(path=b""), INVALID),
        (a_get(path=b"no slash"), INVALID),
        (a_get(without=(b":path",)), VIOLATION),
        (a_get(without=(b":scheme",)), VIOLATION),
        (a_get(without=(b":method",)), VIOLATION),
        (a_get(without=(b":authority",)), VIOLATION),
        (a_get((b"content-length", b"5")), VIOLATION),
        (a_get((b"content-length", b"x")), INVALID),
        (a_get((b"content-length", b"")), INVALID),
        (a_get((b"content-length", b"0"), (b"content-length", b"0")), INVALID),
        (a_get((b"content-length", b"9223372036854775808")), INVALID),
        (a_get((b"content-length", b"9223372036854775807")), VIOLATION),
        (a_get((b"content-length", b"x"), without=(b":method",)), INVALID),  # what is wrong by itself comes first
        (a_get(method=b""), INVALID),
        (a_get(method=b"A B"), INVALID),
        (a_get(scheme=b""), INVALID),
        (a_get(scheme=b"h p"), INVALID),
        (a_get(authority=b""), INVALID),
        (a_get(authority=b"u@a.com"), INVALID),
        (a_get(authority=b"a.com/"), INVALID),
        (a_get((b"host", b"")), INVALID),
        (a_get((b"host", b"a b")), INVALID),
        (a_get(path=b"/a b"), INVALID),
        (a_get(path=b"a"), VIOLATION),
        (a_get(path=b"a", scheme=b"HTTPS"), VIOLATION),
        (a_get(path=b"*"), VIOLATION),
        (a_get((b"content-length", b"9" * 5000)), INVALID),
        (a_get(method=b"CONNECT"), VIOLATION),
        (a_get(method=b"CONNECT", protocol=b"websocket"), INVALID),
        (a_get((b"host", b"a"), (b"host", b"a")), INVALID),
    ],
)
def test_what_is_refused(fields, reason):
    with pytest.raises(RemoteProtocolError) as caught:
        check(fields)

    assert caught.value.details == reason


@pytest.mark.parametrize(
    "fields",
    [
        a_get((b"host", b"b.com"), without=(b":authority",)),
        a_get(path=b"*", method=b"OPTIONS"),
        a_get(scheme=b"ftp"),
        a_get(scheme=b"ftp", path=b"no-slash"),
        a_get((b"te", b"Trailers")),
        a_get(authority=b"[::1]:80"),
        a_get(method=b"FOO"),
        a_get(path=b"/#f"),
        a_get((b"content-length", b"0" * 5000)),
        [(b":method", b"CONNECT"), (b":authority", b"a.com:80")],
    ],
)
def test_what_is_taken(fields):
    check(fields)


@pytest.mark.parametrize(
    ("fields", "method", "ended", "result"),
    [
        ([(b":status", b"200")], b"GET", True, (200, inf)),
        ([(b":status", b"200"), (b"content-length", b"3")], b"GET", False, (200, 3)),
        ([(b":status", b"200"), (b"content-length", b"3")], b"GET", True, VIOLATION),
        ([(b":status", b"200"), (b"content-length", b"3")], b"HEAD", True, (200, 0)),
        ([(b":status", b"200"), (b"content-length", b"3")], b"CONNECT", False, (200, inf)),
        ([(b":status", b"404"), (b"content-length", b"3")], b"CONNECT", False, (404, 3)),
        ([(b":status", b"304"), (b"content-length", b"3")], b"GET", True, (304, 0)),
        ([(b":status", b"204"), (b"content-length", b"0")], b"GET", True, (204, 0)),
        ([(b":status", b"204"), (b"content-length", b"3")], b"GET", True, INVALID),
        ([(b":status", b"103")], b"GET", False, (103, 0)),
        ([(b":status", b"103")], b"GET", True, VIOLATION),
        ([(b":status", b"103"), (b"content-length", b"3")], b"GET", False, INVALID),
        ([(b":status", b"099")], b"GET", True, (99, inf)),
        ([(b":status", b"999")], b"GET", True, (999, inf)),
        ([(b":status", b"101")], b"GET", False, INVALID),
        ([(b":status", b"20")], b"GET", True, INVALID),
        ([(b":status", b"2000")], b"GET", True, INVALID),
        ([(b":status", b"abc")], b"GET", True, INVALID),
        ([(b":status", b"")], b"GET", True, INVALID),
        ([(b"x", b"y")], b"GET", True, VIOLATION),
    ],
)
def test_responses(fields, method, ended, result):
    def check():
        return messages.check_response(*messages.split(fields, messages.RESPONSE_PSEUDO), method, ended=ended)

    if isinstance(result, tuple):
        assert check() == result
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            check()
        assert caught.value.details == result


@pytest.mark.parametrize(("trailers", "received", "right"), [([], 3, True), ([b"3"], 3, True), ([b"9"], 3, False)])
def test_trailers_may_say_the_length(trailers, received, right):
    headers = Headers([(b"content-length", value) for value in trailers])
    assert messages.says_length(headers, received) is right


def test_trailers_have_no_pseudo_headers():
    assert dict(messages.trailers_of([(b"grpc-status", b"0")])) == {b"grpc-status": b"0"}
    with pytest.raises(RemoteProtocolError, match=INVALID):
        messages.trailers_of([(b":status", b"200")])


def test_cookies_become_one_behind_the_rest():
    headers = Headers([(b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d")])

    messages.join_cookies(headers)

    assert headers.items == [(b"x", b"y"), (b"cookie", b"a=b; c=d")]


def test_without_cookies_nothing_changes():
    headers = Headers([(b"x", b"y")])

    messages.join_cookies(headers)

    assert headers.items == [(b"x", b"y")]


def test_extended_connect_where_it_is_allowed():
    def check_extended(fields):
        messages.check_request(*messages.split(fields, messages.REQUEST_PSEUDO), ended=False, extended=True)

    check_extended(a_get(method=b"CONNECT", protocol=b"websocket"))
    for fields in (
        a_get(protocol=b"websocket"),
        a_get((b"host", b"a"), method=b"CONNECT", protocol=b"websocket", without=(b":authority",)),
    ):
        with pytest.raises(RemoteProtocolError, match=VIOLATION):
            check_extended(fields)


@pytest.mark.parametrize(
    ("fields", "details"), [(3, "http2.too_many_headers"), (2, "http2.header_list_size_too_large")]
)
def test_what_is_too_large_is_counted(fields, details):
    stats = Http2Stats()

    assert messages.oversize(Oversized(fields, 1000), 2, stats) == details
    assert stats.header_overflow == (details == "http2.too_many_headers")
    assert stats.header_list_size_too_large == (details == "http2.header_list_size_too_large")


def test_underscores_are_looked_at_in_trailers_too():
    stats, trailers = Http2Stats(), Headers([(b"x_y", b"1"), (b"z", b"2")])

    messages.check_underscores(trailers, Http2Options(), stats)
    assert len(trailers) == 2

    messages.check_underscores(trailers, Http2Options(underscores=HeadersWithUnderscoresAction.DROP_HEADER), stats)
    assert list(trailers) == [(b"z", b"2")]

    refusing = Http2Options(underscores=HeadersWithUnderscoresAction.REJECT_REQUEST)
    with pytest.raises(messages.UnwantedNameError):
        messages.check_underscores(Headers([(b"x_y", b"1")]), refusing, stats)
