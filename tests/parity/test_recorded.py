"""Ours against what the real Envoy answered: one test per case; the cases run together in a thread beside.

Under pytest-xdist the worker that comes first runs them all, the others read its results: a case is mostly waiting,
so they are run some at a time, and only one worker needs a fork server.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import pytest
import trio

from tests.parity.case import Case, find
from tests.parity.differences import differences, known
from tests.parity.engine import Result, compared, explain, run_cases
from tests.parity.record import recorded
from tests.parity.subjects import ours

_CASES = {case.name: case for case in find()}
_PATIENCE = 300.0  # s; far more than all cases take
_DISTRIBUTED = "PYTEST_XDIST_WORKER" in os.environ


class _Run:
    """Runs cases, unless another worker does, and hands out the result of each as soon as it is there.

    Args:
        cases: all that are asked for, whichever worker asks.
        shared: a directory that all workers of this session see.
    """

    def __init__(self, cases: Sequence[Case], shared: Path) -> None:
        self._cases = cases
        self._shared = shared
        self._runner = os.open(shared / "runner", os.O_RDWR | os.O_CREAT)  # never closed
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if not self._lock(fcntl.LOCK_EX):
            return self
        self._thread = threading.Thread(target=trio.run, args=(self._work,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        if not _DISTRIBUTED and self._token is not None and self._thread.is_alive():
            trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join()

    def result(self, case: Case) -> Any:
        """Wait for one case; its answer document, or a text that says why there is none."""
        path = self._path(case.name)
        for _ in range(int(_PATIENCE / 0.02)):
            if path.exists():
                return json.loads(path.read_text())
            if self._thread is None and self._lock(fcntl.LOCK_SH) and not path.exists():
                return "the worker that ran the cases has died"
            time.sleep(0.02)
        return "no result came"

    def _lock(self, how: int) -> bool:
        """Whether nobody who lives runs the cases: the one who does keeps the lock until its process ends."""
        try:
            fcntl.flock(self._runner, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    async def _work(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            await run_cases(self._cases, ours(), self._done)

    def _done(self, name: str, result: Result) -> None:
        path = self._path(name)
        writing = path.with_suffix(".writing")
        writing.write_text(json.dumps(explain(result) if isinstance(result, Exception) else result))
        writing.rename(path)

    def _path(self, name: str) -> Path:
        return self._shared / f"{name.replace('/', '.')}.json"


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Run]:
    """A run of the cases that this session asks for."""
    asked = [
        cast(Case, item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "case" in item.callspec.params
    ]
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if _DISTRIBUTED else base) / "parity"
    shared.mkdir(exist_ok=True)
    with _Run(asked, shared) as run:
        yield run


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_ours_is_as_recorded(case: Case, run: _Run) -> None:
    result = run.result(case)
    if isinstance(result, str):
        pytest.fail(result, pytrace=False)

    found = differences(case.name, compared(recorded(case)), compared(result))

    explained = [row for row in known() if row.is_about(case.name)]
    surprises = [one for one in found if not any(row.covers(one) for row in explained)]
    assert not surprises, "\n" + "\n".join(map(str, surprises))
    stale = [row for row in explained if not any(row.covers(one) for one in found)]
    assert not stale, f"docs/differences.md explains what is not different: {stale}"
