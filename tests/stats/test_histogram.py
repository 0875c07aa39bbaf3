from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.stats.histogram import DEFAULT_BUCKETS, PENDING_LIMIT, QUANTILES, Distribution, Histogram, Merged


def recorded(*values: float) -> Histogram:
    histogram = Histogram([])
    for value in values:
        histogram.record(value)
    histogram.close_interval()
    return histogram


@pytest.mark.parametrize(
    ("value", "lower", "width"),
    [
        (0, 0, 0),
        (-3, 0, 0),
        (1, 1, 0.1),
        (9, 9, 0.1),
        (10, 10, 1),
        (99, 99, 1),
        (100, 100, 10),
        (1005, 1000, 100),
        (123456, 120000, 10000),
        (10**15 + 7, 10**15, 10**14),
    ],
)
def test_bins_have_two_digits(value, lower, width):
    ((bin_lower, bin_width, count),) = Distribution(recorded(value).total).bins

    assert (bin_lower, bin_width, count) == (pytest.approx(lower), pytest.approx(width), 1)


def test_bounds_carry_the_rounding_of_the_c_library():
    bins = Distribution(recorded(110, 230).total).bins

    assert [entry.lower for entry in bins] == [110.00000000000001, 229.99999999999997]


def test_quantiles_as_measured_from_envoy():
    distribution = Distribution(recorded(1, 2, 5, 9, 10, 11, 99, 100, 105, 110, 1000, 1005, 1010).total)

    assert distribution.quantiles() == [1.05, 9.05, 99.5, 115.00000000000001, 1050, 1075, 1075, 1075, 1075, 1075]


def test_quantiles_of_nothing_are_nan():
    assert all(isnan(value) for value in Distribution({}).quantiles())


def test_cumulative_counts_bins_that_begin_at_the_bound():
    distribution = Distribution(recorded(1, 9, 99, 105, 110).total)

    assert distribution.cumulative([0.5, 1, 9.5, 98, 99, 100, 110, 111]) == [0, 1, 2, 2, 3, 4, 4, 5]
    assert distribution.disjoint([0.5, 1, 9.5, 98, 99, 100, 110, 111]) == [0, 1, 1, 0, 1, 1, 0, 1]


def test_sum_takes_the_harmonic_middle():
    assert Distribution(recorded(*[9] * 232).total).sum() == 2099.5359116022100351983681321144
    assert Distribution(recorded(0, 0).total).sum() == 0


def test_a_value_is_seen_after_the_flush_and_in_one_interval_only():
    histogram = Histogram([])
    histogram.record(7)
    assert not histogram.used
    assert histogram.total == {}

    histogram.close_interval()
    assert histogram.used
    assert histogram.interval == histogram.total == {7: 1}

    histogram.close_interval()
    assert histogram.interval == {}
    assert histogram.total == {7: 1}


def test_it_joins_the_recording_list_once_an_interval():
    recording: list[Histogram] = []
    histogram = Histogram(recording)

    histogram.record(1)
    histogram.record(2)

    assert recording == [histogram]


def test_many_values_at_once_count_as_one_by_one():
    recording: list[Histogram] = []
    histogram = Histogram(recording)

    histogram.record_all([1, 2.5])
    histogram.record(3)
    histogram.record_all([43.7] * PENDING_LIMIT)
    assert recording == [histogram]
    assert histogram._pending == []

    histogram.close_interval()
    assert histogram.total == {1: 1, 2: 1, 3: 1, 43: PENDING_LIMIT}


def test_fractions_are_cut_off():
    assert recorded(0.9, 1.99, 43.7).total == {0: 1, 1: 1, 43: 1}


def test_memory_is_bounded_between_flushes():
    histogram = Histogram([])

    for value in range(PENDING_LIMIT * 3 + 5):
        histogram.record(value)

    assert len(histogram._pending) == 5
    histogram.close_interval()
    assert sum(histogram.total.values()) == PENDING_LIMIT * 3 + 5


def test_close_of_an_unused_one_costs_nothing():
    histogram = Histogram([])
    histogram.close_interval()

    assert histogram._recorded is None


def test_merged_adds_up():
    merged = Merged([recorded(1, 2), recorded(2), Histogram([])])

    assert merged.total == {1: 1, 2: 2}
    assert merged.interval == {1: 1, 2: 2}
    assert merged.used
    assert not Merged([Histogram([])]).used


@given(st.lists(st.integers(0, 10**17), min_size=1, max_size=50))
def test_quantiles_rise_and_stay_within_the_bins(values):
    distribution = Distribution(recorded(*values).total)
    quantiles = distribution.quantiles()

    assert distribution.count == len(values)
    assert quantiles == sorted(quantiles)
    for quantile, value in zip(QUANTILES, quantiles, strict=True):
        exact = sorted(values)[max(0, -int(-(quantile * len(values)) // 1) - 1)]
        assert value == pytest.approx(exact, rel=0.101, abs=0)


@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_buckets_never_fall(values):
    counts = Distribution(recorded(*values).total).cumulative(DEFAULT_BUCKETS)

    assert counts == sorted(counts)
    assert counts[-1] <= len(values)
