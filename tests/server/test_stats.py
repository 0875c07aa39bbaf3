import os
import sys

import pytest

from tests.fakes import a_services
from trio_envoy.server import stats as module
from trio_envoy.server.lifecycle import Lifecycle
from trio_envoy.server.stats import ServerStats, refresh, resident_bytes, shared_bytes


def test_gauges_are_what_is_so_now():
    services = a_services()
    stats = services.stats.scope("server.").block(ServerStats)
    life = Lifecycle(services)
    life.live()

    refresh(stats, life, 12.7, 3, 90, 4096)

    assert (stats.state, stats.live, stats.uptime, stats.total_connections) == (0, 1, 12, 3)
    assert stats.days_until_first_cert_expiring == 90
    assert stats.memory_physical_size == stats.memory_allocated == 4096


def test_without_certificates_there_is_all_the_time_in_the_world():
    stats = ServerStats()

    refresh(stats, Lifecycle(a_services()), 0, 0, None, 0)

    assert stats.days_until_first_cert_expiring == 2**32 - 1
    assert stats.live == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux")
def test_resident_memory_is_that_of_the_kernel():
    with open("/proc/self/status", encoding="ascii") as status:
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    assert abs(resident_bytes() - kilobytes * 1024) < 20_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux")
def test_memory_of_several_processes_is_their_part_of_it_and_one_that_has_gone_has_none():
    mine = shared_bytes([os.getpid()])

    assert 1_000_000 < mine <= resident_bytes() + 20_000_000
    assert abs(shared_bytes([os.getpid(), 2**22 + 1]) - mine) < 20_000_000


def test_without_proc_it_is_the_peak(monkeypatch):
    def nothing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(module, "open", nothing, raising=False)

    assert resident_bytes() > 1_000_000
