"""The tables."""

import pytest

from tests.bench.load import Load
from tests.bench.report import number, spread, table, tables
from tests.bench.results import Bound, Figure, Sample, Traffic


def sample(cost: float, *, errors: int = 0) -> Sample:
    """1,000 requests in two seconds at so many us each."""
    return Sample(Load(1000, 2.0, p50=1500.0, p99=20_000.0, errors=errors), cpu=cost / 1000)


def test_columns_are_aligned_to_the_widest_cell():
    assert table(("a", "bc"), [("long", "1"), ("x", "1234")]) == (
        "| a    |   bc |\n"
        "| ---- | ---: |\n"
        "| long |    1 |\n"
        "| x    | 1234 |\n"
    )  # fmt: skip


@pytest.mark.parametrize(("value", "text"), [(0.512, "0.51"), (9.999, "10.00"), (12.34, "12.3"), (1234.5, "1234")])
def test_numbers_have_three_figures(value, text):
    assert number(value) == text


def test_a_spread_is_median_and_bounds():
    assert spread([30.0, 10.0, 20.0]) == "20.0 (10.0-30.0)"
    assert spread([20.0]) == "20.0"


def test_the_ratio_is_the_median_of_the_rounds_not_of_the_medians():
    row = Traffic("t", envoy=[sample(50), sample(100), sample(60)], ours=[sample(50), sample(120), sample(90)])

    assert row.ratio == pytest.approx(1.2)


def cells(line: str) -> list[str]:
    """Of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_traffic_figures_and_notes():
    text = tables(
        [
            Traffic("GET", [sample(50)], [sample(60, errors=3)], bound=Bound(1.25, 1.0)),
            Figure("RSS", "MiB", (60.0,), (30.0,), Bound(45, 35, of_ratio=False)),
            Figure("validate", "", failure="no envoy"),
        ]
    )

    lines = text.splitlines()
    assert cells(lines[2]) == [
        "GET", "50.0", "60.0", "1.20", "<= 1.25", "<= 1", "good", "500", "500", "1.50, 20.0", "1.50, 20.0",
    ]  # fmt: skip
    assert cells(lines[6]) == ["RSS", "MiB", "60.0", "30.0", "0.50", "<= 45 MiB", "<= 35 MiB", "reached"]
    assert lines[8:] == ["* GET: 3 requests failed at trio_envoy", "* validate: not measured: no envoy"]


@pytest.mark.parametrize(("cost", "stands"), [(100, "reached"), (101, "good"), (125, "good"), (126, "MISSED")])
def test_where_a_ratio_stands(cost, stands):
    text = tables([Traffic("GET", [sample(100)], [sample(cost)], bound=Bound(1.25, 1.0))])

    assert cells(text.splitlines()[2])[6] == stands


def test_the_other_proxies_have_a_table_of_times_ours():
    first = Traffic("GET", [sample(50)], [sample(60)], {"nginx": [sample(15)], "aiohttp": [sample(180)]})
    second = Traffic("new", [sample(50)], [sample(60)], {"nginx": [sample(30)]}, {"aiohttp": "it died"})

    lines = tables([first, second, Traffic("h2", [sample(1)], [sample(1)])]).splitlines()[6:]

    assert cells(lines[0])[1:] == ["trio_envoy", "nginx", "aiohttp (goal 2.5)"]
    assert cells(lines[2]) == ["GET", "60.0", "15.0 = 0.25 x", "180 = 3.00 x"]
    assert cells(lines[3]) == ["new", "60.0", "30.0 = 0.50 x", "-"]
    assert lines[5:] == ["* new: without aiohttp: it died"]
