import json

import pytest

from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.server.admin.listeners import address_tree


def two(admin):
    listeners = f"[{admin.listener('one')}, {admin.listener('two')}]"
    return f"{{admin: {{{admin.address}}}, static_resources: {{listeners: {listeners}}}}}"


async def test_text_tells_the_real_ports(admin):
    async with admin.serving(two(admin)) as live:
        text = (await live.get("/listeners")).text
        ports = [listener.addresses[0].port for listener in live.server.listeners.listeners]

    assert text == f"one::127.0.0.1:{ports[0]}\ntwo::127.0.0.1:{ports[1]}\n"
    assert 0 not in ports


async def test_json(admin):
    async with admin.serving(two(admin)) as live:
        tree = json.loads((await live.get("/listeners?format=json")).text)
        port = live.server.listeners.listeners[0].addresses[0].port

    assert [status["name"] for status in tree["listener_statuses"]] == ["one", "two"]
    assert tree["listener_statuses"][0]["local_address"] == {
        "socket_address": {"address": "127.0.0.1", "port_value": port}
    }


async def test_without_listeners_there_is_nothing(admin):
    async with admin.serving() as live:
        assert (await live.get("/listeners")).text == ""
        assert (await live.get("/listeners?format=json")).text == "{}\n"


@pytest.mark.parametrize(
    ("address", "tree"),
    [
        (IpAddress("::1", 80), {"socket_address": {"address": "::1", "port_value": 80}}),
        (IpAddress("10.0.0.1", 0), {"socket_address": {"address": "10.0.0.1"}}),
        (PipeAddress("/tmp/x"), {"pipe": {"path": "/tmp/x"}}),
    ],
)
def test_addresses(address, tree):
    assert address_tree(address) == tree
