"""`python -m tests.bench [--quick] [row ...]`: measure, print the table and, of all rows, write docs/benchmarks.md."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from tests.bench.conditions import document
from tests.bench.origin import origin
from tests.bench.processes import BenchError, cores
from tests.bench.proxies import envoy, ours
from tests.bench.report import tables
from tests.bench.results import Figure, Result
from tests.bench.rows import ROWS, Row, Setting

_DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    """Run the rows that were asked for; 1 if one of them could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute; writes no document")
    parser.add_argument("--rounds", type=int, help="turns of each proxy (5; quick: 2)")
    parser.add_argument("--seconds", type=int, help="length of a turn (2; quick: 1)")
    parser.add_argument("--envoy-twice", action="store_true", help="Envoy beside itself: how true is the ruler?")
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(row.name for row in ROWS))
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    proxy_cores, other_cores = cores()
    try:
        with TemporaryDirectory() as place, origin(Path(place), other_cores) as port:
            setting = Setting(
                envoy=envoy(),
                ours=attrs.evolve(envoy(), name="Envoy again") if options.envoy_twice else ours(Path(place)),
                origin=port,
                proxy_cores=proxy_cores,
                other_cores=other_cores,
                rounds=options.rounds or (2 if options.quick else 5),
                seconds=options.seconds or (1 if options.quick else 2),
            )
            results = [
                result
                for row in ROWS
                if not options.rows or row.name in options.rows
                for result in _measure(row, setting)
            ]
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{tables(results)}")
    failed = any(result.failure for result in results)
    if not (options.rows or options.quick or options.envoy_twice or failed):
        _DOCUMENT.write_text(document(results, setting))
    return 1 if failed else 0


def _measure(row: Row, setting: Setting) -> list[Result]:
    print(f"{row.name} ...", file=sys.stderr, flush=True)
    try:
        return list(row.measure(setting))
    except BenchError as error:
        return [Figure(row.name, "", failure=str(error))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
