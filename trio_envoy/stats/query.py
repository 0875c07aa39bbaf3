"""What `/stats` and `/stats/prometheus` are asked: their query parameters, checked as Envoy checks them.

Source: Envoy's StatsParams::parse, Utility::histogramBucketsParam, PrometheusStatsFormatter::validateParams (1.40).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import attrs
import re2

from trio_envoy.stats.declare import Kind


class QueryError(Exception):
    """A parameter is wrong: answer 400 with this text."""


class Format(enum.Enum):
    """What the answer looks like."""

    TEXT = "text"
    JSON = "json"
    PROMETHEUS = "prometheus"
    HTML = "html"
    ACTIVE_HTML = "active-html"


class Buckets(enum.Enum):
    """How histograms are shown."""

    UNSET = "none"
    SUMMARY = "summary"
    CUMULATIVE = "cumulative"
    DISJOINT = "disjoint"
    DETAILED = "detailed"
    NATIVE = "prometheusnative"


_TYPES = {
    "All": frozenset(Kind) - {Kind.HIDDEN_GAUGE},
    "Counters": frozenset({Kind.COUNTER}),
    "Gauges": frozenset({Kind.GAUGE}),
    "Histograms": frozenset({Kind.HISTOGRAM}),
    "TextReadouts": frozenset({Kind.TEXT}),
}


@attrs.frozen(eq=False)
class StatsQuery:
    """One question.

    Attributes:
        format: of the answer.
        kinds: which are shown.
        used_only: leave out what was never written.
        keep: name -> it is wanted; None: all are.
        buckets: how histograms are shown.
        text_readouts: show them to Prometheus too.
    """

    format: Format = Format.TEXT
    kinds: frozenset[Kind] = _TYPES["All"]
    used_only: bool = False
    keep: Callable[[str], bool] | None = None
    buckets: Buckets = Buckets.UNSET
    text_readouts: bool = False

    @property
    def numbers(self) -> tuple[Kind, ...]:
        """The kinds whose values are numbers."""
        return tuple(kind for kind in (Kind.COUNTER, Kind.GAUGE, Kind.HIDDEN_GAUGE) if kind in self.kinds)


def parse(query: Mapping[str, str], *, prometheus: bool = False) -> StatsQuery:
    """Read the parameters of a request.

    Args:
        query: parameter -> its first value, decoded; unknown ones are ignored, empty ones are as if absent.
        prometheus: the path was /stats/prometheus, so format and type are not heeded.

    Raises:
        QueryError: with Envoy's text.
    """
    keep = _filter(query.get("filter", ""), invert="invert_filter" in query)
    buckets = _buckets(query.get("histogram_buckets", ""))
    kinds = _TYPES.get(query.get("type") or "All")
    if kinds is None:
        raise QueryError("invalid &type= param")
    kinds = _with_hidden(kinds, query.get("hidden", ""))
    form = _format(query.get("format", ""))
    if prometheus or form is Format.PROMETHEUS:
        form = Format.PROMETHEUS
        kinds = _with_hidden(_TYPES["All"], query.get("hidden", ""))
        if buckets is Buckets.NATIVE:
            raise QueryError("unsupported prometheusnative histogram type when not using protobuf exposition format")
        if buckets in (Buckets.DETAILED, Buckets.DISJOINT):
            raise QueryError("unsupported prometheus histogram bucket mode")
    elif buckets is Buckets.NATIVE:
        raise QueryError("Invalid histogram_buckets type for non prometheus stats type")
    return StatsQuery(form, kinds, "usedonly" in query, keep, buckets, "text_readouts" in query)


def _filter(pattern: str, *, invert: bool) -> Callable[[str], bool] | None:
    if not pattern:
        if invert:
            raise QueryError("invert_filter can only be used if filter is also provided")
        return None
    options = re2.Options()
    options.log_errors = False
    try:  # bytes: four times as fast as str
        search = re2.compile(pattern.encode("utf-8", "surrogateescape"), options).search
    except re2.error as error:
        text = error.args[0]
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        raise QueryError(f"Invalid re2 regex: {text}") from None
    if invert:
        return lambda name: search(name.encode()) is None
    return lambda name: search(name.encode()) is not None


def _buckets(word: str) -> Buckets:
    try:
        return Buckets(word or "none")
    except ValueError:
        choices = "cumulative|disjoint|detailed|summary|prometheusnative"
        raise QueryError(f"usage: /stats?histogram_buckets=({choices})\n") from None


def _with_hidden(kinds: frozenset[Kind], hidden: str) -> frozenset[Kind]:
    if hidden == "include" and Kind.GAUGE in kinds:
        return kinds | {Kind.HIDDEN_GAUGE}
    if hidden == "only":
        return frozenset({Kind.HIDDEN_GAUGE} if Kind.GAUGE in kinds else ())
    if hidden not in ("", "include", "exclude"):
        raise QueryError("usage: /stats?hidden=(include|only|exclude)\n\n")
    return kinds


def _format(word: str) -> Format:
    try:
        return Format(word or "text")
    except ValueError:
        raise QueryError("usage: /stats?format=(html|active-html|json|prometheus|text)\n\n") from None
