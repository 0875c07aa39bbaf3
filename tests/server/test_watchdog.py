import pytest
import trio

from trio_envoy.server.watchdog import Watchdog
from trio_envoy.stats.store import Store

MAIN = ("main_thread", "server.main_thread")
NAMES = ("main_thread", "workers", "server.main_thread", "server.worker_0")


class Late(trio.abc.Clock):
    """A clock on which every sleep takes so much too long."""

    def __init__(self, by):
        self.by = by
        self.now = 0.0

    def start_clock(self):
        pass

    def current_time(self):
        return self.now

    def deadline_to_sleep_time(self, deadline):
        if deadline > self.now:
            self.now = deadline + self.by
        return 0


@pytest.mark.parametrize(("late", "misses", "mega"), [(0.0, 0, 0), (0.3, 3, 0), (1.5, 3, 3)])
def test_a_late_event_loop_is_counted_under_all_its_names(late, misses, mega):
    store = Store()
    dog = Watchdog(store)

    async def watch():
        with trio.move_on_after(3 * (0.5 + late) + 0.25):
            await dog.run()

    trio.run(watch, clock=Late(late))

    assert [store.value(f"{name}.watchdog_miss") for name in NAMES] == [misses] * 4
    assert [store.value(f"{name}.watchdog_mega_miss") for name in NAMES] == [mega] * 4


@pytest.mark.parametrize("index", [None, 0, 1])
def test_of_several_processes_each_counts_as_itself(index):
    store = Store()
    dog = Watchdog(store, 2)
    if index is None:
        dog.lead()
    else:
        dog.become_worker(index)

    async def watch():
        with trio.move_on_after(0.9):
            await dog.run()

    trio.run(watch, clock=Late(0.3))

    counted = {name.removesuffix(".watchdog_miss") for name, _, value in store if "mega" not in name and value}
    assert counted == set(MAIN if index is None else ("workers", f"server.worker_{index}"))
