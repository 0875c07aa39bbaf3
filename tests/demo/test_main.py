"""`make run` end to end: the command, its processes, what they answer, and how it all ends."""

import os
import re
import signal
import socket
import sys

import pytest
import trio

from tests.commands import run, started
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and sessions are POSIX")
MODULE = "trio_envoy.demo"


async def up(demo):
    """The ports of the front proxy and its admin interface, once it says that all is up."""

    def welcomed():
        assert demo.process.returncode is None, demo.said()
        return "Ctrl-C stops it." in demo.out.read_text()

    await eventually(welcomed, within=60)
    front, admin = re.findall(r"http://localhost:(\d+)/", demo.out.read_text())
    demo.admin = int(admin)
    return int(front)


def children_of(pid):
    """Process ids, by what they run: `node` or `web`."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{entry}/cmdline", encoding="utf-8") as line:
                arguments = line.read().split("\0")
        except (OSError, ValueError):
            continue
        if parent == pid and len(arguments) > 2:  # in the middle of exec() it has none
            found[int(entry)] = arguments[2].rpartition(".")[2]
    return found


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux")


@linux
async def test_both_services_answer_and_ctrl_c_ends_everything(tmp_path):
    async with started(tmp_path, "--port", 0, "--admin-port", 0, module=MODULE) as demo:
        front = await up(demo)
        for number in "12":
            answer = await demo.ask(f"/service/{number}", port=front)
            assert answer.status == 200
            assert answer.content.startswith(b"Hello from behind Envoy (service %b)! hostname: " % number.encode())
            assert b"resolvedhostname: " in answer.content
            assert dict(answer.headers)[b"server"] == b"envoy"
        assert (await demo.ask("/nowhere", port=front)).status == 404

        traced = await demo.ask("/trace/1", port=front)
        assert traced.content.startswith(b"Hello from behind Envoy (service 1)!")

        assert b"Envoy Admin" in (await demo.ask("/")).content
        assert b"service1::172.18.0.3:80::" in (await demo.ask("/clusters")).content
        stats = (await demo.ask("/stats?filter=upstream_rq_200$")).content.decode()
        assert "cluster.service1.upstream_rq_200: 3" in stats  # the demo asked once itself
        assert "cluster.service2.upstream_rq_200: 2" in stats

        children = children_of(demo.process.pid)
        assert sorted(children.values()) == ["node", "node", "node", "web", "web"]
        demo.send(signal.SIGINT)
        assert await demo.wait() == 0
        assert not [pid for pid in children if runs(pid)]
        assert demo.said() == ""
        assert demo.out.read_text().endswith("\nstopping\n")


@linux
async def test_service_1_calls_service_2_when_it_is_traced(tmp_path):
    async with started(tmp_path, "--port", 0, "--admin-port", 0, module=MODULE) as demo:
        front = await up(demo)
        await demo.ask("/trace/1", port=front)
        commands = [line for pid in children_of(demo.process.pid) for line in [arguments(pid)] if "node" in line]
        sidecar = next(line for line in commands if "service2-envoy.yaml" in line)
        admin = re.search(r'"0\.0\.0\.0:8001": "127\.0\.0\.1:(\d+)"', sidecar)[1]

        stats = (await demo.ask("/stats?filter=local_service.upstream_rq_200$", port=int(admin))).content.decode()

        assert "cluster.local_service.upstream_rq_200: 2" in stats  # /service/2 of the demo itself, and /trace/2


def arguments(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
        return line.read()


@linux
@pytest.mark.parametrize(("kind", "what"), [("web", "web application"), ("node", "sidecar|front proxy")])
async def test_a_child_that_dies_ends_the_demo_with_one_sentence(tmp_path, kind, what):
    async with started(tmp_path, "--port", 0, "--admin-port", 0, module=MODULE) as demo:
        await up(demo)
        children = children_of(demo.process.pid)
        victim = next(pid for pid, name in children.items() if name == kind)

        os.kill(victim, signal.SIGKILL)

        assert await demo.wait() == 1
        assert re.fullmatch(rf".*({what}) was ended by SIGKILL: the demo ends with it\.\n", demo.said())
        assert not [pid for pid in children if runs(pid)]


@linux
async def test_children_end_even_when_the_demo_is_killed(tmp_path):
    async with started(tmp_path, "--port", 0, "--admin-port", 0, module=MODULE) as demo:
        await up(demo)
        children = children_of(demo.process.pid)

        demo.send(signal.SIGKILL)
        await demo.wait()

        await eventually(lambda: not [pid for pid in children if runs(pid)])


def test_a_port_in_use_is_one_sentence_and_no_process():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", port, "--admin-port", 0, module=MODULE)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"Port {port} on 127.0.0.1 is not free (Address already in use): stop what uses it, or take another one "
        "(make run PORT=... ADMIN_PORT=..., or --port and --admin-port).\n"
    )
    assert ended.stdout == ""


async def test_sigterm_before_it_is_up_ends_it_too(tmp_path):
    async with started(tmp_path, "--port", 0, "--admin-port", 0, module=MODULE) as demo:
        await eventually(lambda: children_of(demo.process.pid) if sys.platform.startswith("linux") else True)
        children = children_of(demo.process.pid)
        await trio.sleep(0.1)

        demo.send(signal.SIGTERM)

        assert await demo.wait() == 0
        assert not [pid for pid in children if runs(pid)]
