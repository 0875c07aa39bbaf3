"""Whether `--mode validate` takes what Envoy takes: `python -m tests.parity.sweep [--count N] [--seed S] [--pairs]`.

The sample configurations and those of the parity cases that Envoy accepts are changed, one field at a time or two at
once, and given to the real Envoy and to ours. What is compared is accepted or refused. A field that ours refuses as not
supported here is no difference; one with a row `sweep` in docs/differences.md is counted apart. Exit code 1 if there
are others, or if ours crashed. The same seed makes the same changes.
"""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import trio
import yaml

from tests.parity import configs
from tests.parity.case import Case, find
from tests.parity.certificates import Certificates
from tests.parity.changes import Change, Generator, applied
from tests.parity.differences import Known, known
from tests.parity.engine import readable
from tests.parity.subjects import ProcessSubject, SubjectError, envoy
from trio_envoy.cli import build
from trio_envoy.errors import ConfigErrors
from trio_envoy.server.command_line import parse
from trio_envoy.server.logs import ApplicationLog

SAMPLES = Path(__file__).parents[2] / "sample_configs"
AT_ONCE = 2  # Envoys at the same time
_PATIENCE = 30.0  # s for one Envoy
_EVERY = 500  # trials between two lines about the progress
_JSON = 4  # one file in so many is JSON, which Envoy reads by another way than YAML
_NOT_SUPPORTED = "not supported here"


@attrs.frozen
class Verdict:
    """What a subject says of a configuration.

    Attributes:
        accepted: whether it would run it.
        reasons: why not.
        crashed: it ended in no orderly way; the reason is a traceback or a signal.
    """

    accepted: bool
    reasons: tuple[str, ...] = ()
    crashed: bool = False

    @property
    def is_unsupported(self) -> bool:
        """Refused for what isn't supported here, and for nothing else."""
        return not self.accepted and all(_NOT_SUPPORTED in reason for reason in self.reasons)


@attrs.frozen(eq=False)
class Trial:
    """A changed configuration.

    Attributes:
        number: 1, 2, ...
        source: name of the configuration.
        changes: one or two.
        tree: what came out.
    """

    number: int
    source: str
    changes: Sequence[Change]
    tree: Any


@attrs.define(eq=False)
class Tally:
    """What was found.

    Attributes:
        counts: trials by outcome.
        differences: texts about those that nothing explains.
        met: rows of the ledger, and how often each explained one.
    """

    ledger: Sequence[Known]
    counts: Counter[str] = attrs.field(factory=Counter)
    differences: list[str] = attrs.field(factory=list)
    met: Counter[str] = attrs.field(factory=Counter)

    def take(self, trial: Trial, ours: Verdict, theirs: Verdict | None) -> None:
        """Note the outcome of a trial; theirs is None if Envoy needn't be asked."""
        if theirs is not None and theirs.crashed:
            self.counts["Envoy crashed or hung"] += 1
        if ours.crashed:
            outcome = "different"
        elif theirs is None or (ours.is_unsupported and theirs.accepted):
            outcome = "not supported here"
        elif ours.accepted == theirs.accepted:
            outcome = f"same: {'accepted' if ours.accepted else 'refused'}"
        else:
            rows = explanations(self.ledger, ours, theirs)
            self.met.update(rows or ())
            outcome = "different" if rows is None else "explained"
        self.counts[outcome] += 1
        if outcome == "different":
            self.differences.append(_described(trial, ours, theirs))
            print(self.differences[-1], flush=True)


def explanations(ledger: Sequence[Known], ours: Verdict, theirs: Verdict) -> list[str] | None:
    """The rows that explain a difference: one for each reason of the one that refuses; None if one has none."""
    rows: list[str] = []
    for who, verdict in (("ours", ours), ("envoy", theirs)):
        for reason in verdict.reasons:
            if _NOT_SUPPORTED in reason and who == "ours":
                continue
            row = next((row for row in ledger if fnmatchcase(f"{who}: {reason}", row.where)), None)
            if row is None:
                return None
            rows.append(row.where)
    return rows


