"""`python -m tests.bench [--quick] [row ...]`: measure, print the table and, of all rows, write docs/benchmarks.md."""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from tests.bench.conditions import document
from tests.bench.origin import origins
from tests.bench.others import peers
from tests.bench.processes import BenchError, cores
from tests.bench.proxies import envoy, ours
from tests.bench.report import tables
from tests.bench.results import Figure, Result
from tests.bench.rows import QUICK, ROWS, Row
from tests.bench.setting import Setting

_DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    """Run the rows that were asked for; 1 if one of them could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, Envoy and ours, under two minutes")
    parser.add_argument("--alone", action="store_true", help="Envoy and ours, without the other proxies")
    parser.add_argument("--rounds", type=int, help="turns of each proxy (5; quick: 3)")
    parser.add_argument("--seconds", type=int, help="length of a turn (2)")
    parser.add_argument("--envoy-twice", action="store_true", help="Envoy beside itself: how true is the ruler?")
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(row.name for row in ROWS))
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    wanted = options.rows or (QUICK if options.quick else [row.name for row in ROWS])
    rows = [row for row in ROWS if row.name in wanted]
    begin = time.monotonic()
    try:
        with _setting(options) as setting:
            results = [result for row in rows for result in _measure(row, setting)]
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{tables(results)}")
    failed = any(result.failure for result in results)
    if not (any(vars(options).values()) or failed):  # whole runs only
        _DOCUMENT.write_text(document(results, setting, (time.monotonic() - begin) / 60))
    return 1 if failed else 0


@contextlib.contextmanager
def _setting(options: argparse.Namespace) -> Iterator[Setting]:
    """The origins run while it lasts."""
    proxy_cores, other_cores = cores()
    with TemporaryDirectory() as directory, origins(Path(directory), other_cores) as ports:
        others, absent = ((), {}) if options.quick or options.alone else peers()
        yield Setting(
            envoy=envoy(),
            ours=attrs.evolve(envoy(), name="Envoy again") if options.envoy_twice else ours(Path(directory)),
            others=others,
            absent=absent,
            origins=ports,
            proxy_cores=proxy_cores,
            other_cores=other_cores,
            rounds=options.rounds or (3 if options.quick else 5),
            seconds=options.seconds or 2,
        )


def _measure(row: Row, setting: Setting) -> list[Result]:
    print(f"{row.name} ...", file=sys.stderr, flush=True)
    try:
        return list(row.measure(setting))
    except (BenchError, OSError) as error:
        return [Figure(row.name, "", failure=str(error))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
