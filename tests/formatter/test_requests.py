"""Operators on requests and responses; the texts are what Envoy 1.40.0 wrote."""

import pytest

from tests.messages import a_context, a_request, a_response
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import compile_text
from trio_envoy.formatter.requests import grpc_status
from trio_envoy.http.headers import Headers


def rendered(template, request=None, response=None, **attributes):
    return compile_text(template).render(a_context(request, response, **attributes)).decode("latin-1")


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("REQ(X-A)", "hello"),
        ("REQUEST_HEADER(x-a)", "hello"),
        ("STREAM_INFO_REQ(x-a)", "hello"),
        ("REQ(X-EMPTY)", ""),
        ("REQ(X-NONE)", "-"),
        ("REQ(X-NONE?X-A)", "hello"),
        ("REQ(X-EMPTY?X-A)", ""),
        ("REQ(?X-A)", "hello"),
        ("REQ(X-NONE?)", "-"),
        ("REQ(:METHOD)", "GET"),
        ("REQ(:PATH?X)", "/x?a=1"),
        ("REQ(X-NONE?:SCHEME)", "http"),
        ("REQ(HOST)", "a.com"),
        ("REQ(X-DUP)", "1"),
        ("RESP(X-DUP)", "3"),
        ("RESP(:STATUS)", "204"),
        ("RESP(X-NONE?X-DUP)", "3"),
        ("RESP(X-NONE?X-ALSO)", "-"),
        ("TRAILER(X-T)", "t"),
        ("RESPONSE_TRAILER(X-NONE?X-T)", "t"),
        ("TRAILER(X-NONE)", "-"),
        ("LOCAL_REPLY_BODY", ""),
    ],
)
def test_headers(operator, expected):
    request = a_request("/x?a=1", ("x-a", "hello"), ("x-empty", ""), ("x-dup", "1"), ("x-dup", "2"))
    response = a_response(204, ("x-dup", "3"), ("x-dup", "4"))
    trailers = Headers([(b"x-t", b"t")])

    assert rendered(f"%{operator}%", request, response, response_trailers=trailers) == expected


@pytest.mark.parametrize(
    "operator",
    [
        "REQ(X-A)", "REQ(:PATH)", "REQ(X?Y)", "RESP(X-A)", "TRAILER(X)", "PATH", "QUERY_PARAM(a)", "QUERY_PARAMS",
        "REQUESTED_SERVER_NAME(HOST_FIRST)", "GRPC_STATUS", "GRPC_STATUS_NUMBER",
    ],
)  # fmt: skip
def test_without_messages_there_is_nothing(operator):
    assert rendered(f"%{operator}%") == "-"


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("X?Y?Z", "More than 1 alternative header specified in token: X?Y?Z"),
        ("X A", "Invalid header configuration. Format string contains invalid characters."),
        ("x)a", "Invalid header configuration. Format string contains invalid characters."),
        ("a:b", "Invalid header configuration. Format string contains invalid characters."),
        ("x-é", "Invalid header configuration. Format string contains invalid characters."),
        *((f"a{char}b", "Invalid header configuration. Format string contains invalid characters.")
          for char in '"(,/;<=>@[\\]{}'),
    ],
)  # fmt: skip
def test_bad_header_names(argument, text):
    with pytest.raises(ConfigError) as caught:
        rendered(f"%REQ({argument})%")

    assert caught.value.text == text


@pytest.mark.parametrize("argument", ["a%b", "!#$&'*+-.^_`|~", "?:a", ":path"])
def test_odd_header_names(argument):
    assert rendered(f"%REQ({argument})%", a_request(""), a_response()) == "-"


@pytest.mark.parametrize(
    ("operator", "rewritten", "original"),
    [
        ("PATH", "/up?a=1", "/x?b"),
        ("PATH()", "/up?a=1", "/x?b"),
        ("PATH(WQ)", "/up?a=1", "/x?b"),
        ("PATH(NQ)", "/up", "/x"),
        ("PATH(WQ:PATH)", "/x?b", "/x?b"),
        ("PATH(NQ:ORIG)", "/up", "-"),
        ("PATH(:ORIG)", "/up?a=1", "-"),
        ("PATH(WQ:ORIG:X)", "/up?a=1", "-"),
        ("PATH(NQ:ORIG_OR_PATH):2", "/u", "/x"),
        ("PATH:3", "/up", "/x?"),
        ("QUERY_PARAMS", "a=1", "b"),
    ],
)
def test_paths(operator, rewritten, original):
    assert rendered(f"%{operator}%", a_request("/x?b", ("x-envoy-original-path", "/up?a=1"))) == rewritten
    assert rendered(f"%{operator}%", a_request("/x?b")) == original


