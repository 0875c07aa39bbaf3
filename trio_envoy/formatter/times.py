"""Points in time and durations: START_TIME, DURATION and their kin.

Formats are those of absl::FormatTime (strftime and %E extensions) with Envoy's %f, %1f..%9f and %s. Durations are whole
milliseconds, cut off. Source: Envoy, configuration/observability/access_log/usage; common/utility.cc; measured.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

import trio

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Getter, Inline
from trio_envoy.formatter.operator import Kind, Row, Takes, plain
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.util import clock

UTC_DEFAULT: Final = "%Y-%m-%dT%H:%M:%S.%3fZ"
_LOCAL_DEFAULT: Final = "%Y-%m-%dT%H:%M:%S.%3f%z"
_NEWLINE: Final = re.compile(r"%[-_0^#]*[1-9]*[EO]?n")
_SPECIFIER: Final = re.compile(
    r"%%|%(?P<digits>[1-9]?)f|%E(?P<e_digits>[1-9*])(?P<e_kind>[fS])|%(?:s|Z|E4Y|ET|E\*?z|:{1,2}z)"
)
_CUT: Final = 1e-6  # of a unit: what float subtraction may lose
_TRIMMED: Final = 0  # digits of %E*f: as many as there are, at least one
_DOTTED: Final = -1  # what %E*S adds to the seconds: "." and the digits, or nothing

_MICRO_DIGITS: Final = 6  # we know no more of a time
_HALF_MICRO: Final = 5e-7  # s; a float is rounded to microseconds first
_SCALES: Final = {digits: 10 ** (_MICRO_DIGITS - digits) for digits in range(1, _MICRO_DIGITS + 1)}

_Part = str | int
"""strftime text, or a number of digits of the second's fraction."""


def time_format(spec: str, *, local: bool = False) -> Callable[[float], bytes]:
    """A function that renders wall-clock seconds; the last text and the last second's part of it are kept.

    Raises:
        ConfigError: the format has a newline in it.
    """
    if _NEWLINE.search(spec):
        raise ConfigError("Invalid header configuration. Format string contains newline.")
    parts = [part if local or part != "%Z" else "UTC" for part in _split(spec)]  # strftime would say GMT
    split_time = time.localtime if local else time.gmtime
    fractions = tuple(part for part in parts if isinstance(part, int))
    digits = fractions[0] if len(fractions) == 1 and fractions[0] in _SCALES else _MICRO_DIGITS if fractions else 0
    per_second = int(10**digits)
    lone = len(fractions) == 1 and fractions[0] == digits
    known_second, template = -1, b""
    known_tick, text = -1, b""

    def render(wall: float) -> bytes:
        nonlocal known_second, template, known_tick, text
        tick = int((wall + _HALF_MICRO) * per_second)
        if tick == known_tick:
            return text
        second, fraction = divmod(tick, per_second)
        if second != known_second:
            template = _of_second(parts, second, split_time(second))
            known_second = second
        text = template % (fraction if lone else tuple([_fraction(part, fraction) for part in fractions]))
        known_tick = tick
        return text

    return render


def _split(spec: str) -> list[_Part]:
    parts: list[_Part] = []
    position = 0
    for match in _SPECIFIER.finditer(spec):
        parts.append(spec[position : match.start()])
        position = match.end()
        if match[0] == "%%":
            parts.append("%%")
        elif match["digits"] is not None:
            parts.append(int(match["digits"] or 9))
        elif match["e_kind"] == "f":
            parts.append(_TRIMMED if match["e_digits"] == "*" else int(match["e_digits"]))
        elif match["e_kind"] == "S":
            parts += ["%S", _DOTTED] if match["e_digits"] == "*" else ["%S.", int(match["e_digits"])]
        else:
            parts.append(match[0])
    parts.append(spec[position:])
    return [part for part in parts if part != ""]


def _of_second(parts: list[_Part], second: int, moment: time.struct_time) -> bytes:
    """A %-template of this second: all is rendered but the fractions."""
    template = bytearray()
    for part in parts:
        if isinstance(part, int):
            template += b"%%0%dd" % part if part in _SCALES else b"%b"
        else:
            text = _own(part, second, moment) or time.strftime(part, moment)
            template += text.encode().replace(b"%", b"%%")
    return bytes(template)


def _own(part: str, second: int, moment: time.struct_time) -> str | None:
    """Specifiers that strftime doesn't have."""
    if part == "%s":
        return str(second)
    if part == "%E4Y":
        return f"{moment.tm_year:04d}"
    if part == "%ET":
        return "T"
    if part in {"%Ez", "%:z", "%E*z", "%::z"}:
        offset = moment.tm_gmtoff
        hours, rest = divmod(abs(offset), 3600)
        text = f"{'-' if offset < 0 else '+'}{hours:02d}:{rest // 60:02d}"
        return text if part in {"%Ez", "%:z"} else f"{text}:{rest % 60:02d}"
    return None


