"""Fields by name."""

import pytest

from tests.messages import a_request, a_response
from trio_envoy.http.fields import REQUEST_ONCE, RESPONSE_ONCE, is_pseudo, request_field, response_field


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b":method", b"GET"),
        (b":path", b"/p?q"),
        (b":authority", b"a.com"),
        (b"host", b"a.com"),
        (b":scheme", b"http"),
        (b":protocol", None),
        (b"x-a", b"1"),
        (b"x-none", None),
    ],
)
def test_a_request_field_is_the_first_value_or_the_attribute(name, value):
    request = a_request("/p?q", ("x-a", "1"), ("x-a", "2"))

    assert request_field(name)(request) == value


def test_what_a_request_has_not_is_none():
    request = a_request("", method="CONNECT", host="")
    request.scheme = b""

    assert [request_field(name)(request) for name in (b":path", b":authority", b"host", b":scheme")] == [None] * 4


def test_protocol_is_a_pseudo_header_of_extended_connect_alone():
    request = a_request("/", method="CONNECT")
    request.protocol = b"websocket"
    assert request_field(b":protocol")(request) == b"websocket"

    request.method = b"GET"
    assert request_field(b":protocol")(request) is None


def test_a_response_field_is_the_first_value_or_the_status():
    response = a_response(204, ("x-a", "1"), ("x-a", "2"))

    assert response_field(b":status")(response) == b"204"
    assert response_field(b"x-a")(response) == b"1"
    assert response_field(b"x-none")(response) is None


def test_names():
    assert is_pseudo(b":path")
    assert is_pseudo(b"host")
    assert not is_pseudo(b"x-host")
    assert b"user-agent" in REQUEST_ONCE - RESPONSE_ONCE
    assert b"date" in RESPONSE_ONCE - REQUEST_ONCE
    assert b"via" in REQUEST_ONCE & RESPONSE_ONCE
