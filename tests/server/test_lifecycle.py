import trio

from tests.fakes import a_services
from trio_envoy.server.lifecycle import Lifecycle, State


def test_the_states_of_a_life():
    services = a_services()
    life = Lifecycle(services)
    seen = [life.state]

    for step in (life.initializing, life.live):
        step()
        seen.append(life.state)

    assert seen == [State.PRE_INITIALIZING, State.INITIALIZING, State.LIVE]


def test_failed_health_checks_show_as_draining_once_it_is_live():
    services = a_services()
    life = Lifecycle(services)
    services.health_failed = True

    life.initializing()
    assert life.state is State.INITIALIZING
    life.live()
    assert life.state is State.DRAINING
    services.health_failed = False
    assert life.state is State.LIVE


def test_numbers_are_those_of_the_proto():
    assert {state.name: int(state) for state in State} == {
        "LIVE": 0,
        "DRAINING": 1,
        "PRE_INITIALIZING": 2,
        "INITIALIZING": 3,
    }


async def test_stop_is_at_once(autojump_clock):
    life = Lifecycle(a_services())
    life.stop()

    await life.wait_stop()

    assert trio.current_time() == 0


async def test_stop_soon_leaves_time_for_an_answer(autojump_clock):
    life = Lifecycle(a_services())

    async with trio.open_nursery() as tasks:
        tasks.start_soon(life.wait_stop)
        await trio.sleep(5)
        assert life.state is State.PRE_INITIALIZING
        life.stop_soon()
    assert 5 < trio.current_time() < 6


def test_while_something_is_lacking_it_is_not_live():
    services = a_services()
    life = Lifecycle(services)
    life.live()
    life.lacking = lambda: True

    assert life.state is State.INITIALIZING
    services.health_failed = True
    assert life.state is State.DRAINING
