"""The answer of `/stats/prometheus`: the text exposition format, byte for byte as Envoy writes it.

Rules:
1. Counters, then gauges, then text readouts if asked for, then histograms. All stats whose name without tags is the
   same are one metric; metrics are in the order of these names and samples in that of the full names, compared token
   by token (so `c` comes before `c-x`).
2. A label-less sample keeps its braces. There are no HELP lines.
3. `histogram_buckets=summary` shows the quantiles of the last interval instead of the buckets of all time.

Source: Envoy's PrometheusStatsFormatter (1.40); the protobuf exposition is not offered, as a scraper may not get it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, TypeAlias

from trio_envoy.stats.declare import Kind
from trio_envoy.stats.histogram import QUANTILES, Distribution
from trio_envoy.stats.numbers import exact
from trio_envoy.stats.query import Buckets, StatsQuery
from trio_envoy.stats.store import Store

_PIECE = 1024  # samples
_HISTOGRAMS = 64  # samples of histograms, of some 20 lines each
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_]")
_Sample: TypeAlias = tuple[str, str, str, Any]  # sort key, full name, labels, value
_Writer: TypeAlias = Callable[[str, str, str, Any], str]  # metric, full name, labels, value -> lines


def render_prometheus(store: Store, query: StatsQuery) -> Iterator[str]:
    """Pieces of the exposition; an empty one is a place to let others run, before there is anything to say."""
    yield from _family(store, query, (Kind.COUNTER,), "counter", _number)
    yield from _family(store, query, (Kind.GAUGE, Kind.HIDDEN_GAUGE), "gauge", _number)
    if query.text_readouts:
        yield from _family(store, query, (Kind.TEXT,), "gauge", _text)
    if query.buckets is Buckets.SUMMARY:
        yield from _family(store, query, (Kind.HISTOGRAM,), "summary", _summary)
    else:
        yield from _family(store, query, (Kind.HISTOGRAM,), "histogram", _histogram_writer(store))


def _family(store: Store, query: StatsQuery, kinds: tuple[Kind, ...], word: str, write: _Writer) -> Iterator[str]:
    """The metrics of one type."""
    kinds = tuple(kind for kind in kinds if kind in query.kinds)
    extract = store.settings.tags.extract
    metrics: dict[str, list[_Sample]] = {}
    labels: dict[tuple[tuple[str, str], ...], str] = {}  # a scope's stats have the same ones as a rule
    for batch in store.select(kinds, used_only=query.used_only, keep=query.keep):
        for name, value in batch:
            tagless, tags = extract(name)
            text = labels.get(tags)
            if text is None:
                text = labels[tags] = _labels(tags)
            sample = (name.replace(".", "\0"), name, text, value)
            if tagless in metrics:
                metrics[tagless].append(sample)
            else:
                metrics[tagless] = [sample]
        yield ""
    piece = _HISTOGRAMS if Kind.HISTOGRAM in kinds else _PIECE
    lines: list[str] = []
    for tagless in sorted(metrics, key=lambda name: name.split(".")):
        samples = metrics.pop(tagless)
        samples.sort(key=itemgetter(0))
        metric = "envoy_" + _NOT_ALLOWED.sub("_", tagless)
        lines.append(f"# TYPE {metric} {word}\n")
        for _, name, text, value in samples:
            lines.append(write(metric, name, text, value))
            if len(lines) >= piece:
                yield "".join(lines)
                lines.clear()
    if lines:
        yield "".join(lines)


def _labels(tags: tuple[tuple[str, str], ...]) -> str:
    return ",".join([f'{_NOT_ALLOWED.sub("_", tag)}="{_escaped(value)}"' for tag, value in tags])


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


def _number(metric: str, name: str, labels: str, value: Any) -> str:
    return f"{metric}{{{labels}}} {value}\n"


def _text(metric: str, name: str, labels: str, value: Any) -> str:
    comma = "," if labels else ""
    return f'{metric}{{{labels}{comma}text_value="{_escaped(value)}"}} 0\n'


def _histogram_writer(store: Store) -> _Writer:
    def write(metric: str, name: str, labels: str, value: Any) -> str:
        total = Distribution(value.total)
        bounds = store.settings.buckets(name)
        lead = f"{labels}," if labels else ""
        lines = [
            f'{metric}_bucket{{{lead}le="{exact(bound)}"}} {count}\n'
            for bound, count in zip(bounds, total.cumulative(bounds), strict=True)
        ]
        lines.append(f'{metric}_bucket{{{lead}le="+Inf"}} {total.count}\n')
        lines.append(_sum_and_count(metric, labels, total))
        return "".join(lines)

    return write


def _summary(metric: str, name: str, labels: str, value: Any) -> str:
    interval = Distribution(value.interval)
    lead = f"{labels}," if labels else ""
    lines = [
        f'{metric}{{{lead}quantile="{quantile:g}"}} {exact(number)}\n'
        for quantile, number in zip(QUANTILES, interval.quantiles(), strict=True)
    ]
    lines.append(_sum_and_count(metric, labels, interval))
    return "".join(lines)


def _sum_and_count(metric: str, labels: str, distribution: Distribution) -> str:
    return f"{metric}_sum{{{labels}}} {exact(distribution.sum())}\n{metric}_count{{{labels}}} {distribution.count}\n"
