"""Ours against what the real Envoy answered: one test per case; the cases run together in a thread beside."""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Self, cast

import pytest
import trio

from tests.parity.case import Case, find
from tests.parity.differences import differences, known
from tests.parity.engine import Result, compared, explain, run_cases
from tests.parity.record import recorded
from tests.parity.subjects import ours

_CASES = {case.name: case for case in find()}
_PATIENCE = 600.0  # s; far more than all cases take


class _Run:
    """Runs cases and hands out the result of each as soon as it is there."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._results: dict[str, Result] = {}
        self._there = {case.name: threading.Event() for case in cases}
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread = threading.Thread(target=trio.run, args=(self._work,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None and self._thread.is_alive():
            trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join()

    def result(self, case: Case) -> Result:
        """Wait for one case."""
        assert self._there[case.name].wait(_PATIENCE), "the run beside has ended"
        return self._results[case.name]

    async def _work(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            await run_cases(self._cases, ours(), self._done)

    def _done(self, name: str, result: Result) -> None:
        self._results[name] = result
        self._there[name].set()


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Iterator[_Run]:
    """A run of the cases that this session asks for; under pytest-xdist, where each worker has all, of none."""
    asked = [
        cast(Case, item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "case" in item.callspec.params
    ]
    with _Run([] if "PYTEST_XDIST_WORKER" in os.environ else asked) as run:
        yield run


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_ours_is_as_recorded(case: Case, run: _Run) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        with _Run([case]) as alone:
            result = alone.result(case)
    else:
        result = run.result(case)
    if isinstance(result, Exception):
        pytest.fail(explain(result), pytrace=False)

    found = differences(case.name, compared(recorded(case)), compared(result))

    explained = [row for row in known() if row.is_about(case.name)]
    surprises = [one for one in found if not any(row.covers(one) for row in explained)]
    assert not surprises, "\n" + "\n".join(map(str, surprises))
    stale = [row for row in explained if not any(row.covers(one) for one in found)]
    assert not stale, f"docs/differences.md explains what is not different: {stale}"