@pytest.mark.parametrize(
    ("path", "a", "raw", "decoded"),
    [
        ("/h?a=%41+b%2", "A+b%2", "a=%41+b%2", "a=A+b%2"),
        ("/x?a=%zz%4", "%zz%4", "a=%zz%4", "a=zz%4"),
        ("/x?", "-", "", ""),
        ("/x?a", "", "a", "a"),
        ("/x?%61=1&a=2", "1", "%61=1&a=2", "a=1&a=2"),
        ("/x", "-", "-", "-"),
        ("/?a=%1z", "%1z", "a=%1z", "a=1z"),
        ("/?a=%g%41", "%gA", "a=%g%41", "a=gA"),
        ("/?a=%%41", "%A", "a=%%41", "a=A"),
        ("/?a=%4%41", "%4A", "a=%4%41", "a=4A"),
        ("/?a=%ff", "\xff", "a=%ff", "a=%ff"),
        ("/?a=%20x%2F", " x/", "a=%20x%2F", "a=%20x/"),
        ("/?a=%2525", "%25", "a=%2525", "a=%25"),
        ("/?a=%00x", "\x00x", "a=%00x", "a=%00x"),
        ("/?a=%", "%", "a=%", "a=%"),
    ],
)
def test_queries(path, a, raw, decoded):
    assert rendered("%QUERY_PARAM(a)%\n%QUERY_PARAMS%\n%QUERY_PARAMS(DECODED)%", a_request(path)) == (
        f"{a}\n{raw}\n{decoded}"
    )


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("", "sni"),
        ("(SNI_ONLY:ORIG:X)", "sni"),
        ("(SNI_FIRST)", "sni"),
        ("(HOST_FIRST)", "A.com:8080"),
        ("(HOST_FIRST:HOST)", "new.host:1"),
        ("(HOST_FIRST:ORIG)", "A.com:8080"),
    ],
)
def test_server_names(operator, expected):
    context = a_context(a_request("/", ("x-envoy-original-host", "A.com:8080"), host="new.host:1"))
    context.info.connection.server_name = "sni"

    assert compile_text(f"%REQUESTED_SERVER_NAME{operator}%").render(context).decode() == expected


def test_server_names_fall_back():
    request = a_request("/")

    assert rendered("%REQUESTED_SERVER_NAME%", request) == "-"
    assert rendered("%REQUESTED_SERVER_NAME(SNI_FIRST)%", request) == "a.com"
    assert rendered("%REQUESTED_SERVER_NAME(SNI_FIRST:ORIG)%", request) == "-"


GRPC = ("content-type", "application/grpc")


@pytest.mark.parametrize(
    ("fields", "trailers", "expected"),
    [
        ([("grpc-status", "5")], [], "NotFound NOT_FOUND 5 5"),
        ([("grpc-status", "1")], [], "Canceled CANCELLED 1 1"),
        ([("grpc-status", "0")], [], "OK OK 0 0"),
        ([("grpc-status", "16")], [], "Unauthenticated UNAUTHENTICATED 16 16"),
        ([("grpc-status", "99")], [], "99 99 99 99"),
        ([("grpc-status", "abc")], [], "-1 -1 -1 -1"),
        ([("grpc-status", "5")], [("grpc-status", "0")], "OK OK 0 0"),
        ([], [], "Unknown UNKNOWN 2 2"),
    ],
)
def test_grpc_status(fields, trailers, expected):
    context = a_context(
        a_request("/", GRPC), a_response(200, *fields), status=200,
        response_trailers=Headers([(name.encode(), value.encode()) for name, value in trailers]),
    )  # fmt: skip
    template = "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%"

    assert compile_text(template).render(context).decode() == expected


def test_grpc_status_is_for_grpc_requests():
    assert rendered("%GRPC_STATUS%", a_request("/"), a_response(200, ("grpc-status", "5"))) == "-"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, 2), (400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (0, None)],
)
def test_an_http_status_means_something_in_grpc(status, expected):
    assert grpc_status(a_context(status=status)) == expected


def test_sizes_count_pseudo_headers():
    request = a_request("/d", ("x-forwarded-proto", "http"), ("x-request-id", "x" * 36))
    response = a_response(204, ("date", "x" * 29), ("server", "envoy"))
    template = "%REQUEST_HEADERS_BYTES% %RESPONSE_HEADERS_BYTES% %RESPONSE_TRAILERS_BYTES%"

    assert rendered(template, request, response) == "112 54 0"
    assert rendered(template, response_trailers=Headers([(b"a", b"bc")])) == "0 0 3"


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        ("PATH(a)", "Invalid PATH option: 'a', only 'WQ'/'NQ' are allowed"),
        ("PATH(WQ:X)", "Invalid PATH option: 'X', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed"),
        (
            "REQUESTED_SERVER_NAME(SNI_FIRST:X)",
            "Invalid REQUESTED_SERVER_NAME option: 'X', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed",
        ),
    ],
)
def test_bad_options(operator, text):
    with pytest.raises(ConfigError) as caught:
        rendered(f"%{operator}%")

    assert caught.value.text == text