def _fraction(part: int, micros: int) -> int | bytes:
    scale = _SCALES.get(part)
    if scale is not None:
        return int(micros // scale)
    if part > 0:
        return b"%06d%b" % (micros, b"0" * (part - _MICRO_DIGITS))
    trimmed = (b"%06d" % micros).rstrip(b"0")
    if part == _DOTTED:
        return b"." + trimmed if trimmed else b""
    return trimmed or b"0"


def _time(command: Command, local: bool) -> Callable[[float], bytes]:
    return time_format(command.argument or (_LOCAL_DEFAULT if local else UTC_DEFAULT), local=local)


def _start_time(local: bool) -> Row:
    def make(command: Command) -> Inline:
        return Inline("{render}(info.start_wall)", {"render": _time(command, local)}, never_none=True)

    return Row(Kind.TEXT, make, Takes.ARGUMENT)


def _emit_time(local: bool) -> Row:
    def make(command: Command) -> Getter:
        render = _time(command, local)
        return lambda _: render(clock.now())

    return Row(Kind.TEXT, make, Takes.ARGUMENT)


def _so_far(info: StreamInfo) -> int:
    """Milliseconds since the start of a stream that still goes on."""
    return int((trio.current_time() - info.start) * 1000 + _CUT)


def _between(begin: str, end: str, per_second: int = 1000) -> Getter:
    """Whole units from one attribute of StreamInfo to another; None when one was not reached, or in wrong order."""
    both: Callable[[StreamInfo], Any] = attrgetter(begin, end)

    def get(context: LogContext) -> int | None:
        first, last = both(context.info)
        elapsed = last - first
        return int(elapsed * per_second + _CUT) if elapsed >= 0 else None  # nan compares false

    return get


_POINTS: Final[Mapping[str, str]] = {
    "DS_RX_BEG": "start",
    "DS_RX_END": "request_end",
    "US_CX_BEG": "upstream_connect_start",
    "US_CX_END": "upstream_connect_end",
    "US_TX_BEG": "upstream_first_byte_sent",
    "US_TX_END": "upstream_last_byte_sent",
    "US_RX_BEG": "upstream_first_byte_received",
    "US_RX_END": "upstream_last_byte_received",
    "DS_TX_BEG": "response_start",
    "DS_TX_END": "end",
}
_UNKNOWN_POINTS: Final = frozenset({"US_HS_END", "US_RX_BODY_BEG"})  # Envoy has them, we don't
_UNITS: Final[Mapping[str, int]] = {"ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


def _common_duration(command: Command) -> Getter:
    steps = command.argument.split(":")
    if len(steps) not in {2, 3}:
        raise ConfigError(f"Invalid common duration configuration: {command.argument}.")
    unit = steps[2] if len(steps) == 3 else "ms"
    if unit not in _UNITS:
        raise ConfigError(f"Invalid common duration precision: {unit}.")
    for point in steps[:2]:
        if point in _UNKNOWN_POINTS:
            raise ConfigError(f"COMMON_DURATION: point {point} is known to Envoy, not supported here")
    begin, end = (_POINTS.get(point) for point in steps[:2])
    if begin is None or end is None:  # a point that a filter may set: never reached
        return lambda _: None
    return _between(begin, end, _UNITS[unit])


ROWS: Final[Mapping[str, Row]] = {
    "START_TIME": _start_time(local=False),
    "START_TIME_LOCAL": _start_time(local=True),
    "EMIT_TIME": _emit_time(local=False),
    "EMIT_TIME_LOCAL": _emit_time(local=True),
    "DURATION": plain(
        Kind.COUNT,
        Inline(
            "(int((info.end - info.start) * 1000 + {cut}) if info.end == info.end else {so_far}(info))",
            {"cut": _CUT, "so_far": _so_far},
        ),
    ),
    "COMMON_DURATION": Row(Kind.NUMBER, _common_duration, Takes.NEEDS_ARGUMENT),
    "REQUEST_DURATION": plain(Kind.NUMBER, _between("start", "request_end")),
    "REQUEST_TX_DURATION": plain(Kind.NUMBER, _between("start", "upstream_last_byte_sent")),
    "RESPONSE_DURATION": plain(Kind.NUMBER, _between("start", "upstream_first_byte_received")),
    "RESPONSE_TX_DURATION": plain(Kind.NUMBER, _between("upstream_first_byte_received", "end")),
    "ROUNDTRIP_DURATION": plain(Kind.NUMBER, lambda _: None),  # the last ack of QUIC
}
