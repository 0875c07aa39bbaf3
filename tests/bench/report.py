"""The results as tables, for the terminal and for docs/benchmarks.md."""

from collections.abc import Sequence

from tests.bench.results import Figure, Result, Spread, Traffic

_TRAFFIC_HEAD = (
    "traffic",
    "Envoy us/req",
    "trio_envoy us/req",
    "ratio",
    "Envoy req/s",
    "trio_envoy req/s",
    "Envoy p50, p99 ms",
    "trio_envoy p50, p99 ms",
)
_FIGURE_HEAD = ("figure", "unit", "Envoy", "trio_envoy", "ratio")


def tables(results: Sequence[Result]) -> str:
    """Markdown: a table of traffic, a table of figures, and what failed."""
    traffic = [_traffic_cells(row) for row in results if isinstance(row, Traffic) and not row.failure]
    figures = [_figure_cells(row) for row in results if isinstance(row, Figure) and not row.failure]
    parts = []
    if traffic:
        parts.append(table(_TRAFFIC_HEAD, traffic))
    if figures:
        parts.append(table(_FIGURE_HEAD, figures))
    notes = [f"* {row.title}: {note}" for row in results for note in _notes(row)]
    if notes:
        parts.append("\n".join(notes) + "\n")
    return "\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns: text to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |\n"

    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return line(head) + f"| {' | '.join(rule)} |\n" + "".join(map(line, rows))


def spread(values: Sequence[float]) -> str:
    """The median and, of more than one value, the least and the most."""
    found = Spread.of(values)
    if len(values) == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)}-{number(found.most)})"


def number(value: float) -> str:
    """Three figures, no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _traffic_cells(row: Traffic) -> Sequence[str]:
    cells = [row.title]
    cells += [spread([sample.cost for sample in samples]) for samples in (row.envoy, row.ours)]
    cells.append(f"{row.ratio:.2f}")
    cells += [number(Spread.of([sample.rate for sample in samples]).median) for samples in (row.envoy, row.ours)]
    for samples in (row.envoy, row.ours):
        medians = []
        for values in ([sample.load.p50 for sample in samples], [sample.load.p99 for sample in samples]):
            known = [value for value in values if value is not None]
            medians.append(number(Spread.of(known).median / 1e3) if known else "-")
        cells.append(", ".join(medians))
    return cells


def _figure_cells(row: Figure) -> Sequence[str]:
    return (row.title, row.unit, spread(row.envoy), spread(row.ours), f"{row.ratio:.2f}")


def _notes(row: Result) -> Sequence[str]:
    if row.failure:
        return [f"not measured: {row.failure}"]
    if isinstance(row, Figure):
        return []
    counts = {name: sum(sample.load.errors for sample in samples) for name, samples in row.by_name()}
    return [f"{count} requests failed at {name}" for name, count in counts.items() if count]
