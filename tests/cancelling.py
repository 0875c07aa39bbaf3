"""Cancel something at each of its checkpoints in turn."""

import trio


class _Cancel(trio.abc.Instrument):
    """Cancels a scope when one task has been stepped so often."""

    def __init__(self, steps, scope):
        self.task = trio.lowlevel.current_task()
        self.left = steps
        self.scope = scope

    def after_task_step(self, task):
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


async def at_every_checkpoint(make, check):
    """Run `await make()` again and again, cancelled at the first checkpoint, the second ..., until it gets through.

    `check()` is called after each run that was cut. Returns how many runs were.
    """
    for cuts in range(1000):
        with trio.CancelScope() as scope:
            instrument = _Cancel(cuts + 1, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await make()
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if not scope.cancelled_caught:
            return cuts
        check()
    raise AssertionError("it never got through")
