from __future__ import annotations

import pytest
import trio

from tests.fakes import a_services
from trio_envoy.config.listener import DrainType
from trio_envoy.net.services import Options
from trio_envoy.server.drain import DrainDecision


def shares(decision, tries=2000) -> float:
    return sum(decision.wanted() for _ in range(tries)) / tries


async def test_gradually_the_chance_grows_to_certainty(autojump_clock):
    decision = DrainDecision(DrainType.DEFAULT, a_services())
    assert not decision.wanted()

    decision.start(100)
    found = []
    for _ in range(5):
        found.append(shares(decision))
        await trio.sleep(25)
    assert found == [0, pytest.approx(0.25, abs=0.05), pytest.approx(0.5, abs=0.05), pytest.approx(0.75, abs=0.05), 1]


async def test_a_second_start_changes_nothing(autojump_clock):
    decision = DrainDecision(DrainType.DEFAULT, a_services())
    decision.start(100)
    await trio.sleep(100)
    decision.start(1000)

    assert decision.wanted()


async def test_immediately(autojump_clock):
    decision = DrainDecision(DrainType.DEFAULT, a_services(options=Options(drain_gradually=False)))
    decision.start(100)

    assert shares(decision) == 1


@pytest.mark.parametrize(("drain_type", "wanted"), [(DrainType.DEFAULT, True), (DrainType.MODIFY_ONLY, False)])
async def test_a_failed_health_check(drain_type, wanted):
    services = a_services()
    services.health_failed = True

    assert DrainDecision(drain_type, services).wanted() is wanted


async def test_all_listeners_drain():
    services = a_services()
    services.draining = True

    assert DrainDecision(DrainType.MODIFY_ONLY, services).wanted()


async def test_one_that_began_elsewhere_goes_on_here(autojump_clock):
    decision = DrainDecision(DrainType.DEFAULT, a_services())
    decision.start(100, ago=75)
    assert shares(decision) == pytest.approx(0.75, abs=0.05)
    await trio.sleep(25)

    assert shares(decision) == 1
