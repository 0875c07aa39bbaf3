"""envoy.type.matcher.v3.StringMatcher, compiled to a test of bytes.

Letter case is ASCII's, as in Envoy (absl::EqualsIgnoreCase).
"""

from __future__ import annotations

from collections.abc import Callable

from trio_envoy.config.matcher import StringMatcher
from trio_envoy.errors import ConfigError
from trio_envoy.matching.regex import full_match
from trio_envoy.runtime import Runtime

BytesTest = Callable[[bytes], bool]


def string_test(config: StringMatcher, runtime: Runtime) -> BytesTest:
    """The test that this matcher is.

    Raises:
        ConfigError: nothing to compare with, ignore_case with a regex, or a bad regex.
    """
    if config.safe_regex is not None:
        if config.ignore_case:
            raise ConfigError("ignore_case has no effect for safe_regex.", at=config, field="ignore_case")
        return full_match(config.safe_regex, runtime)
    test = _plain(config)
    if not config.ignore_case:
        return test
    return lambda value: test(value.lower())


def _plain(config: StringMatcher) -> BytesTest:
    def wanted(text: str) -> bytes:
        raw = text.encode()
        return raw.lower() if config.ignore_case else raw

    if config.exact is not None:
        return exact(wanted(config.exact))
    if config.prefix is not None:
        return prefix(wanted(config.prefix))
    if config.suffix is not None:
        return suffix(wanted(config.suffix))
    if config.contains is not None:
        return contains(wanted(config.contains))
    raise ConfigError("a string matcher needs one of exact, prefix, suffix, safe_regex, contains", at=config)


def exact(wanted: bytes) -> BytesTest:
    """Is it this?"""
    return lambda value: value == wanted


def prefix(wanted: bytes) -> BytesTest:
    """Does it begin with this?"""
    return lambda value: value.startswith(wanted)


def suffix(wanted: bytes) -> BytesTest:
    """Does it end with this?"""
    return lambda value: value.endswith(wanted)


def contains(wanted: bytes) -> BytesTest:
    """Is this in it?"""
    return lambda value: wanted in value
