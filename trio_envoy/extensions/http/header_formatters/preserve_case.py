"""envoy.http.stateful_header_formatters.preserve_case: names go on spelled as they came.

Config: envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig. Measured on 1.40
(parity requests/preserve_case*): the side that reads a head decides how the other one writes it, if that speaks HTTP/1;
trailers are always in lower case.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

import attrs

from trio_envoy.http.spelling import Remember, proper_case
from trio_envoy.registry import Category, register


class FormatterTypeOnEnvoyHeaders(enum.StrEnum):
    """How names are written that the head did not have."""

    DEFAULT = "DEFAULT"
    PROPER_CASE = "PROPER_CASE"


@attrs.frozen(kw_only=True)
class PreserveCaseFormatterConfig:
    """What goes on as it came.

    Attributes:
        forward_reason_phrase: the reason phrase of a response, too.
        formatter_type_on_envoy_headers: names that the head did not have: in lower case, or Like-This.
    """

    __proto__: ClassVar[str] = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"

    forward_reason_phrase: bool = False
    formatter_type_on_envoy_headers: FormatterTypeOnEnvoyHeaders = FormatterTypeOnEnvoyHeaders.DEFAULT


class PreservedCase:
    """The spelling of one head (http.spelling.Spelling)."""

    __slots__ = ("_names", "_proper", "reason")

    def __init__(self, names: Mapping[bytes, bytes], reason: bytes, *, proper: bool) -> None:
        self._names = names
        self._proper = proper
        self.reason = reason

    def __call__(self, name: bytes) -> bytes:
        known = self._names.get(name)
        if known is not None:
            return known
        return proper_case(name) if self._proper else name


@register(
    Category.HEADER_FORMATTER,
    "envoy.http.stateful_header_formatters.preserve_case",
    config=PreserveCaseFormatterConfig,
)
def make(config: PreserveCaseFormatterConfig) -> Remember:
    """What makes the spelling of each head."""
    proper = config.formatter_type_on_envoy_headers is FormatterTypeOnEnvoyHeaders.PROPER_CASE
    with_reason = config.forward_reason_phrase

    def remember(names: Mapping[bytes, bytes], reason: bytes) -> PreservedCase:
        return PreservedCase(names, reason if with_reason else b"", proper=proper)

    return remember
