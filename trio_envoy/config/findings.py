"""What a walk over a tree finds: faults and warnings, each with its path."""

from __future__ import annotations

from typing import Any, Final

from trio_envoy.errors import Path

At = tuple[Any, str | int] | None
"""A path as a linked list, the last step first; None is the root. Cheap to extend: `(at, step)`."""


class _Bad:
    """Stands in the tree for a value that could not be read, so that it isn't called missing too."""


BAD: Final = _Bad()


class Findings:
    """Faults and warnings of one document, in the order in which they were met.

    Args:
        rules: check the validation rules; off while a document is to be merged with another one.
        allow_unknown: an unknown field or enum value is a warning, not a fault (`--allow-unknown-static-fields`).
    """

    def __init__(self, *, rules: bool = True, allow_unknown: bool = False) -> None:
        self.rules = rules
        self.allow_unknown = allow_unknown
        self.faults: list[tuple[Path, str]] = []
        self.warnings: list[tuple[Path, str]] = []

    def fault(self, at: At, text: str) -> _Bad:
        """Note that something is wrong; gives what to put in the tree instead."""
        self.faults.append((path_of(at), text))
        return BAD

    def warn(self, at: At, text: str) -> None:
        """Note something that works but should be changed."""
        self.warnings.append((path_of(at), text))


def path_of(at: At) -> Path:
    """The path from the root."""
    steps: list[str | int] = []
    while at is not None:
        at, step = at
        steps.append(step)
    return tuple(reversed(steps))


def show(value: object) -> str:
    """A value in a message: short, and as it is written in YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
