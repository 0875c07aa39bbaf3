"""Run the real Envoy and ours side by side and report: `python -m tests.parity.live [case ...]`.

Differences that docs/differences.md explains are counted apart. Exit code 1 if there are others, or a row without one.
"""

import sys
from collections import Counter
from collections.abc import Sequence

import trio

from tests.parity.case import Case, find
from tests.parity.differences import Difference, Known, differences, known
from tests.parity.engine import compared, explain, run_cases
from tests.parity.subjects import SubjectError, envoy, ours


def main(names: Sequence[str]) -> int:
    """Compare the cases whose names begin so."""
    try:
        oracle = envoy()
        cases = find(names)
    except (SubjectError, LookupError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    theirs = trio.run(run_cases, cases, oracle)
    mine = trio.run(run_cases, cases, ours())
    ledger = known()
    counts: Counter[str] = Counter()
    for case in cases:
        outcome = _report(case, theirs[case.name], mine[case.name], ledger)
        counts[outcome] += 1
        counts[f"{case.name.split('/')[0]}: {outcome}"] += 1
    print(*(f"{count:4}  {what}" for what, count in sorted(counts.items())), sep="\n")
    return 0 if counts["same"] + counts["explained"] == len(cases) else 1


def _report(case: Case, envoys: object, mine: object, ledger: Sequence[Known]) -> str:
    for name, result in (("envoy", envoys), ("ours", mine)):
        if isinstance(result, Exception):
            print(f"{case.name} {name}: {explain(result)}")
            return "failed"
    found = differences(case.name, compared(envoys), compared(mine))  # type: ignore[arg-type] # documents now
    unexplained: list[Difference] = []
    for one in found:
        reason = next((row.reason for row in ledger if row.covers(one)), None)
        if reason is None:
            unexplained.append(one)
        else:
            print(f"{one}\n    explained: {reason}")
    print(*unexplained, sep="\n", end="\n" if unexplained else "")
    stale = [row for row in ledger if row.is_about(case.name) and not any(row.covers(one) for one in found)]
    for row in stale:
        print(f"{case.name} {row.where}\n    no longer different, but explained: {row.reason}")
    return "different" if unexplained or stale else "explained" if found else "same"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
