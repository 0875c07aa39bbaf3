"""Router.strict_check_headers; expectations are measured on Envoy 1.40."""

import pytest

from tests.extensions.filters.http.router.routed import Routed, answer
from tests.fakes import headers
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.extensions.filters.http.router.strict import StrictCheck
from trio_envoy.net.stream_info import IH

ALL = (
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-max-retries",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-envoy-upstream-rq-timeout-ms", "5000"),
        ("x-envoy-max-retries", "3"),
        ("x-envoy-max-retries", "+3"),
        ("x-envoy-max-retries", "003"),
        ("x-envoy-max-retries", "18446744073709551615"),
        ("x-envoy-retry-on", "5xx, reset"),
        ("x-envoy-retry-on", "5xx,,"),
        ("x-envoy-retry-on", ""),
        ("x-envoy-retry-grpc-on", "cancelled,internal"),
        ("x-envoy-foo", "what"),
    ],
)
def test_these_make_sense(name, value):
    assert StrictCheck(ALL).refuse(headers({name: value})) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-envoy-upstream-rq-timeout-ms", "x"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1.5"),
        ("x-envoy-max-retries", "-1"),
        ("x-envoy-max-retries", "0x3"),
        ("x-envoy-max-retries", ""),
        ("x-envoy-max-retries", "99999999999999999999999"),
        ("x-envoy-retry-on", "5xx, nope"),
        ("x-envoy-retry-grpc-on", "cancelled,5xx"),
    ],
)
def test_these_do_not(name, value):
    reply = StrictCheck(ALL).refuse(headers({name: value}))

    assert (reply.status, reply.flag) == (400, IH)
    assert reply.text == f"invalid header '{name}' with value '{value}'".encode()
    assert reply.details == f"request_headers_failed_strict_check{{{name}}}"


def test_the_first_of_the_configuration_is_told():
    found = headers({"x-envoy-retry-on": "nope", "x-envoy-max-retries": "y"})

    assert b"x-envoy-max-retries" in StrictCheck(ALL).refuse(found).text


@pytest.mark.parametrize(("names", "status"), [((), 200), (("x-envoy-max-retries",), 400)])
async def test_only_what_is_named_is_checked(names, status):
    routed = Routed(answer(), config=Router(strict_check_headers=names))

    assert (await routed.run(fields={"x-envoy-max-retries": "y"})).status == status
