"""util.wake."""

import pytest
import trio

from trio_envoy.util.wake import Wake


async def test_set_before_wait_is_not_lost():
    wake = Wake()
    wake.set()

    await wake.wait()

    with trio.move_on_after(0):
        await wake.wait()
        pytest.fail("the flag was taken by the first wait")


async def test_set_wakes_the_waiter(autojump_clock):
    wake = Wake()
    seen = []

    async def waiter():
        await wake.wait()
        seen.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiter)
        await trio.sleep(3)
        wake.set()
        wake.set()

    assert len(seen) == 1


async def test_cancelled_waiter_leaves_the_place_free(autojump_clock):
    wake = Wake()
    with trio.move_on_after(1):
        await wake.wait()

    wake.set()
    await wake.wait()


async def test_clear_forgets():
    wake = Wake()
    wake.set()
    wake.clear()

    with trio.move_on_after(0) as scope:
        await wake.wait()

    assert scope.cancelled_caught
