"""The answers of `/stats`: text, JSON and HTML, byte for byte as Envoy writes the first two.

Every renderer is a generator of pieces of text, some 1,000 stats each, so that a long answer can be sent as it is made
and other tasks run in between (RenderedBody does that). Histograms show what the last flush left.

Sources: Envoy's StatsRequest, StatsTextRender, StatsJsonRender, HistogramStatisticsImpl (1.40).
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import chain
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

import trio

from trio_envoy.stats import numbers
from trio_envoy.stats.declare import Kind
from trio_envoy.stats.histogram import QUANTILES, Distribution, Histogram, Merged
from trio_envoy.stats.prometheus import render_prometheus
from trio_envoy.stats.query import Buckets, Format, StatsQuery
from trio_envoy.stats.store import Store


class RenderedBody:
    """An http body that is rendered while it is read, a piece a read, with a checkpoint before each.

    Cancelled: nothing is lost; the next read gives the next piece.
    """

    __slots__ = ("_pieces", "trailers")

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces: Iterator[str] | None = pieces
        self.trailers: None = None

    def read_nowait(self) -> bytes | None:
        """None until the end: every piece is some work, so others get their turn first."""
        return None if self._pieces is not None else b""

    async def read(self) -> bytes:
        """The next piece; b"" at the end."""
        while self._pieces is not None:
            await trio.lowlevel.checkpoint()
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
            elif piece:
                return piece.encode("utf-8", "surrogateescape")
        return b""


class Rendered(NamedTuple):
    """An answer.

    Attributes:
        content_type: header value.
        pieces: of the body; some may be empty.
    """

    content_type: str
    pieces: Iterator[str]


def render(store: Store, query: StatsQuery) -> Rendered:
    """The answer to a question, in the form that it asks for."""
    if query.format is Format.JSON:
        return Rendered("application/json", render_json(store, query))
    if query.format is Format.PROMETHEUS:
        return Rendered("text/plain; charset=UTF-8", render_prometheus(store, query))
    if query.format is Format.TEXT:
        return Rendered("text/plain; charset=UTF-8", render_text(store, query))
    return Rendered("text/html; charset=UTF-8", render_html(store, query))


# --- text ---------------------------------------------------------------------------------------


def render_text(store: Store, query: StatsQuery) -> Iterator[str]:
    """`name: value` lines: text readouts, then counters and gauges, then histograms, each in order of names."""
    if Kind.TEXT in query.kinds:
        for batch in store.select((Kind.TEXT,), used_only=query.used_only, keep=query.keep):
            yield "".join([f'{name}: "{value}"\n' for name, value in batch])
    for batch in store.select(query.numbers, used_only=query.used_only, keep=query.keep):
        yield "".join([f"{name}: {value}\n" for name, value in batch])
    if Kind.HISTOGRAM in query.kinds:
        for batch in store.select((Kind.HISTOGRAM,), used_only=query.used_only, keep=query.keep):
            yield "".join([_text_histogram(store, query.buckets, name, value) for name, value in batch])


def _text_histogram(store: Store, buckets: Buckets, name: str, histogram: Histogram | Merged) -> str:
    if not histogram.used:
        return f"{name}: No recorded values\n"
    return f"{name}:{histogram_text(histogram, buckets, store.settings.buckets(name))}\n"


def histogram_text(histogram: Histogram | Merged, buckets: Buckets, bounds: tuple[float, ...]) -> str:
    """What stands behind `name:` in the text form."""
    interval, total = Distribution(histogram.interval), Distribution(histogram.total)
    if buckets is Buckets.CUMULATIVE:
        return _bucket_pairs(bounds, interval.cumulative(bounds), total.cumulative(bounds))
    if buckets is Buckets.DISJOINT:
        return _bucket_pairs(bounds, interval.disjoint(bounds), total.disjoint(bounds))
    pairs = zip(QUANTILES, interval.quantiles(), total.quantiles(), strict=True)
    summary = " ".join([f"P{100 * q:g}({numbers.plain(i)},{numbers.plain(t)})" for q, i, t in pairs])
    if buckets is Buckets.DETAILED:
        return f"\n  totals={_bins(total)}\n  intervals={_bins(interval)}\n  summary={summary}"
    return f" {summary}"


def _bucket_pairs(bounds: tuple[float, ...], interval: list[int], total: list[int]) -> str:
    return "".join([f" B{bound:g}({i},{t})" for bound, i, t in zip(bounds, interval, total, strict=True)])


def _bins(distribution: Distribution) -> str:
    return ", ".join([f"{lower:g},{width:g}:{count}" for lower, width, count in distribution.bins])


# --- JSON ---------------------------------------------------------------------------------------

_PERCENTILES = ",".join(f"{100 * quantile:g}" for quantile in QUANTILES)

_HISTOGRAM_FRAMES = {
    Buckets.CUMULATIVE: ('{"histograms":[', "]}"),
    Buckets.DISJOINT: ('{"histograms":[', "]}"),
    Buckets.DETAILED: (f'{{"histograms":{{"supported_percentiles":[{_PERCENTILES}],"details":[', "]}}"),
    Buckets.SUMMARY: (f'{{"histograms":{{"supported_quantiles":[{_PERCENTILES}],"computed_quantiles":[', "]}}"),
}


def render_json(store: Store, query: StatsQuery) -> Iterator[str]:
    """One line: {"stats":[...]}; the histograms are its last element."""
    separator = ""
    yield '{"stats":['
    texts = store.select((Kind.TEXT,) if Kind.TEXT in query.kinds else (), used_only=query.used_only, keep=query.keep)
    for batch in texts:
        yield separator + ",".join([f'{{"name":{quoted(name)},"value":{quoted(text)}}}' for name, text in batch])
        separator = ","
    for batch in store.select(query.numbers, used_only=query.used_only, keep=query.keep):
        yield separator + ",".join([f'{{"name":{quoted(name)},"value":{value}}}' for name, value in batch])
        separator = ","
    if Kind.HISTOGRAM in query.kinds:
        yield from _json_histograms(store, query, separator)
    yield "]}"


def _json_histograms(store: Store, query: StatsQuery, separator: str) -> Iterator[str]:
    buckets = Buckets.SUMMARY if query.buckets is Buckets.UNSET else query.buckets
    before, after = _HISTOGRAM_FRAMES[buckets]
    lead = separator + before
    for batch in store.select((Kind.HISTOGRAM,), used_only=query.used_only, keep=query.keep):
        bounds = store.settings.buckets
        yield lead + ",".join([_json_histogram(name, value, buckets, bounds(name)) for name, value in batch])
        lead = ","
    if lead == ",":
        yield after


def _json_histogram(name: str, histogram: Histogram | Merged, buckets: Buckets, bounds: tuple[float, ...]) -> str:
    interval, total = Distribution(histogram.interval), Distribution(histogram.total)
    name = quoted(name)
    if buckets is Buckets.CUMULATIVE:
        steps = _json_buckets(bounds, interval.cumulative(bounds), total.cumulative(bounds))
        return f'{{"name":{name},"buckets":[{steps}]}}'
    if buckets is Buckets.DISJOINT:
        steps = _json_buckets(bounds, interval.disjoint(bounds), total.disjoint(bounds))
        return f'{{"name":{name},"buckets":[{steps}]}}'
    pairs = zip(total.quantiles(), interval.quantiles(), strict=True)
    values = ",".join([f'{{"cumulative":{numbers.json(t)},"interval":{numbers.json(i)}}}' for t, i in pairs])
    if buckets is Buckets.DETAILED:
        bins = f'"totals":[{_json_bins(total)}],"intervals":[{_json_bins(interval)}]'
        return f'{{"name":{name},{bins},"percentiles":[{values}]}}'
    return f'{{"name":{name},"values":[{values}]}}'


def _json_buckets(bounds: tuple[float, ...], interval: list[int], total: list[int]) -> str:
    triples = zip(bounds, interval, total, strict=True)
    return ",".join([f'{{"upper_bound":{numbers.json(b)},"interval":{i},"cumulative":{t}}}' for b, i, t in triples])


def _json_bins(distribution: Distribution) -> str:
    return ",".join(
        [
            f'{{"lower_bound":{numbers.json(lower)},"width":{numbers.json(width)},"count":{count}}}'
            for lower, width, count in distribution.bins
        ]
    )


# --- HTML ---------------------------------------------------------------------------------------

_HTML_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh}<title>Stats</title>
<style>
body {{ font-family: sans-serif; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 2px 12px 2px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }}
td.value {{ text-align: right; font-variant-numeric: tabular-nums; }}
td pre {{ margin: 0; white-space: pre-wrap; }}
</style>
</head>
<body>
<table>
<thead><tr><th>Name</th><th>Value</th></tr></thead>
<tbody>
"""

