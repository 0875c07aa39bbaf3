"""What became of an input, and how two outcomes differ."""

from collections.abc import Iterator
from typing import Any

import attrs

from tests.fuzz.client import Answer
from tests.fuzz.origin import Seen


@attrs.define
class Outcome:
    """On one side.

    Attributes:
        answers: what the client heard.
        fate: of its connection.
        seen: what the origin saw.
        log: the access log.
    """

    answers: list[Answer | str]
    fate: str
    seen: list[Seen | str]
    log: list[dict[str, Any]]

    def __str__(self) -> str:
        heard = [f"heard: {_shown(answer)}" for answer in self.answers]
        seen = [f"seen:  {_shown(one)}" for one in self.seen]
        logged = [f"log:   {_log_line(line)}" for line in self.log]
        return "\n".join([f"fate: {self.fate}", *heard, *seen, *logged])

    @property
    def brief(self) -> str:
        """What kind of outcome it is."""
        statuses = [one.line[9:12].decode() if isinstance(one, Answer) else one[:9] for one in self.answers]
        details = [f"{line['code']}:{line['details']}:{line['flags']}" for line in self.log]
        return f"{','.join(statuses)}|{self.fate}|{len(self.seen)}|{','.join(details)}"


@attrs.frozen
class Difference:
    """One place where two outcomes differ."""

    where: str
    envoy: str
    ours: str


def differences(envoy: Outcome, ours: Outcome) -> list[Difference]:
    """Where they differ; nothing if they don't."""
    found = []
    if envoy.fate != ours.fate:
        found.append(Difference("fate", envoy.fate, ours.fate))
    for part in ("answers", "seen", "log"):
        left, right = getattr(envoy, part), getattr(ours, part)
        if part == "seen" and len(left) != len(right):
            left, right = _whole(left), _whole(right)
        if len(left) != len(right):
            found.append(Difference(part, f"{len(left)}", f"{len(right)}"))
            continue
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            found += [Difference(f"{part}.{number}{where}", a, b) for where, a, b in _unequal(one, other)]
    return found


def _whole(seen: list[Seen | str]) -> list[Seen | str]:
    """Without requests that were broken off: whether their beginning came as far as the origin is a race."""
    return [one for one in seen if isinstance(one, str) or one.whole]


def signature(envoy: Outcome, ours: Outcome) -> tuple[str, ...]:
    """Outcomes that differ in the same way have the same."""
    found = differences(envoy, ours)
    if not found:
        return ()
    return (envoy.brief, ours.brief, *sorted({_kind(one.where) for one in found}))


def _kind(where: str) -> str:
    return ".".join(part for part in where.split(".") if not part.isdigit())


def _unequal(one: Any, other: Any) -> Iterator[tuple[str, str, str]]:
    if type(one) is not type(other) or isinstance(one, str):
        if one != other:
            yield "", repr(one), repr(other)
        return
    if not isinstance(one, dict):
        one, other = attrs.asdict(one, recurse=False), attrs.asdict(other, recurse=False)
    for key in one:
        if one[key] != other[key]:
            yield f".{key}", repr(one[key]), repr(other[key])


def _shown(one: Any) -> str:
    if isinstance(one, str):
        return one
    tree = attrs.asdict(one, recurse=False)
    tree["body"] = tree["body"][:200]
    return " ".join(f"{key}={value!r}" for key, value in tree.items() if value not in (b"", [], (), True))


def _log_line(line: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in line.items())
