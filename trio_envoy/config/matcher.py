"""envoy.type.matcher.v3: how a string is compared.

Source: envoy/type/matcher/v3/{string,regex}.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs


@attrs.frozen(kw_only=True)
class GoogleRE2:
    """The old way to choose RE2; it changes nothing but the limit.

    Attributes:
        max_program_size: instructions of the compiled program; a larger one is refused.
    """

    __proto__: ClassVar[str] = "envoy.type.matcher.v3.RegexMatcher.GoogleRE2"

    max_program_size: int | None = None


@attrs.frozen(kw_only=True)
class RegexMatcher:
    """A RE2 expression that must match the whole value.

    Attributes:
        google_re2: deprecated choice of the engine.
        regex: the expression, not empty.
    """

    __proto__: ClassVar[str] = "envoy.type.matcher.v3.RegexMatcher"

    google_re2: GoogleRE2 | None = None
    regex: str = ""


@attrs.frozen(kw_only=True)
class RegexMatchAndSubstitute:
    r"""Every non-overlapping match of a pattern is replaced.

    Attributes:
        pattern: what is looked for, anywhere in the value.
        substitution: the new text, with `\1` for the first group; no newline, NUL or CR.
    """

    __proto__: ClassVar[str] = "envoy.type.matcher.v3.RegexMatchAndSubstitute"

    pattern: RegexMatcher
    substitution: str = ""


@attrs.frozen(kw_only=True)
class StringMatcher:
    """One way to compare a string (oneof match_pattern).

    Attributes:
        exact: the whole value.
        prefix: its beginning, not empty.
        suffix: its end, not empty.
        safe_regex: the whole value, by RE2.
        contains: a part of it, not empty.
        ignore_case: compare without case; not for safe_regex.
    """

    __proto__: ClassVar[str] = "envoy.type.matcher.v3.StringMatcher"

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    safe_regex: RegexMatcher | None = None
    contains: str | None = None
    ignore_case: bool = False
