"""One connection: when it is over its memory is free at once, without a look for circles."""

import gc
import weakref

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_all, receive_some
from tests.hcm.served import Managed, forever, ok
from trio_envoy.hcm.connection import HcmConnection
from trio_envoy.util.deadlines import Cause

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def leave(far, near):
    far.close()


async def is_drained(far, near):
    near.drain()


async def fires(far, near):
    near.guard.fire(Cause.STREAM_IDLE)
    await receive_some(far)
    far.close()


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("said", "answer", "end"),
    [
        (b"", ok, leave),
        (GET, ok, leave),
        (GET, ok, is_drained),
        (GET * 3, ok, leave),
        (GET, forever, leave),
        (GET, forever, fires),
        (b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", ok, leave),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", forever, leave),
        (b"GET / HTTP/1.1\r\n: \r\n\r\n", ok, leave),
        (b"GET / HT", ok, leave),
    ],
)
async def test_a_connection_that_is_over_is_free(autojump_clock, no_gc, said, answer, end):
    managed = Managed(answer)
    near, far = managed.connection()
    served = HcmConnection(managed.manager, near)
    alive = weakref.ref(served)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(served.serve)
        del served
        far.send(said)
        await wait_all_tasks_blocked()
        await end(far, near)

    near.guard.close()
    managed.entries.clear()
    assert alive() is None


async def test_one_that_is_cut_short_is_free(autojump_clock, no_gc):
    managed = Managed(forever)
    near, far = managed.connection()
    served = HcmConnection(managed.manager, near)
    alive = weakref.ref(served)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(served.serve)
        del served
        far.send(GET)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert await receive_all(far) == b""
    managed.entries.clear()
    assert alive() is None
