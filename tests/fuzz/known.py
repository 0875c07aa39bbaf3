"""Differences that stay: each has its section in docs/differences.md."""

from collections.abc import Callable
from pathlib import Path

import attrs

from tests.fuzz.inputs import Input
from tests.fuzz.outcome import Outcome

LEDGER = Path(__file__).parents[2] / "docs" / "differences.md"


@attrs.frozen
class Known:
    """One difference.

    Attributes:
        reason: a text that stands in docs/differences.md, where the reason is.
        covers: whether an input and its outcomes (Envoy's, ours) show it.
    """

    reason: str
    covers: Callable[[Input, Outcome, Outcome], bool]


KNOWN: tuple[Known, ...] = ()


def check() -> list[str]:
    """Reasons that are not in docs/differences.md."""
    text = " ".join(LEDGER.read_text().split())
    return [known.reason for known in KNOWN if known.reason not in text]


def explanation(case: Input, envoy: Outcome, ours: Outcome) -> str | None:
    """Why they differ, if that is known."""
    return next((known.reason for known in KNOWN if known.covers(case, envoy, ours)), None)
