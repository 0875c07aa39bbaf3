from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import trio

from trio_envoy.config.matcher import RegexMatcher, StringMatcher
from trio_envoy.config.metrics import (
    HistogramBucketSettings,
    ListStringMatcher,
    StatsConfig,
    StatsMatcher,
    TagSpecifier,
)
from trio_envoy.stats.query import parse
from trio_envoy.stats.render import RenderedBody, render
from trio_envoy.stats.settings import compile_settings
from trio_envoy.stats.store import Store

RECORDED = json.loads((Path(__file__).parent / "recorded_answers.json").read_text())
ANSWERS: dict[str, str] = RECORDED["answers"]
CONFIG = StatsConfig(  # the stats_config that the recorded Envoy ran with
    stats_tags=(
        TagSpecifier(tag_name="my.fixed", fixed_value="fv"),
        TagSpecifier(tag_name="zz_rx", regex=r"^cluster\.(?:[^.]+)\.upstream_cx_((.*)_)total$"),
    ),
    stats_matcher=StatsMatcher(
        exclusion_list=ListStringMatcher(
            patterns=(
                StringMatcher(contains="per_try"),
                StringMatcher(safe_regex=RegexMatcher(regex=r".*\.lb_.*")),
            )
        )
    ),
    histogram_bucket_settings=(
        HistogramBucketSettings(
            match=StringMatcher(suffix="upstream_rq_body_size"),
            buckets=(1, 9.5, 10, 99, 110, 111, 1000, 123456, 1000000),
        ),
    ),
)


def string_test(matcher: StringMatcher):
    if matcher.contains is not None:
        return lambda name: matcher.contains in name
    if matcher.suffix is not None:
        return lambda name: name.endswith(matcher.suffix)
    return lambda name: re.fullmatch(matcher.safe_regex.regex, name) is not None


def bins(rows) -> dict[int, int]:
    return {round(row["lower_bound"]): row["count"] for row in rows}


@pytest.fixture(scope="module")
def recorded_store() -> Store:
    """A store in the state of the Envoy that was recorded."""
    store = Store(compile_settings(CONFIG, string_test))
    root = store.scope("", raw=True)
    used = {line.rpartition(": ")[0] for line in ANSWERS["usedonly"].splitlines()}
    gauges = {line.rpartition(": ")[0] for line in ANSWERS["type=Gauges"].splitlines()}
    *plain, histograms = RECORDED["source"]["stats"]
    for row in plain:
        cell = root.gauge(row["name"]) if row["name"] in gauges else root.counter(row["name"])
        if row["name"] in used:
            cell.value = row["value"]
    rows = histograms["histograms"]["details"]
    for row in rows:
        histogram, interval = root.histogram(row["name"]), bins(row["intervals"])
        for value, count in bins(row["totals"]).items():
            for _ in range(count - interval.get(value, 0)):
                histogram.record(value)
    store.flush()
    for row in rows:
        for value, count in bins(row["intervals"]).items():
            for _ in range(count):
                root.histogram(row["name"]).record(value)
    store.flush()
    root.counter("cluster.c1.lb_refused_by_the_matcher")
    return store


@pytest.mark.parametrize("query", ANSWERS)
def test_answers_are_envoys_byte_for_byte(recorded_store, query):
    rendered = render(recorded_store, parse(dict(parse_qsl(query, keep_blank_values=True))))

    assert "".join(rendered.pieces) == ANSWERS[query]


def answer(store: Store, **query: str) -> str:
    return "".join(render(store, parse(query)).pieces)


def a_store() -> Store:
    store = Store()
    scope = store.scope("a.")
    scope.counter('quo"te\\').value = 3
    scope.text("text").value = 'say "<hi>"'
    scope.histogram("unused_ms")
    return store


def test_text_readouts_and_odd_names():
    store = a_store()

    assert answer(store) == 'a.text: "say "<hi>""\na.quo"te\\: 3\na.unused_ms: No recorded values\n'
    assert json.loads(answer(store, format="json"))["stats"][:2] == [
        {"name": "a.text", "value": 'say "<hi>"'},
        {"name": 'a.quo"te\\', "value": 3},
    ]


def test_json_of_an_unused_histogram_is_null():
    (entry,) = json.loads(answer(a_store(), format="json", type="Histograms"))["stats"]

    assert entry["histograms"]["computed_quantiles"][0]["values"] == [{"cumulative": None, "interval": None}] * 10


@pytest.mark.parametrize("kind", ["All", "Histograms", "Counters", "TextReadouts"])
def test_nothing_found(kind):
    assert answer(Store(), type=kind) == ""
    assert answer(Store(), type=kind, format="json") == '{"stats":[]}'
    assert answer(Store(), type=kind, format="prometheus") == ""


@pytest.mark.parametrize("buckets", ["summary", "detailed", "cumulative", "disjoint"])
def test_json_of_many_batches_is_json(buckets, monkeypatch):
    monkeypatch.setattr("trio_envoy.stats.store._BATCH", 2)
    store = Store()
    for number in range(9):
        scope = store.scope(f"c{number}.")
        scope.counter("n")
        scope.text("t")
        scope.histogram("h").record(number)
    store.flush()

    stats = json.loads(answer(store, format="json", histogram_buckets=buckets))["stats"]

    assert len(stats) == 9 + 9 + 1


@pytest.mark.parametrize("form", ["html", "active-html"])
def test_html_escapes_and_shows_all(form):
    store = a_store()
    store.scope("a.").histogram("h_ms").record(7)
    store.flush()

    page = answer(store, format=form)

    assert page.count("<tr><td>a.") == 4
    assert "say &quot;&lt;hi&gt;&quot;" in page
    assert "<pre>P0(7.05,7.05) P25" in page
    assert ("http-equiv" in page) is (form == "active-html")
    assert answer(store, format=form, type="Counters").count("<tr><td>a.") == 1


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ("text", "text/plain; charset=UTF-8"),
        ("prometheus", "text/plain; charset=UTF-8"),
        ("json", "application/json"),
        ("html", "text/html; charset=UTF-8"),
    ],
)
def test_content_types(form, content_type):
    assert render(Store(), parse({"format": form})).content_type == content_type


async def test_a_body_gives_piece_by_piece_and_lets_others_run():
    body = RenderedBody(iter(["é", "", "b"]))
    turns = 0

    async def other():
        nonlocal turns
        for _ in range(4):
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert body.read_nowait() is None
        assert await body.read() == "é".encode()
        assert await body.read() == b"b"
        assert await body.read() == b""
        assert turns >= 3
    assert await body.read() == body.read_nowait() == b""
    assert body.trailers is None


async def test_a_cancelled_read_loses_nothing():
    body = RenderedBody(iter(["a"]))
    with trio.CancelScope() as scope:
        scope.cancel()
        await body.read()

    assert await body.read() == b"a"
