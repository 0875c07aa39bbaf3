"""Tests of what a request says beside its headers: query parameters, cookies, being gRPC.

Messages: envoy.config.route.v3.{QueryParameterMatcher,CookieMatcher}; rules as measured on 1.40.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trio_envoy.config.route_match import CookieMatcher, QueryParameterMatcher
from trio_envoy.http.cookies import cookie
from trio_envoy.http.message import Request
from trio_envoy.http.query import parameters
from trio_envoy.matching.strings import BytesTest, string_test
from trio_envoy.runtime import Runtime

RequestTest = Callable[[Request], bool]


def query_test(configs: Sequence[QueryParameterMatcher], runtime: Runtime) -> RequestTest:
    """Do all of these hold for the query? Names and values are compared undecoded; the first of a name counts.

    Raises:
        ConfigError: a bad regex.
    """
    wanted: list[tuple[bytes, bool, BytesTest | None]] = [
        (
            config.name.encode(),
            config.present_match is not False,
            string_test(config.string_match, runtime) if config.string_match is not None else None,
        )
        for config in configs
    ]

    def test(request: Request) -> bool:
        found = parameters(request.path)
        for name, present, value_test in wanted:
            value = found.get(name)
            if value_test is None:
                if (value is not None) is not present:
                    return False
            elif value is None or not value_test(value):
                return False
        return True

    return test


def cookie_test(config: CookieMatcher, runtime: Runtime) -> RequestTest:
    """Does this hold for the cookie? A cookie that isn't there doesn't match, and so does when inverted.

    Raises:
        ConfigError: a bad regex.
    """
    name = config.name.encode()
    value_test = string_test(config.string_match, runtime)
    inverted = config.invert_match

    def test(request: Request) -> bool:
        value = cookie(request.headers, name)
        return (value is not None and value_test(value)) is not inverted

    return test


def is_grpc(request: Request) -> bool:
    """Is the content type `application/grpc`, alone or with a `+suffix`?"""
    content_type = request.headers.first.get(b"content-type")
    return content_type is not None and (
        content_type == b"application/grpc" or content_type.startswith(b"application/grpc+")
    )
