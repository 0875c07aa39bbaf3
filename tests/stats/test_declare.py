from __future__ import annotations

import copy
import pickle
import sys

import pytest

from trio_envoy.stats.declare import (
    UNUSED,
    Counter,
    Gauge,
    HiddenGauge,
    Kind,
    Recording,
    StatsBlock,
    TextReadout,
    named,
)
from trio_envoy.stats.histogram import Histogram


class BreakerStats(StatsBlock):
    rq_open: Gauge  # 1 while tripped
    cx_open: Gauge = named("circuit_breakers.default.cx_open")
    overflow: Counter
    pressure: HiddenGauge
    version: TextReadout
    wait_ms: Histogram


class RetryStats(BreakerStats):
    upstream_rq_retry: Counter


def test_counters_and_gauges_are_ints_in_slots():
    stats = BreakerStats()

    stats.overflow += 1
    stats.rq_open = 1

    assert (stats.overflow, stats.rq_open, stats.cx_open) == (1, 1, 0)
    assert type(stats.overflow) is int
    with pytest.raises(AttributeError):
        stats.overflw = 1


def test_the_class_lists_its_stats_by_name_and_kind():
    assert {(stat.name, stat.kind) for stat in BreakerStats.stats} == {
        ("circuit_breakers.default.cx_open", Kind.GAUGE),
        ("overflow", Kind.COUNTER),
        ("pressure", Kind.HIDDEN_GAUGE),
        ("rq_open", Kind.GAUGE),
        ("version", Kind.TEXT),
        ("wait_ms", Kind.HISTOGRAM),
    }
    assert BreakerStats.groups[Kind.GAUGE].names == ("circuit_breakers.default.cx_open", "rq_open")


def test_groups_read_their_values_in_the_order_of_names():
    stats = BreakerStats()
    stats.rq_open = 7
    stats.overflow = 3

    assert BreakerStats.groups[Kind.GAUGE].values(stats) == (0, 7)
    assert BreakerStats.groups[Kind.COUNTER].values(stats) == (3,)


def test_what_nobody_has_looked_at_takes_no_time_to_make():
    stats = BreakerStats()
    slot = BreakerStats.wait_ms
    with pytest.raises(AttributeError):
        slot.__get__(stats)

    histogram = stats.wait_ms

    assert isinstance(histogram, Histogram)
    assert stats.wait_ms is slot.__get__(stats) is histogram
    assert stats.version == ""


def test_a_subclass_adds_to_its_base():
    assert {stat.name for stat in RetryStats.stats} == {stat.name for stat in BreakerStats.stats} | {
        "upstream_rq_retry"
    }
    stats = RetryStats()
    stats.overflow += 1
    stats.upstream_rq_retry += 1

    assert RetryStats.groups[Kind.COUNTER].values(stats) == (1, 1)


def test_unused_is_a_zero_that_any_write_replaces():
    stats = BreakerStats()
    assert stats.rq_open is UNUSED
    assert (str(stats.rq_open), f"{stats.rq_open}", repr(stats.rq_open)) == ("0", "0", "0")

    stats.rq_open += 1
    stats.rq_open -= 1
    stats.cx_open += 0

    assert stats.rq_open is not UNUSED
    assert stats.rq_open == 0
    assert type(stats.cx_open) is int


def test_unused_survives_copies_and_pickles():
    assert copy.copy(UNUSED) is UNUSED
    assert pickle.loads(pickle.dumps(UNUSED)) is UNUSED


def test_histograms_announce_themselves_on_the_given_list():
    recording = Recording()
    stats = BreakerStats(recording)

    stats.wait_ms.record(5)

    assert recording == [stats.wait_ms]


def test_a_block_of_100_counters_is_small():
    annotations = dict.fromkeys((f"counter_{number}" for number in range(100)), "Counter")
    many = type(StatsBlock)("Many", (StatsBlock,), {"__annotations__": annotations, "__module__": __name__})

    assert sys.getsizeof(many()) < 1024


def test_a_class_without_stats_is_refused():
    with pytest.raises(TypeError, match="Empty: no stats are declared"):

        class Empty(StatsBlock):
            pass


def test_a_type_that_is_no_kind_is_refused():
    with pytest.raises(TypeError, match=r"Bad\.name: .*str.* is not a kind of stat"):

        class Bad(StatsBlock):
            name: str


def test_class_variables_are_no_stats():
    assert StatsBlock.stats == ()
