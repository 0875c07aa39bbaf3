"""Local replies: the order of headers is measured on Envoy 1.40."""

import pytest

from tests.fakes import a_route, a_stream
from trio_envoy.hcm.local_reply import finalize_response, to_response
from trio_envoy.http.body import read_all
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply
from trio_envoy.net.stream_info import UF, UT, flags_short
from trio_envoy.routing.entry import VirtualHost

GRPC = {"content-type": "application/grpc"}


class Adds:
    """Response header operations of a route."""

    def __init__(self, *fields):
        self.fields = fields

    def apply(self, headers, context):
        for name, value in self.fields:
            headers.set(name, value)


async def body_of(response):
    return None if response.body is None else await read_all(response.body, 1 << 20)


async def test_a_text_has_its_length_and_type():
    stream = a_stream()

    response = to_response(stream, LocalReply(503, b"no", details="why", flag=UF))

    assert list(response.headers) == [(b"content-length", b"2"), (b"content-type", b"text/plain")]
    assert await body_of(response) == b"no"
    assert (stream.info.details, stream.info.flags) == ("why", UF)
    assert not stream.codec.closes


async def test_without_a_text_there_is_nothing_but_its_own_headers():
    response = to_response(a_stream(), LocalReply(301, headers=((b"location", b"/x"),)))

    assert list(response.headers) == [(b"location", b"/x")]
    assert await body_of(response) is None


def test_what_has_no_body_has_no_type():
    stream = a_stream(route=a_route(response_headers=Adds((b"content-type", b"text/html"))))

    assert list(to_response(stream, LocalReply(404)).headers) == []


async def test_the_answer_to_head_has_the_length_but_not_the_body():
    response = to_response(a_stream(b"HEAD"), LocalReply(404, b"gone"))

    assert response.headers.get(b"content-length") == b"4"
    assert await body_of(response) is None


def test_flags_of_before_stay():
    stream = a_stream()
    stream.info.flags = UF

    to_response(stream, LocalReply(504, flag=UT))

    assert flags_short(stream.info.flags) == "UT,UF"


def test_a_reply_may_end_the_connection():
    stream = a_stream()

    to_response(stream, LocalReply(400, close=True))

    assert stream.codec.closes


def test_headers_of_the_route_come_before_length_and_type_and_may_replace_the_type():
    adds = Adds((b"x-a", b"1"), (b"content-type", b"text/html"))
    stream = a_stream(route=a_route(response_headers=adds))

    response = to_response(stream, LocalReply(200, b"hi", headers=((b"location", b"/"),)))

    assert list(response.headers) == [
        (b"location", b"/"),
        (b"x-a", b"1"),
        (b"content-type", b"text/html"),
        (b"content-length", b"2"),
    ]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (LocalReply(503, b"a b%"), [(b"grpc-status", b"14"), (b"grpc-message", b"a b%25")]),
        (LocalReply(404), [(b"grpc-status", b"12")]),
        (LocalReply(504, b"late", grpc_status=4), [(b"grpc-status", b"4"), (b"grpc-message", b"late")]),
        (LocalReply(418, b"x"), [(b"grpc-status", b"2"), (b"grpc-message", b"x")]),
    ],
)
async def test_a_grpc_client_gets_its_status_in_the_headers_of_a_200(reply, expected):
    response = to_response(a_stream(b"POST", fields=GRPC), reply)

    assert response.status == 200
    assert list(response.headers) == [(b"content-type", b"application/grpc"), *expected]
    assert await body_of(response) is None


def test_a_grpc_head_has_no_message():
    response = to_response(a_stream(b"HEAD", fields=GRPC), LocalReply(503, b"no"))

    assert b"grpc-message" not in response.headers


@pytest.mark.parametrize(("attempts", "told"), [(0, None), (3, b"3")])
def test_the_number_of_attempts_is_told_where_the_virtual_host_wants_it(attempts, told):
    host = VirtualHost("v", include_attempt_count_in_response=True)
    stream = a_stream(route=a_route(host=host))
    stream.info.upstream_attempts = attempts
    found = Headers()

    finalize_response(stream, found)

    assert found.get(b"x-envoy-attempt-count") == told


def test_without_a_route_nothing_is_added():
    found = Headers()

    finalize_response(a_stream(), found)

    assert not len(found)
