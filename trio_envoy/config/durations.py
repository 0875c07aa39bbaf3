"""google.protobuf.Duration: from `0.25s` to nanoseconds and seconds, and back.

Rules: protobuf's JSON mapping (json/internal/parser.cc: digits, at most nine decimals, one `s` at the end), then
Envoy's DurationUtil (no negative ones).
"""

from __future__ import annotations

import functools
import re
from typing import Final

MAX_SECONDS: Final = (2**63 - 1) // 10**9 - 1  # 292 years: Envoy counts in nanoseconds (utility.cc, DurationUtil)
_NANOS: Final = 1_000_000_000
_TEXT: Final = re.compile(r"(-?[0-9]+)(?:\.([0-9]*))?s")


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> int:
    """Nanoseconds of a duration such as `1.5s`.

    Raises:
        ValueError: it is no duration; the text says why.
    """
    if not re.match(r"-?[0-9]", text):
        raise ValueError(f"duration must start with an integer, got {text!r}")
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"duration must end with a single 's', got {text!r}")
    seconds, decimals = match.groups()
    if decimals is not None and not 1 <= len(decimals) <= 9:
        raise ValueError(f"duration must have 1 to 9 decimals, got {text!r}")
    nanos = int((decimals or "0").ljust(9, "0"))
    return of(int(seconds), -nanos if seconds.startswith("-") else nanos)


def of(seconds: int, nanos: int) -> int:
    """Nanoseconds of a duration in its two fields.

    Raises:
        ValueError: negative or too long.
    """
    if seconds < 0 or nanos < 0:
        raise ValueError(f"expected positive duration, got {seconds}.{abs(nanos):09}s")
    if seconds > MAX_SECONDS or nanos >= _NANOS:
        raise ValueError(f"duration out of range: {seconds} s and {nanos} ns")
    return seconds * _NANOS + nanos


@functools.lru_cache(maxsize=1024)
def render(nanoseconds: int) -> str:
    """The duration as protobuf prints it: with 0, 3, 6 or 9 decimals."""
    seconds, nanos = divmod(nanoseconds, _NANOS)
    if nanos == 0:
        return f"{seconds}s"
    for digits in (3, 6):
        if nanos % 10 ** (9 - digits) == 0:
            return f"{seconds}.{nanos // 10 ** (9 - digits):0{digits}}s"
    return f"{seconds}.{nanos:09}s"


def to_seconds(text: str) -> float:
    """Seconds of a checked duration."""
    return parse(text) / _NANOS
