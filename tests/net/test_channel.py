from __future__ import annotations

import pytest
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_exactly
from trio_envoy.net.channel import send_all, send_rest
from trio_envoy.net.memory_channel import memory_channel_pair


async def test_what_fits_is_sent_at_once(autojump_clock):
    near, far = memory_channel_pair()
    await send_all(near, b"data")

    assert await receive_exactly(far, 4) == b"data"


async def test_the_rest_waits_for_the_peer(autojump_clock, nursery):
    near, far = memory_channel_pair(limit_bytes=3)
    nursery.start_soon(send_all, near, b"0123456789")
    await wait_all_tasks_blocked()

    assert await receive_exactly(far, 10) == b"0123456789"


async def test_a_part_was_sent_before(autojump_clock, nursery):
    near, far = memory_channel_pair(limit_bytes=3)
    nursery.start_soon(send_rest, near, b"0123456789", 4)

    assert await receive_exactly(far, 6) == b"456789"


async def test_a_peer_that_goes_while_we_wait_is_an_error(autojump_clock, nursery):
    near, far = memory_channel_pair(limit_bytes=3)

    async def go():
        await wait_all_tasks_blocked()
        far.close()

    nursery.start_soon(go)
    with pytest.raises(BrokenPipeError):
        await send_all(near, b"0123456789")
