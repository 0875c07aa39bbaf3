"""Differences that stay: each has its section in docs/differences.md."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from tests.fuzz.inputs import Input
from tests.fuzz.outcome import Outcome, differences

LEDGER = Path(__file__).parents[2] / "docs" / "differences.md"


_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)((?:[\t\r ;][^\n]*)?)\n")
_STRICT_END = re.compile(rb"[ \t]*(?:;[^\r]*)?\r")


@attrs.frozen
class Known:
    """One difference.

    Attributes:
        reason: a text that stands in docs/differences.md, where the reason is.
        covers: whether an input and its outcomes (Envoy's, ours) show it.
    """

    reason: str
    covers: Callable[[Input, Outcome, Outcome], bool]


def _refused(envoy: Outcome, ours: Outcome, *details: str) -> dict[str, Any] | None:
    """Envoy's log line of the first exchange that is logged otherwise, if ours ended with one of these faults."""
    for theirs, mine in zip(envoy.log, ours.log, strict=False):
        if theirs != mine:
            return theirs if any(one in mine["details"] for one in details) else None
    return None


def _odd_status(case: Input, envoy: Outcome, ours: Outcome) -> bool:
    if case.script is None or _refused(envoy, ours, "protocol_error") is None:
        return False
    first_lines = re.findall(rb"(?:\A|\n)HTTP/[0-9]\.[0-9][\x00-\x20]+([^\s]*)", b"".join(case.script.pieces))
    return any(not re.fullmatch(rb"[1-9][0-9]{2}", status) for status in first_lines)


def _queued(_case: Input, envoy: Outcome, _ours: Outcome) -> bool:
    return "Too_many_responses_queued" in envoy.brief


def _loose_chunks(case: Input, envoy: Outcome, ours: Outcome) -> bool:
    if _refused(envoy, ours, "codec_error", "protocol_error") is None:
        return False
    data = b"".join(case.pieces if case.script is None else case.script.pieces)
    return any(_is_loose(data, head.end()) for head in re.finditer(rb"\n\r?\n", data))


def _is_loose(data: bytes, position: int) -> bool:
    """Whether chunks begin here that have something beside them that only Envoy skips."""
    while position < len(data) and (line := _SIZE_LINE.match(data, position)) is not None:
        if _STRICT_END.fullmatch(line[2]) is None:
            return True
        size = int(line[1], 16)
        if not size:
            return False
        position = line.end() + size
        if not b"\r\n".startswith(data[position : position + 2]):
            return True
        position += 2
    return False


def _odd_length(case: Input, envoy: Outcome, ours: Outcome) -> bool:
    line = _refused(envoy, ours, "protocol_error")
    return case.script is not None and line is not None and line["code"] == 304


def _two_codings(case: Input, envoy: Outcome, ours: Outcome) -> bool:
    fault = "invalid_transfer_encoding" if case.script is None else "protocol_error"
    data = b"".join(case.pieces if case.script is None else case.script.pieces)
    return (
        _refused(envoy, ours, fault) is not None
        and len(re.findall(rb"(?i)\ntransfer-encoding:", data)) > 1
        and re.search(rb"(?i)\ntransfer-encoding:[ \t]*\r?\n", data) is not None
    )


def _host_trailer(_case: Input, envoy: Outcome, ours: Outcome) -> bool:
    places = {re.sub("[0-9.]", "", one.where) for one in differences(envoy, ours)}
    return places in ({"answerstrailers"}, {"seentrailers"}) and any(
        name in str(one.envoy)
        for one in differences(envoy, ours)
        for name in ("host", "content-length", "transfer-encoding")
    )


def _unasked_101(_case: Input, envoy: Outcome, ours: Outcome) -> bool:
    codes = [line["code"] for line in (*envoy.log[:1], *ours.log[:1])]
    return codes == [101, 101] and any(one.where in {"seen", "seen.1.connection"} for one in differences(envoy, ours))


def _which_fault(case: Input, envoy: Outcome, ours: Outcome) -> bool:
    faults = ("http1.codec_error", "http1.invalid_characters")
    places = {one.where.rpartition(".")[2] for one in differences(envoy, ours)}
    told = [line["details"] for line in (*envoy.log[-1:], *ours.log[-1:])]
    in_pieces = len(case.pieces) > 1 or len(envoy.log) > 1
    return in_pieces and places == {"details"} and all(one in faults for one in told)


KNOWN: tuple[Known, ...] = (
    Known("a status that is not three digits from 100 on", _odd_status),
    Known(
        "Envoy answers what it has read at once, and closes a connection with more than two answers waiting", _queued
    ),
    Known("a 304 with a `content-length` that is no number", _odd_length),
    Known("A 101 that no request asked for ends the connection", _unasked_101),
    Known("which of two faults is told", _which_fault),
    Known("two fields `transfer-encoding`, one of them empty", _two_codings),
    Known("A `host`, a `content-length` or a `transfer-encoding` in trailers", _host_trailer),
    Known("Bytes between the end of a chunk and its line end break the framing", _loose_chunks),
)


def check() -> list[str]:
    """Reasons that are not in docs/differences.md."""
    text = " ".join(LEDGER.read_text().split())
    return [known.reason for known in KNOWN if known.reason not in text]


def explanation(case: Input, envoy: Outcome, ours: Outcome) -> str | None:
    """Why they differ, if that is known."""
    return next((known.reason for known in KNOWN if known.covers(case, envoy, ours)), None)
