from __future__ import annotations

from trio_envoy.extensions.transport_sockets.raw_buffer import RawBuffer, make
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.registry import Category, extension_for


async def test_it_leaves_the_channel_as_it_is():
    near, far = memory_channel_pair()
    raw = make(RawBuffer(), None)

    assert await raw.accept(near) is near
    assert await raw.connect(far, hostname="a", server_name="b", alpn=("h2",)) is far


def test_it_is_for_both_sides():
    for category in (Category.TRANSPORT_SOCKET_UPSTREAM, Category.TRANSPORT_SOCKET_DOWNSTREAM):
        assert extension_for(category, RawBuffer()).factory is make
