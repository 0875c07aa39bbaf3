"""util/park.py: one message serves every wait, one result every wake-up."""

import gc
import weakref

import pytest
import trio
from trio.lowlevel import Abort, current_task, reschedule

from trio_envoy.util.park import WOKEN, park, parking


class Place:
    """Where one task may park."""

    def __init__(self):
        self.task = None
        self.aborted = 0
        self.message = parking(self.abort)

    def abort(self, _raise_cancel):
        self.task = None
        self.aborted += 1
        return Abort.SUCCEEDED

    async def wait(self):
        self.task = current_task()
        await park(self.message)

    def wake(self):
        task, self.task = self.task, None
        reschedule(task, WOKEN)


async def test_a_place_wakes_again_and_again(autojump_clock):
    place, woken = Place(), []

    async def sleeper():
        for turn in range(5):
            await place.wait()
            woken.append(turn)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        for turn in range(5):
            await trio.sleep(1)
            assert woken == list(range(turn))
            place.wake()
    assert woken == list(range(5))
    assert place.aborted == 0


async def test_many_tasks_share_the_result(autojump_clock):
    places, woken = [Place() for _ in range(20)], []

    async def sleeper(number):
        await places[number].wait()
        woken.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(sleeper, number)
        await trio.sleep(1)
        for place in places:
            place.wake()
    assert sorted(woken) == list(range(20))


async def test_cancelled_then_parked_again(autojump_clock):
    place = Place()
    for turn in range(1, 4):
        with trio.move_on_after(1) as scope:
            await place.wait()
        assert scope.cancelled_caught
        assert place.aborted == turn
        assert place.task is None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.wait)
        await trio.sleep(1)
        place.wake()


async def test_a_scope_that_is_cancelled_already_does_not_park():
    place = Place()
    with trio.CancelScope() as scope:
        scope.cancel()
        await place.wait()
    assert scope.cancelled_caught
    assert place.aborted == 1


async def test_a_shield_holds_while_parked(autojump_clock):
    place, woken = Place(), False

    async def shielded():
        nonlocal woken
        with trio.CancelScope(shield=True):
            await place.wait()
            woken = True

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded)
            await trio.sleep(1)
            scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            assert not woken
            place.wake()
    assert woken


async def test_an_error_comes_out():
    import outcome

    place = Place()

    async def sleeper():
        with pytest.raises(ValueError, match="told"):
            await place.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await trio.testing.wait_all_tasks_blocked()
        task, place.task = place.task, None
        reschedule(task, outcome.Error(ValueError("told")))


async def test_a_cancelled_wait_leaves_no_circle_behind(autojump_clock):
    place = Place()

    class Local:
        pass

    async def wait():
        local = Local()
        alive.append(weakref.ref(local))
        await place.wait()

    alive = []
    gc.collect()
    gc.disable()
    try:
        with trio.move_on_after(1):
            await wait()
        await trio.lowlevel.checkpoint()  # the run loop lets go of what it has sent
        assert alive[0]() is None
    finally:
        gc.enable()