def _described(trial: Trial, ours: Verdict, theirs: Verdict | None) -> str:
    lines = [f"{trial.number} {trial.source}"]
    lines += (f"    {change}" for change in trial.changes)
    for who, verdict in (("envoy", theirs), ("ours", ours)):
        if verdict is not None:
            said = "\n           ".join(verdict.reasons)[:2000]
            lines.append(f"    {who}: {'accepts' if verdict.accepted else f'refuses: {said}'}")
    return "\n".join(lines)


def ask_ours(path: Path) -> Verdict:
    """Ours, in this process; in a directory of its own, since a changed path may be relative."""
    with tempfile.TemporaryDirectory(dir=path.parent) as empty:
        before = Path.cwd()
        os.chdir(empty)
        try:
            return _ours(path)
        finally:
            os.chdir(before)


def _ours(path: Path) -> Verdict:
    line = parse(["--mode", "validate", "-l", "off", "-c", str(path)])
    log = ApplicationLog(pattern=None, path="", level="off")
    try:
        build(line, log, None)
    except ConfigErrors as errors:
        return Verdict(False, tuple(str(fault).removeprefix(f"{path}:")[:600] for fault in errors.faults))
    except Exception:  # whatever it is, it is a defect of ours to be told
        return Verdict(False, (traceback.format_exc(limit=-6),), crashed=True)
    return Verdict(True)


async def ask_envoy(oracle: ProcessSubject, path: Path) -> Verdict:
    """The real one, as a process in a directory of its own."""
    flags = ["--mode", "validate", "-l", "critical", "--disable-hot-restart", "--use-dynamic-base-id"]
    command = [*oracle.command, *flags, "--concurrency", "1", "-c", str(path)]
    with tempfile.TemporaryDirectory(dir=path.parent) as empty, trio.move_on_after(_PATIENCE):
        ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, cwd=empty)
        if ended.returncode == 0:
            return Verdict(True)
        said = readable(ended.stderr.decode(errors="replace"))
        return Verdict(False, (f"{said} (exit code {ended.returncode})",), crashed=ended.returncode != 1)
    return Verdict(False, (f"no end after {_PATIENCE:.0f} s",), crashed=True)


def sources(directory: Path) -> Iterator[tuple[str, Any]]:
    """Configurations that Envoy accepts, by name: the samples in v3 and those of the cases.

    Args:
        directory: gets the files that they name.
    """
    for path in sorted(SAMPLES.rglob("*.v3.yaml")):
        yield path.name, yaml.safe_load(path.read_text())
    directory.mkdir()
    certificates = Certificates(directory).placeholders()
    for case in find():
        if not case.args and case.ours is None:
            yield from _of_case(case, directory / case.name, certificates)


def _of_case(case: Case, directory: Path, certificates: dict[str, str]) -> Iterator[tuple[str, Any]]:
    upstreams = {**configs.base_upstreams(case.base), **case.upstreams}
    ports = {name: 20000 + number for number, name in enumerate(upstreams)}
    values = {"admin": 0, "ingress": 0, "second": 0, "large": "x", "dir": str(directory), **certificates, **ports}
    directory.mkdir(parents=True)
    for name, text in case.files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(configs.fill_text(text, values))
    if not case.validate:
        yield case.name, _tree(case.config, case, [case.with_], values)
        return
    recorded = json.loads(case.recording.read_text())["validate"]
    for name, trial in case.validate.items():
        if recorded[name]["accepted"] and not trial.args and trial.ours is None and trial.suffix == ".yaml":
            yield f"{case.name}: {name}", _tree(trial.config, case, [case.with_, trial.with_], values)


def _tree(text: str | None, case: Case, parts: Sequence[Any], values: dict[str, Any]) -> Any:
    if text is None:
        assert case.base is not None
        text = configs.text_of(configs.build(case.base, *parts), values)
    try:
        return json.loads(json.dumps(yaml.safe_load(configs.fill_text(text, values)), allow_nan=False))
    except (yaml.YAMLError, TypeError, ValueError):  # a case about how a file is written
        return None


