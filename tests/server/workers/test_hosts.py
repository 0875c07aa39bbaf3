"""Hosts in two processes, which are two compiled copies of one configuration here."""

import pickle

import pytest

from tests.server.workers.conftest import compiled
from trio_envoy.net.address import IpAddress
from trio_envoy.server.workers.hosts import HostBook, HostLedger, HostReporter
from trio_envoy.stats.share import Reporter
from trio_envoy.upstream.host import HealthFlag, Host

CONFIG = """
static_resources:
  clusters:
  - name: c
    load_assignment:
      cluster_name: c
      endpoints:
      - lb_endpoints:
        - {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}
        - {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 2}}}}
"""


class Process:
    def __init__(self):
        server = compiled(CONFIG, concurrency=2)
        self.cluster = server.clusters.clusters["c"]
        self.book = HostBook(server.clusters.clusters)
        self.stats = server.services.stats

    @property
    def hosts(self):
        return self.cluster.hosts.hosts


@pytest.fixture
def main():
    return Process()


@pytest.fixture
def worker():
    return Process()


def tell(main, worker):
    worker.book.follow(pickle.loads(pickle.dumps(main.book.tell(main.cluster))))


def test_a_worker_keeps_its_hosts_takes_new_ones_and_forgets_those_that_have_gone(main, worker):
    first, second = worker.hosts
    new = Host(IpAddress("10.0.0.1", 80), hostname="h", weight=7, priority=1, canary=True)
    main.cluster.update([main.hosts[1], new])
    tell(main, worker)

    kept, made = worker.hosts
    assert kept is second
    assert (made.address, made.hostname, made.weight, made.priority, made.canary) == (new.address, "h", 7, 1, True)
    main.cluster.update([new])
    tell(main, worker)
    assert worker.hosts == (made,)
    assert worker.book.number("c", first) is None
    assert worker.book.host("c", worker.book.number("c", made)) is made


async def test_health_is_that_of_the_main_process_and_counted_there_alone(main, worker):
    worker.stats.clear()
    main.hosts[0].flags |= HealthFlag.FAILED_ACTIVE_HC
    tell(main, worker)

    assert [host.healthy for host in worker.hosts] == [False, True]
    assert len(worker.cluster.hosts.healthy) == 1
    assert await Reporter(worker.stats).report() == []


def test_a_change_is_told_to_who_listens(main):
    told = []
    main.cluster.on_change = told.append
    main.cluster.update(main.hosts[:1])

    assert told == [main.cluster]


def test_a_failed_host_is_told_instead_of_failed_here(worker):
    told = []
    worker.cluster.follow_main(2, told.append)
    worker.cluster.fail_health(worker.hosts[0])
    assert told == []  # it has no health checks

    worker.cluster._fail = lambda _: None
    worker.cluster.follow_main(2, told.append)
    worker.cluster.fail_health(worker.hosts[0])
    assert told == [worker.hosts[0]]


def test_what_workers_count_for_a_host_adds_up_and_what_is_active_goes_with_them(main):
    ledger = HostLedger(main.book)
    workers = [Process(), Process()]
    reporters = [HostReporter(worker.book) for worker in workers]

    def report():
        for serial, reporter in enumerate(reporters):
            ledger.add(serial, reporter.report())

    for number, worker in enumerate(workers, 1):
        worker.hosts[1].rq_total += number
        worker.hosts[1].rq_active += 10 * number
    report()
    workers[0].hosts[1].rq_total += 100
    workers[0].hosts[1].rq_active -= 4
    report()
    report()

    host = main.hosts[1]
    assert (host.rq_total, host.rq_active, main.hosts[0].rq_total) == (103, 26, 0)
    ledger.forget(1)
    ledger.forget(1)
    assert (host.rq_total, host.rq_active) == (103, 6)


def test_hosts_that_come_and_go_leave_nothing_behind(main, worker):
    ledger, reporter = HostLedger(main.book), HostReporter(worker.book)
    for number in range(20):
        main.cluster.update([Host(IpAddress(f"10.0.0.{number}", 80))])
        tell(main, worker)
        worker.hosts[0].cx_active += 1  # to its end
        worker.hosts[0].cx_total += 1
        ledger.add(0, reporter.report())

    assert main.hosts[0].cx_active == 1
    assert len(ledger._gauges[0]) == 1
    ledger.forget(0)
    assert main.hosts[0].cx_active == 0


def test_reports_of_a_host_that_has_gone_are_passed_over(main, worker):
    ledger, reporter = HostLedger(main.book), HostReporter(worker.book)
    worker.hosts[0].rq_active += 1
    rows = reporter.report()
    main.cluster.update(main.hosts[1:])
    main.book.tell(main.cluster)
    ledger.add(0, rows)
    ledger.forget(0)

    assert main.hosts[0].rq_active == 0
