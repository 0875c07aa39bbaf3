import json
import socket

import pytest

from trio_envoy.demo import compose
from trio_envoy.demo.compose import DemoError, Ports, choose_ports, processes

PORTS = Ports(
    front=1,
    admin=2,
    ingress={"service1": 3, "service2": 4},
    sidecar_admin={"service1": 5, "service2": 6},
    web={"service1": 7, "service2": 8},
    egress=9,
)


def table_of(process):
    return json.loads(process.command[3])


def test_ports_that_are_not_given_are_free_and_different():
    ports = choose_ports(0, 0)

    chosen = [ports.front, ports.admin, ports.egress, *ports.ingress.values(), *ports.sidecar_admin.values()]
    chosen += ports.web.values()
    assert len(set(chosen)) == len(chosen) == 9
    for port in chosen:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_ports_that_are_given_are_taken():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]

    assert choose_ports(free, 0).front == free


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DemoError, match=r"^Port \d+ on 127.0.0.1 is"):
        choose_ports(0, taken.getsockname()[1])


def test_two_web_applications_two_sidecars_and_the_front_proxy():
    names = [process.name for process in processes(PORTS)]

    assert names == [
        "service1's web application",
        "service2's web application",
        "service1's sidecar",
        "service2's sidecar",
        "the front proxy",
    ]


def test_tables_stand_for_the_network_of_docker_compose():
    _, _, one, two, front = processes(PORTS)

    names = {"service1": ["172.18.0.3"], "service2": ["172.18.0.4"]}
    mesh = {"172.18.0.3:80": "127.0.0.1:3", "172.18.0.4:80": "127.0.0.1:4"}
    assert table_of(front) == {
        "names": names,
        "binds": {"0.0.0.0:80": "127.0.0.1:1", "0.0.0.0:8001": "127.0.0.1:2"},
        "connects": mesh,
    }
    assert table_of(one)["binds"] == {
        "0.0.0.0:80": "127.0.0.1:3",
        "0.0.0.0:8001": "127.0.0.1:5",
        "0.0.0.0:9000": "127.0.0.1:9",
    }
    assert table_of(one)["connects"] == mesh | {"127.0.0.1:8080": "127.0.0.1:7"}
    assert table_of(two)["binds"] == {"0.0.0.0:80": "127.0.0.1:4", "0.0.0.0:8001": "127.0.0.1:6"}


def test_configurations_are_the_samples_untouched():
    files = [process.command[process.command.index("-c") + 1] for process in processes(PORTS)[2:]]

    assert [file.rpartition("/")[2] for file in files] == [
        "service1-envoy.yaml",
        "service2-envoy.yaml",
        "front-envoy.yaml",
    ]


def test_without_a_checkout_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(compose, "SAMPLES", tmp_path)

    with pytest.raises(DemoError, match="the demo runs from a checkout of trio_envoy"):
        processes(PORTS)


async def test_what_does_not_come_up_in_time_is_told(monkeypatch, autojump_clock):
    async def nobody(*_):
        return b""

    monkeypatch.setattr(compose, "processes", lambda _: [])
    monkeypatch.setattr(compose, "_status_line", nobody)

    with pytest.RaisesGroup(pytest.RaisesExc(DemoError, match="not up within 20 seconds")):
        await compose.run(PORTS)
