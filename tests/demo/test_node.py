import json
import socket

from tests.commands import run, started
from tests.waiting import eventually


async def test_the_table_stands_for_names_and_ports(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    config = tmp_path / "envoy.yaml"
    config.write_text("admin: {address: {socket_address: {address: 0.0.0.0, port_value: 80}}}")
    table = json.dumps({"names": {}, "binds": {"0.0.0.0:80": f"127.0.0.1:{free}"}, "connects": {}})

    async with started(tmp_path, table, "-c", config, module="trio_envoy.demo.node") as node:
        node.admin = free
        await eventually(node.ready, within=20)
        assert (await node.ask("/ready")).content == b"LIVE\n"


def test_the_rest_is_the_command_line():
    ended = run(
        '{"names": {}, "binds": {}, "connects": {}}', "--config-yaml", "nonsense: 1", module="trio_envoy.demo.node"
    )

    assert ended.returncode == 1
    assert "unknown to Envoy: 'nonsense'" in ended.stderr
