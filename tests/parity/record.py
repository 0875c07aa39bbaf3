"""Record what the real Envoy answers: `python -m tests.parity.record [case ...]`.

Writes <case>.json beside each case. A recording is never edited by hand.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import trio

from tests.parity.case import Case, find
from tests.parity.engine import explain, run_cases
from tests.parity.subjects import ENVOY_VERSION, SubjectError, envoy


def encoded(document: Mapping[str, Any]) -> str:
    """A recording's text."""
    return json.dumps({"_envoy": ENVOY_VERSION, **document}, indent=1, ensure_ascii=False) + "\n"


def recorded(case: Case) -> dict[str, Any]:
    """What the recording of a case holds.

    Raises:
        FileNotFoundError: the case was never recorded.
    """
    document: dict[str, Any] = json.loads(case.recording.read_text())
    return document


def main(names: Sequence[str]) -> int:
    """Record the cases whose names begin so; 1 if one could not be recorded."""
    try:
        subject = envoy()
        cases = find(names)
    except (SubjectError, LookupError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    results = trio.run(run_cases, cases, subject)
    failed = 0
    for case in cases:
        result = results[case.name]
        if isinstance(result, Exception):
            failed += 1
            print(f"{case.name}: {explain(result)}", file=sys.stderr)
            continue
        text = encoded(result)
        before = case.recording.read_text() if case.recording.exists() else ""
        if text != before:
            case.recording.write_text(text)
            print(f"{case.name}: {'changed' if before else 'new'}")
    print(f"{len(cases) - failed} of {len(cases)} cases recorded")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
