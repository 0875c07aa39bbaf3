from __future__ import annotations

import gc
import weakref

import pytest

from trio_envoy.stats import store as store_module
from trio_envoy.stats.declare import UNUSED, Counter, Gauge, Kind, StatsBlock, TextReadout
from trio_envoy.stats.histogram import Histogram
from trio_envoy.stats.settings import Settings
from trio_envoy.stats.store import COUNTERS_AND_GAUGES, Store, sanitized


class ThingStats(StatsBlock):
    total: Counter
    active: Gauge
    version: TextReadout
    length_ms: Histogram


class OtherStats(StatsBlock):
    total: Counter
    length_ms: Histogram


def numbers(store: Store, **how) -> list[tuple[str, int]]:
    return [entry for batch in store.select(COUNTERS_AND_GAUGES, **how) for entry in batch]


def test_a_block_is_listed_under_its_prefix_from_the_start():
    store = Store()
    stats = store.scope("cluster.a.").block(ThingStats)
    stats.total += 2

    assert numbers(store) == [("cluster.a.active", 0), ("cluster.a.total", 2)]


def test_a_dynamic_stat_is_listed_from_its_first_use():
    store = Store()
    scope = store.scope("cluster.a.")
    assert numbers(store) == []

    scope.counter("rq_200").value += 1
    scope.counter("rq_200").value += 1
    scope.gauge("g").value = 5

    assert numbers(store) == [("cluster.a.g", 5), ("cluster.a.rq_200", 2)]


def test_the_dot_after_a_prefix_may_be_left_out():
    store = Store()

    assert store.scope("a").prefix == store.scope("a.").prefix == "a."
    assert store.scope("a").scope("b").prefix == "a.b."
    assert store.scope("").prefix == ""


def test_scopes_of_one_prefix_share_their_stats():
    store = Store()
    first, second = store.scope("http.in."), store.scope("http.in.")

    assert first.block(ThingStats) is second.block(ThingStats)
    assert first.counter("x") is second.counter("x")
    assert first.histogram("h") is second.histogram("h")


def test_stats_go_with_the_last_of_their_scopes():
    store = Store()
    first, second = store.scope("c."), store.scope("c.")
    first.block(ThingStats).total += 1

    first.close()
    assert store.value("c.total") == 1

    second.close()
    assert list(store) == []

    assert store.scope("c.").block(ThingStats).total == 0


def test_close_takes_what_is_below_with_it():
    store = Store()
    outer = store.scope("listener.l.")
    outer.scope("ssl.").scope("x.").counter("n")
    inner = outer.scope("http.")
    inner.counter("n")
    inner.close()
    assert [name for name, _ in numbers(store)] == ["listener.l.ssl.x.n"]

    outer.close()
    outer.close()

    assert list(store) == []


def test_a_closed_inner_scope_is_forgotten_by_the_outer_one():
    outer = Store().scope("a.")
    inner = outer.scope("b.")

    inner.close()

    assert outer._inner == []


def test_closed_stats_are_freed():
    class Watched(StatsBlock):
        __slots__ = ("__weakref__", "n")
        n: Counter

    store = Store()
    scope = store.scope("a.")
    block = weakref.ref(scope.block(Watched))
    scope.close()
    del scope
    gc.collect()

    assert block() is None


def test_equal_names_of_different_blocks_are_summed():
    store = Store()
    scope = store.scope("a.")
    first, second = scope.block(ThingStats), scope.block(OtherStats)
    first.total += 1
    second.total += 2
    scope.counter("total").value += 4
    first.length_ms.record(1)
    second.length_ms.record(2)
    store.flush()

    assert store.value("a.total") == 7
    assert store.value("a.length_ms").total == {1: 1, 2: 1}


def test_of_equal_texts_the_last_stands():
    store = Store()
    scope = store.scope("a.")
    scope.block(ThingStats).version = "one"
    scope.text("version").value = "two"

    assert store.value("a.version") == "two"


def test_used_only():
    store = Store()
    scope = store.scope("a.")
    stats = scope.block(ThingStats)
    scope.counter("never")
    stats.active += 1
    stats.active -= 1
    stats.length_ms.record(3)
    scope.histogram("never_ms")

    assert numbers(store, used_only=True) == [("a.active", 0)]
    assert list(store.select((Kind.HISTOGRAM,), used_only=True)) == []
    assert list(store.select((Kind.TEXT,), used_only=True)) == []

    stats.version = "v"
    store.flush()
    assert [batch[0][0] for batch in store.select((Kind.HISTOGRAM,), used_only=True)] == ["a.length_ms"]
    assert list(store.select((Kind.TEXT,), used_only=True)) == [[("a.version", "v")]]


