"""Cancel something at each of its checkpoints in turn."""

import trio


class _Cancel(trio.abc.Instrument):
    """Cancels a scope when one task, and those that it has started if they count too, have been stepped so often."""

    def __init__(self, steps, scope, *, children):
        self.tasks = {trio.lowlevel.current_task()}
        self.left = steps
        self.scope = scope
        self.children = children

    def task_spawned(self, task):
        if self.children and task.parent_nursery is not None and task.parent_nursery.parent_task in self.tasks:
            self.tasks.add(task)

    def after_task_step(self, task):
        if task in self.tasks:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


async def at_every_checkpoint(make, check, *, children=False):
    """Run `await make()` again and again, cancelled at the first checkpoint, the second ..., until it gets through.

    `check()` is called after each run that was cut. With `children` the checkpoints of the tasks that it starts count
    too. Returns how many runs were cut.
    """
    for cuts in range(1000):
        with trio.CancelScope() as scope:
            instrument = _Cancel(cuts + 1, scope, children=children)
            trio.lowlevel.add_instrument(instrument)
            try:
                await make()
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if not scope.cancelled_caught:
            return cuts
        check()
    raise AssertionError("it never got through")
