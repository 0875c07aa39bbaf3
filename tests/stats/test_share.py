"""Workers' stats become part of the main process's."""

import pickle
from itertools import count

import pytest

from trio_envoy.stats.declare import (
    UNUSED,
    Counter,
    Gauge,
    HiddenGauge,
    Histogram,
    Kind,
    StatsBlock,
    TextReadout,
    named,
)
from trio_envoy.stats.histogram import Distribution
from trio_envoy.stats.share import Ledger, Reporter
from trio_envoy.stats.store import Store


class Stats(StatsBlock):
    total: Counter
    active: Gauge
    inner: HiddenGauge
    time: Histogram
    version: TextReadout
    rq_open: Gauge = named("circuit_breakers.default.rq_open")


class Process:
    """What each of the processes has: the same store, with one block in it."""

    serials = count()

    def __init__(self):
        self.store = Store(shared=True)
        self.stats = self.store.scope("a.").block(Stats)
        self.store.clear()
        self.serial = next(self.serials)
        self.reporter = Reporter(self.store)

    async def report_to(self, ledger):
        rows = pickle.loads(pickle.dumps(await self.reporter.report()))
        ledger.add(self.serial, rows)
        return rows


@pytest.fixture
def main():
    return Process()


@pytest.fixture
def ledger(main):
    return Ledger(main.store)


async def test_counters_are_what_all_have_counted_and_reported_once(main, ledger):
    workers = [Process(), Process()]
    main.stats.total += 1
    for number, worker in enumerate(workers, 1):
        worker.stats.total += 10 * number
        await worker.report_to(ledger)
        assert await worker.report_to(ledger) == []
    workers[0].stats.total += 100
    await workers[0].report_to(ledger)
    ledger.forget(workers[0].serial)

    assert main.store.value("a.total") == 1 + 10 + 20 + 100


async def test_counters_that_were_reset_begin_at_0_again(main, ledger):
    worker = Process()
    worker.stats.total += 5
    await worker.report_to(ledger)
    main.store.reset_counters()
    worker.stats.total += 2
    await worker.report_to(ledger)

    assert main.store.value("a.total") == 2


@pytest.mark.parametrize(("attribute", "name"), [("active", "a.active"), ("inner", "a.inner")])
async def test_gauges_are_the_sum_of_what_is_and_those_of_a_worker_go_with_it(main, ledger, attribute, name):
    first, second = Process(), Process()
    setattr(main.stats, attribute, 1)
    for worker, value in ((first, 3), (second, 5)):
        setattr(worker.stats, attribute, getattr(worker.stats, attribute) + value)
    for worker in (first, second):
        await worker.report_to(ledger)
    assert main.store.value(name) == 9

    setattr(first.stats, attribute, 2)
    await first.report_to(ledger)
    assert main.store.value(name) == 8
    ledger.forget(second.serial)
    ledger.forget(second.serial)

    assert main.store.value(name) == 3


async def test_a_breaker_is_open_when_it_is_in_one_of_them(main, ledger):
    first, second = Process(), Process()
    for worker, is_open in ((first, 1), (second, 1)):
        worker.stats.rq_open += is_open
        await worker.report_to(ledger)
    assert main.stats.rq_open == 1
    first.stats.rq_open = 0
    await first.report_to(ledger)
    assert main.stats.rq_open == 1
    ledger.forget(second.serial)

    assert main.stats.rq_open == 0


async def test_histograms_are_merged_and_wait_for_the_flush(main, ledger):
    workers = [Process(), Process()]
    main.stats.time.record(1)
    for value, worker in zip((7, 7), workers, strict=True):
        worker.stats.time.record(value)
        worker.stats.time.record(300)
        await worker.report_to(ledger)
        assert await worker.report_to(ledger) == []
    assert not main.stats.time.used
    main.store.flush()

    assert {each.lower: each.values for each in Distribution(main.stats.time.total).bins} == {1: 1, 7: 2, 300: 2}
    workers[0].stats.time.record(8)
    await workers[0].report_to(ledger)
    main.store.flush()
    assert Distribution(main.stats.time.interval).count == 1
    assert Distribution(main.stats.time.total).count == 6


async def test_what_is_made_on_first_use_is_made_in_the_main_process_too(main, ledger):
    worker = Process()
    scope = worker.store.scope("new.")
    scope.counter("rq_200").value += 3
    scope.gauge("on").value = 1
    scope.text("name").value = "x"
    scope.histogram("ms").record(5)
    await worker.report_to(ledger)
    assert await worker.report_to(ledger) == []
    main.store.flush()

    assert [main.store.value(f"new.{name}") for name in ("rq_200", "on", "name")] == [3, 1, "x"]
    assert Distribution(main.store.value("new.ms").total).count == 1


async def test_texts_are_those_that_came_last(main, ledger):
    worker = Process()
    main.stats.version = "1"
    worker.stats.version += "2"
    await worker.report_to(ledger)

    assert main.stats.version == "2"


async def test_what_nobody_has_used_is_not_reported(main, ledger):
    worker = Process()
    assert worker.stats.total is UNUSED
    assert worker.stats.active is UNUSED

    assert await worker.report_to(ledger) == []
    names = {name for batch in main.store.select((Kind.COUNTER, Kind.GAUGE), used_only=True) for name, _ in batch}
    assert names == set()


async def test_a_worker_begins_with_nothing(main):
    scope = main.store.scope("cell.")
    cells = [scope.counter("c"), scope.gauge("g")]
    for cell in cells:
        cell.value = 4
    scope.text("t").value = "t"
    for histogram in (scope.histogram("h"), main.stats.time):
        histogram.record(1)
    main.store.flush()
    main.stats.total += 1
    main.stats.active += 1
    main.stats.time.record(2)
    main.store.clear()

    assert await main.reporter.report() == []
    assert main.stats.total is UNUSED
    cells[0].value += 2  # the same cells count on
    main.stats.time.record(9)
    rows = {(row.prefix + row.name): row.value for row in await main.reporter.report()}
    assert rows == {"cell.c": 2, "a.time": {9: 1}}


async def test_what_is_counted_late_is_in_the_report(main, ledger):
    worker = Process()

    def settle():
        worker.stats.total += 1

    worker.store.count_late(settle)
    await worker.report_to(ledger)

    assert main.stats.total == 1


async def test_who_leads_does_not_remember_what_is_used():
    process = Process()
    process.store.lead()
    process.stats.total += 1

    assert await process.reporter.report() == []
