"""envoy.config.route.v3.HeaderMatcher, compiled to a test of a request or of a response.

Rules, as measured on 1.40.0 (http/header_utility.cc):
1. A field that is there more than once matches when one of its values does; what Envoy keeps once (http/fields.py) is
   joined by a comma first. invert_match turns the outcome of all of it round.
2. A missing field does not match, inverted or not, unless the matcher asks for presence or
   treat_missing_header_as_empty makes it "".
3. The deprecated exact_match of "" asks for presence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from trio_envoy.config.route_match import HeaderMatcher
from trio_envoy.config.types import Int64Range
from trio_envoy.http.fields import REQUEST_ONCE, RESPONSE_ONCE, is_pseudo, request_field, response_field
from trio_envoy.http.message import Request, Response
from trio_envoy.matching import strings
from trio_envoy.matching.regex import full_match
from trio_envoy.matching.strings import BytesTest, string_test
from trio_envoy.runtime import Runtime

M = TypeVar("M", Request, Response)

_INTEGER: Final = re.compile(rb"[+-]?[0-9]+")
_MIN_INT64: Final = -(1 << 63)
_MAX_INT64: Final = (1 << 63) - 1


def request_test(config: HeaderMatcher, runtime: Runtime) -> Callable[[Request], bool]:
    """The test of a request's headers and pseudo-headers that this matcher is.

    Raises:
        ConfigError: a bad regex.
    """
    name = config.name.lower().encode()
    return _compile(config, runtime, request_field(name), is_pseudo(name), name in REQUEST_ONCE)


def response_test(config: HeaderMatcher, runtime: Runtime) -> Callable[[Response], bool]:
    """The test of a response's headers and `:status` that this matcher is.

    Raises:
        ConfigError: a bad regex.
    """
    name = config.name.lower().encode()
    return _compile(config, runtime, response_field(name), name == b":status", name in RESPONSE_ONCE)


def _compile(
    config: HeaderMatcher, runtime: Runtime, field: Callable[[M], bytes | None], pseudo: bool, once: bool
) -> Callable[[M], bool]:
    test = _value_test(config, runtime)
    if test is None:
        return _presence(config, field)
    inverted = config.invert_match
    when_missing = inverted is not test(b"") if config.treat_missing_header_as_empty else False
    name = config.name.lower().encode()

    def single(message: M) -> bool:
        value = field(message)
        return when_missing if value is None else inverted is not test(value)

    def joined(message: M) -> bool:
        value = message.headers.joined(name)
        return when_missing if value is None else inverted is not test(value)

    def several(message: M) -> bool:
        value = field(message)
        if value is None:
            return when_missing
        return inverted is not (test(value) or any(map(test, message.headers.get_all(name)[1:])))

    if pseudo:
        return single
    return joined if once else several


def _presence(config: HeaderMatcher, field: Callable[[M], bytes | None]) -> Callable[[M], bool]:
    wanted = (config.present_match is not False) is not config.invert_match
    if config.treat_missing_header_as_empty:
        return lambda _: wanted
    return lambda message: (field(message) is not None) is wanted


def _value_test(config: HeaderMatcher, runtime: Runtime) -> BytesTest | None:
    """The test of one value; None: presence is all that is asked for."""
    if config.string_match is not None:
        return string_test(config.string_match, runtime)
    if config.exact_match:
        return strings.exact(config.exact_match.encode())
    if config.safe_regex_match is not None:
        return full_match(config.safe_regex_match, runtime)
    if config.range_match is not None:
        return _in_range(config.range_match)
    if config.prefix_match is not None:
        return strings.prefix(config.prefix_match.encode())
    if config.suffix_match is not None:
        return strings.suffix(config.suffix_match.encode())
    if config.contains_match is not None:
        return strings.contains(config.contains_match.encode())
    return None


def _in_range(config: Int64Range) -> BytesTest:
    start, end = config.start, config.end

    def test(value: bytes) -> bool:
        if _INTEGER.fullmatch(value) is None or len(value) > 20:
            return False
        number = int(value)
        return start <= number < end and _MIN_INT64 <= number <= _MAX_INT64

    return test
