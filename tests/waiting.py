"""Wait for what happens outside of trio: files that are written, processes that come up."""

import inspect

import trio


async def eventually(condition, *, within=10.0):
    """Ask again and again until `condition()`, which may be async, gives something true; gives that.

    Raises:
        TooSlowError: it did not in time (seconds).
    """
    with trio.fail_after(within):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await trio.sleep(0.01)
