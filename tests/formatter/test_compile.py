"""Text templates; the lines are what Envoy 1.40.0 wrote."""

import pytest

from tests.messages import a_context, a_request, a_response
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import DEFAULT_FORMAT, compile_text
from trio_envoy.http.headers import Headers
from trio_envoy.net.address import IpAddress
from trio_envoy.net.stream_info import NR


class Host:
    address = IpAddress("127.0.0.1", 8080)
    hostname = ""


def rendered(template, context=None, **options):
    return compile_text(template, **options).render(context or a_context())


def test_the_default_format():
    request = a_request(
        "/new?x", ("x-envoy-original-path", "/old?x"), ("user-agent", "curl"), ("x-request-id", "abc"),
        ("x-forwarded-for", "1.1.1.1"),
    )  # fmt: skip
    response = a_response(200, ("x-envoy-upstream-service-time", "3"))
    context = a_context(
        request, response, protocol="HTTP/1.1", status=200, bytes_received=1, bytes_sent=2, upstream_host=Host
    )

    assert rendered(DEFAULT_FORMAT, context) == (
        b'[2026-11-24T10:20:48.892Z] "GET /old?x HTTP/1.1" 200 - 1 2 3 3 "1.1.1.1" "curl" "abc" "a.com" '
        b'"127.0.0.1:8080"\n'
    )


def test_the_default_format_of_a_request_that_never_was():
    assert rendered(DEFAULT_FORMAT, a_context(status=400, flags=NR)) == (
        b'[2026-11-24T10:20:48.892Z] "- - -" 400 NR 0 0 3 - "-" "-" "-" "-" "-"\n'
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", b""),
        ("plain é", "plain é".encode()),
        ("100%%", b"100%"),
        ("%%%RESPONSE_CODE%%%", b"%204%"),
        ("%REQ(X-A)%|%REQ(x-none)%|%REQ(X-EMPTY)%", b"hello|-|"),
        ("%REQ(X-A):2%%REQ(X-A):0%", b"he"),
        ("%REQ(X-A):99%", b"hello"),
        ("%RESPONSE_CODE%%BYTES_SENT%", b"2040"),
        ("%DYNAMIC_METADATA(ns:num)%|%DYNAMIC_METADATA(ns:text)%|%DYNAMIC_METADATA(ns:bool)%", b"5|t|true"),
        ("%DYNAMIC_METADATA(ns:map)%|%DYNAMIC_METADATA(ns:text):0%", '{"é":[1,null]}|'.encode()),
        ("%GRPC_STATUS%", b"-"),
    ],
)
def test_lines(template, expected):
    metadata = {"ns": {"num": 5, "text": "t", "bool": True, "map": {"é": [1, None]}}}
    request = a_request("/", ("x-a", "hello"), ("x-empty", ""))

    assert rendered(template, a_context(request, status=204, metadata=metadata)) == expected


def test_missing_values_may_be_nothing():
    assert rendered("a%REQ(X)%b%RESPONSE_FLAGS%", missing=b"") == b"ab-"


def test_bytes_pass_as_they_are():
    request = a_request("/")
    request.headers = Headers([(b"x", b"a\xff")])

    assert rendered(b"\xfe%REQ(X)%", a_context(request)) == b"\xfea\xff"


def test_a_template_without_operators_is_a_literal():
    assert compile_text("a%%b").literal == b"a%b"
    assert compile_text("%PROTOCOL%").literal is None


def test_a_fault_names_the_object():
    at = object()

    with pytest.raises(ConfigError, match="Not supported field in StreamInfo: FOO") as caught:
        compile_text("%FOO%", at=at, field="value")

    assert (caught.value.at, caught.value.field) == (at, ("value",))
