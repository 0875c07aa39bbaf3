"""Where two answer documents differ, and which differences are written down with their reason."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs

LEDGER = Path(__file__).parents[2] / "docs" / "differences.md"


@attrs.frozen
class Difference:
    """One place where ours is not as Envoy's."""

    case: str
    where: str
    envoy: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.case} {self.where}\n    envoy: {self.envoy!r}\n    ours:  {self.ours!r}"


@attrs.frozen
class Known:
    """A row of docs/differences.md: shell patterns for the case and the place."""

    case: str
    where: str
    reason: str

    def is_about(self, case: str) -> bool:
        """Whether the row is about this case."""
        return fnmatchcase(case, self.case)

    def covers(self, difference: Difference) -> bool:
        """Whether the row is about this difference."""
        return self.is_about(difference.case) and fnmatchcase(difference.where, self.where)


def known(path: Path = LEDGER) -> list[Known]:
    """The rows of the ledger: table lines whose first two cells are in backticks."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (.+?) \|$", path.read_text(), re.MULTILINE)
    return [Known(*row) for row in rows]


def differences(case: str, envoy: Any, ours: Any, where: str = "") -> list[Difference]:
    """All places where the documents differ; lists of different length differ as a whole."""
    if isinstance(envoy, Mapping) and isinstance(ours, Mapping):
        found = []
        for key in [*envoy, *(key for key in ours if key not in envoy)]:
            found += differences(case, envoy.get(key), ours.get(key), f"{where}/{key}")
        return found
    if isinstance(envoy, list) and isinstance(ours, list) and len(envoy) == len(ours):
        return [
            one
            for number, (left, right) in enumerate(zip(envoy, ours, strict=True))
            for one in differences(case, left, right, f"{where}/{number}")
        ]
    same = type(envoy) is type(ours) and envoy == ours
    return [] if same else [Difference(case, where, envoy, ours)]
