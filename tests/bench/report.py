"""The results as tables, for the terminal and for docs/benchmarks.md."""

from collections.abc import Sequence

from tests.bench.others import GOALS
from tests.bench.results import Bound, Figure, Result, Spread, Traffic, median_cost, median_rate

_TRAFFIC_HEAD = (
    "traffic",
    "Envoy us/req",
    "trio_envoy us/req",
    "ratio",
    "must",
    "reach for",
    "is",
    "Envoy req/s",
    "trio_envoy req/s",
    "Envoy p50, p99 ms",
    "trio_envoy p50, p99 ms",
)
_FIGURE_HEAD = ("figure", "unit", "Envoy", "trio_envoy", "ratio", "must", "reach for", "is")


def tables(results: Sequence[Result]) -> str:
    """Markdown: tables of traffic, of the other proxies' traffic and of figures, and what failed."""
    traffic = [_traffic_cells(row) for row in results if isinstance(row, Traffic) and not row.failure]
    figures = [_figure_cells(row) for row in results if isinstance(row, Figure) and not row.failure]
    parts = []
    if traffic:
        parts.append(table(_TRAFFIC_HEAD, traffic))
    parts += _others([row for row in results if isinstance(row, Traffic) and row.others])
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


def _others(rows: Sequence[Traffic]) -> Sequence[str]:
    """What the other proxies cost, and how many times ours that is; nothing without any."""
    names = list(dict.fromkeys(name for row in rows for name in row.others))
    heads = [f"{name} (goal {GOALS[name]:.1f})" if name in GOALS else name for name in names]
    lines = []
    for row in rows:
        cells = [row.title, number(median_cost(row.ours))]
        for name in names:
            there = name in row.others
            cells.append(
                f"{spread([sample.cost for sample in row.others[name]])} = {row.times_ours(name):.2f} x"
                if there
                else "-"
            )
        lines.append(cells)
    return [table(("others: us/req, times ours", "trio_envoy", *heads), lines)] if lines else []


def _traffic_cells(row: Traffic) -> Sequence[str]:
    cells = [row.title]
    cells += [spread([sample.cost for sample in samples]) for samples in (row.envoy, row.ours)]
    cells.append(f"{row.ratio:.2f}")
    cells += _bound_cells(row.bound, row.ratio)
    cells += [number(median_rate(samples)) for samples in (row.envoy, row.ours)]
    for samples in (row.envoy, row.ours):
        medians = []
        for values in ([sample.load.p50 for sample in samples], [sample.load.p99 for sample in samples]):
            known = [value for value in values if value is not None]
            medians.append(number(Spread.of(known).median / 1e3) if known else "-")
        cells.append(", ".join(medians))
    return cells


def _figure_cells(row: Figure) -> Sequence[str]:
    figure = row.ratio if row.bound and row.bound.of_ratio else Spread.of(row.ours).median
    bounds = _bound_cells(row.bound, figure, row.unit)
    return (row.title, row.unit, spread(row.envoy), spread(row.ours), f"{row.ratio:.2f}", *bounds)


def _bound_cells(bound: Bound | None, figure: float, unit: str = "") -> Sequence[str]:
    """Both bounds, and where the figure stands; what bounds a ratio has no unit."""
    if bound is None:
        return ("", "", "")
    unit = "" if bound.of_ratio else f" {unit}"
    stands = "reached" if figure <= bound.reach else "good" if figure <= bound.must else "MISSED"
    return (f"<= {bound.must:.4g}{unit}", f"<= {bound.reach:.3g}{unit}", stands)


def _notes(row: Result) -> Sequence[str]:
    if row.failure:
        return [f"not measured: {row.failure}"]
    if isinstance(row, Figure):
        return []
    counts = {name: sum(sample.load.errors for sample in samples) for name, samples in row.by_name().items()}
    failed = [f"{count} requests failed at {name}" for name, count in counts.items() if count]
    return failed + [f"without {name}: {why}" for name, why in row.absent.items()]