_HTML_FOOT = "</tbody>\n</table>\n</body>\n</html>\n"


def render_html(store: Store, query: StatsQuery) -> Iterator[str]:
    """A table; `active-html` loads itself again every 5 seconds."""
    refresh = '<meta http-equiv="refresh" content="5">\n' if query.format is Format.ACTIVE_HTML else ""
    yield _HTML_HEAD.format(refresh=refresh)
    texts = (Kind.TEXT,) if Kind.TEXT in query.kinds else ()
    batches = chain(
        store.select(texts, used_only=query.used_only, keep=query.keep),
        store.select(query.numbers, used_only=query.used_only, keep=query.keep),
    )
    for batch in batches:
        yield "".join([_row(name, f'<td class="value">{escape(str(value))}</td>') for name, value in batch])
    if Kind.HISTOGRAM in query.kinds:
        for batch in store.select((Kind.HISTOGRAM,), used_only=query.used_only, keep=query.keep):
            yield "".join([_row(name, _histogram_cell(store, query, name, value)) for name, value in batch])
    yield _HTML_FOOT


def _row(name: str, cell: str) -> str:
    return f"<tr><td>{escape(name)}</td>{cell}</tr>\n"


def _histogram_cell(store: Store, query: StatsQuery, name: str, histogram: Histogram | Merged) -> str:
    if not histogram.used:
        return "<td>No recorded values</td>"
    text = histogram_text(histogram, query.buckets, store.settings.buckets(name)).strip()
    return f"<td><pre>{escape(text)}</pre></td>"