class Sweep:
    """One run.

    Args:
        oracle: the real Envoy.
        directory: for files.
        seed: the same seed makes the same changes.
    """

    def __init__(self, oracle: ProcessSubject, directory: Path, seed: int) -> None:
        self._oracle = oracle
        self._directory = directory
        self._named = [
            (name, tree)
            for name, tree in sources(directory / "cases")
            if isinstance(tree, dict) and ask_ours(self._written(tree, 0)).accepted
        ]
        self._generator = Generator([tree for _, tree in self._named], seed)
        self.tally = Tally([row for row in known() if row.is_about("sweep")])

    async def run(self, count: int, *, pairs: bool) -> None:
        """Make so many trials, fewer when there is nothing new any more."""
        limit = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for trial in self._pairs(count) if pairs else self._singles(count):
                if trial.number % _EVERY == 0:
                    print(f"... {trial.number}", file=sys.stderr, flush=True)
                path = self._written(trial.tree, trial.number)
                ours = ask_ours(path)
                if ours.is_unsupported:
                    self._end(trial, path, ours, None)
                    continue
                await limit.acquire_on_behalf_of(trial)
                nursery.start_soon(self._compare, trial, path, ours, limit)

    async def _compare(self, trial: Trial, path: Path, ours: Verdict, limit: trio.CapacityLimiter) -> None:
        try:
            theirs = await ask_envoy(self._oracle, path)
        finally:
            limit.release_on_behalf_of(trial)
        self._end(trial, path, ours, theirs)

    def _end(self, trial: Trial, path: Path, ours: Verdict, theirs: Verdict | None) -> None:
        self.tally.take(trial, ours, theirs)
        path.unlink()

    def _singles(self, count: int) -> Iterator[Trial]:
        for number, (source, change) in enumerate(self._generator.singles(), 1):
            if number > count:
                return
            name, tree = self._named[source]
            yield Trial(number, name, (change,), applied(tree, [change]))

    def _pairs(self, count: int) -> Iterator[Trial]:
        """Two changes, each of which ours accepts by itself: what one of them spoils tells nothing of both."""
        number = 0
        for source, change in self._generator.singles():
            name, tree = self._named[source]
            if not self._passes(tree, change):
                continue
            other = next((one for one in self._generator.near(source, change, 8) if self._passes(tree, one)), None)
            if other is None:
                continue
            number += 1
            if number > count:
                return
            yield Trial(number, name, (change, other), applied(tree, [change, other]))

    def _passes(self, tree: Any, change: Change) -> bool:
        return ask_ours(self._written(applied(tree, [change]), 0)).accepted

    def _written(self, tree: Any, number: int) -> Path:
        suffix = ".json" if number % _JSON == 0 and number else ".yaml"
        path = self._directory / f"{number}{suffix}"
        path.write_text(json.dumps(tree))
        return path


def main(arguments: Sequence[str]) -> int:
    """Sweep and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity.sweep", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="changes to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which changes (default: %(default)s)")
    parser.add_argument("--pairs", action="store_true", help="two changes at once")
    options = parser.parse_args(arguments)
    try:
        oracle = envoy()
    except SubjectError as error:
        print(error, file=sys.stderr)
        return 1
    oracle = attrs.evolve(oracle, command=[str(Path(oracle.command[0]).absolute())])
    with tempfile.TemporaryDirectory(prefix="sweep-") as directory:
        sweep = Sweep(oracle, Path(directory), options.seed)
        trio.run(lambda: sweep.run(options.count, pairs=options.pairs))
    return _report(sweep.tally)


def _report(tally: Tally) -> int:
    print(*(f"{count:5}  {what}" for what, count in sorted(tally.counts.items())), sep="\n")
    for row in tally.ledger:
        print(f"{tally.met[row.where]:5}  explained by {row.where!r}")
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
