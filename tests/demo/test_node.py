import json

from tests.commands import run, started
from tests.waiting import eventually


async def test_the_table_stands_for_names_and_ports(tmp_path):
    config, address = tmp_path / "envoy.yaml", tmp_path / "address"
    config.write_text("admin: {address: {socket_address: {address: 0.0.0.0, port_value: 80}}}")
    table = json.dumps({"names": {}, "binds": {"0.0.0.0:80": "127.0.0.1:0"}, "connects": {}})
    flags = ("-c", config, "--admin-address-path", address)

    async with started(tmp_path, table, *flags, module="trio_envoy.demo.node") as node:
        await eventually(lambda: address.exists() and address.read_text(), within=20)
        host, _, port = address.read_text().rpartition(":")
        node.admin = int(port)
        await eventually(node.ready)

        assert (host, port != "80") == ("127.0.0.1", True)
        assert (await node.ask("/ready")).content == b"LIVE\n"


def test_the_rest_is_the_command_line():
    ended = run(
        '{"names": {}, "binds": {}, "connects": {}}', "--config-yaml", "nonsense: 1", module="trio_envoy.demo.node"
    )

    assert ended.returncode == 1
    assert "unknown to Envoy: 'nonsense'" in ended.stderr
