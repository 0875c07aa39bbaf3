"""Ours against what the real Envoy answered: one test per case, all cases run together beforehand."""

import os
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from tests.parity.case import Case, find
from tests.parity.differences import differences, known
from tests.parity.engine import compared, explain, run_cases
from tests.parity.record import recorded
from tests.parity.subjects import ours

_CASES = {case.name: case for case in find()}

_Results = Mapping[str, dict[str, Any] | Exception]


class _OneByOne(dict[str, Any]):
    """Under pytest-xdist every worker has all tests but runs some: each case is run when it is asked for."""

    def __missing__(self, name: str) -> Any:
        self[name] = trio.run(run_cases, [_CASES[name]], ours())[name]
        return self[name]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> _Results:
    """What ours answers to every case that this session asks for."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return _OneByOne()
    asked = {
        item.callspec.params["case"].name
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    }
    return trio.run(run_cases, [case for name, case in _CASES.items() if name in asked], ours())


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_ours_is_as_recorded(case: Case, results: _Results) -> None:
    result = results[case.name]
    if isinstance(result, Exception):
        pytest.fail(explain(result), pytrace=False)

    found = differences(case.name, compared(recorded(case)), compared(result))

    explained = [row for row in known() if row.is_about(case.name)]
    surprises = [one for one in found if not any(row.covers(one) for row in explained)]
    assert not surprises, "\n" + "\n".join(map(str, surprises))
    stale = [row for row in explained if not any(row.covers(one) for one in found)]
    assert not stale, f"docs/differences.md explains what is not different: {stale}"