def test_reset_counters_leaves_used_ones_used_and_gauges_alone():
    store = Store()
    scope = store.scope("a.")
    stats = scope.block(ThingStats)
    stats.total += 3
    stats.active += 3
    cell, unused = scope.counter("x"), scope.counter("y")
    cell.value += 3
    never = store.scope("b.").block(OtherStats)

    store.reset_counters()

    assert (stats.total, stats.active, cell.value) == (0, 3, 0)
    assert stats.total is not UNUSED
    assert unused.value is never.total is UNUSED
    assert [name for name, _ in numbers(store, used_only=True)] == ["a.active", "a.total", "a.x"]


def test_flush_closes_intervals_that_have_or_had_values():
    store = Store()
    stats = store.scope("a.").block(ThingStats)
    stats.length_ms.record(5)
    store.flush()
    assert stats.length_ms.interval == {5: 1}

    store.flush()
    assert stats.length_ms.interval == {}
    assert stats.length_ms.total == {5: 1}

    stats.length_ms.record(6)
    store.flush()
    assert stats.length_ms.interval == {6: 1}
    assert stats.length_ms.total == {5: 1, 6: 1}


def test_names_come_in_order_whatever_the_scopes(monkeypatch):
    monkeypatch.setattr(store_module, "_BATCH", 3)
    store = Store()
    prefixes = ["", "c", "c.", "c-x", "c.d", "c.d.e", "b", "zz", "c_", "c.0", "c.total"]
    for prefix in prefixes:
        scope = store.scope(prefix)
        scope.block(ThingStats)
        for name in ("zeta", "alpha", "d.e.f", "c.z", "total.z"):
            scope.counter(name)

    names = [name for name, _ in numbers(store)]

    assert names == sorted(set(names))
    assert len(names) == len(
        {
            f"{store.scope(p).prefix}{n}"
            for p in prefixes
            for n in ("zeta", "alpha", "d.e.f", "c.z", "total.z", "active", "total")
        }
    )


def test_batches_are_bounded():
    store = Store()
    for number in range(3000):
        store.scope(f"cluster.c{number}.").block(ThingStats)

    sizes = [len(batch) for batch in store.select(COUNTERS_AND_GAUGES)]

    assert sum(sizes) == 6000
    assert max(sizes) < 2 * store_module._BATCH


def test_keep_and_settings_choose():
    store = Store(Settings(accepts=lambda name: "a." in name))
    store.scope("a.").block(ThingStats)
    store.scope("b.").block(ThingStats)

    assert [name for name, _ in numbers(store)] == ["a.active", "a.total"]
    assert [name for name, _ in numbers(store, keep=lambda name: "total" in name)] == ["a.total"]


def test_iteration_gives_names_kinds_and_values():
    store = Store()
    scope = store.scope("a.")
    stats = scope.block(ThingStats)
    scope.gauge("secret", hidden=True).value = 9

    assert list(store) == [
        ("a.version", Kind.TEXT, ""),
        ("a.total", Kind.COUNTER, 0),
        ("a.active", Kind.GAUGE, 0),
        ("a.secret", Kind.HIDDEN_GAUGE, 9),
        ("a.length_ms", Kind.HISTOGRAM, stats.length_ms),
    ]
    with pytest.raises(KeyError):
        store.value("a.none")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cluster.http://x:80/y:/z::w", "cluster.http_x_80/y_z__w."),
        ("listener.[::1]:80.", "listener.[__1]_80."),
        ("cluster..d.e..", "cluster..d.e."),
        (".a", "a."),
        ("nul\0l", "nul_l."),
    ],
)
def test_prefixes_are_sanitized_as_envoy_does(name, expected):
    assert Store().scope(name).prefix == expected


def test_a_raw_scope_keeps_its_colons():
    store = Store()

    assert store.scope("http.a:b", raw=True).prefix == "http.a:b."
    assert store.scope("http.").scope("a:b", raw=True).prefix == "http.a:b."
    assert store.scope("http.a:b", raw=True).scope("c:d").prefix == "http.a:b.c_d."
    assert sanitized("a:b") == "a_b"


def test_what_is_counted_late_is_there_when_someone_looks():
    store = Store()
    cell = store.scope("a.").counter("n")
    kept = [3]

    def settle():
        cell.value += kept.pop() if kept else 0

    store.scope("a.").count_late(settle)
    assert cell.value == 0
    assert store.value("a.n") == 3
    assert store.value("a.n") == 3

    kept.append(2)
    store.count_no_longer(settle)
    assert cell.value == 5
    kept.append(1)
    assert store.value("a.n") == 5


def test_what_is_counted_late_is_reset_with_the_rest():
    store = Store()
    cell = store.scope("a.").counter("n")
    kept = [3]

    def settle():
        cell.value += kept.pop() if kept else 0

    store.count_late(settle)
    store.reset_counters()

    assert store.value("a.n") == 0
