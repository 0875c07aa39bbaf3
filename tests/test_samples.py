"""Every file of sample_configs is started, as it is: names and ports are those of a network table."""

import ast
import gc
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

import pytest
import trio
import yaml

from tests.samples import FRONT, SAMPLES, Google, Mesh, ports_of, running, web_application
from trio_envoy.config.loader import load
from trio_envoy.config.rewrite import rewrite
from trio_envoy.demo import web
from trio_envoy.net.sockets import NetworkTable
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.server import Server

CONFIGS = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.yaml") if "compose" not in path.name)
V2 = [name for name in CONFIGS if ".v3." not in name]
V3 = [name for name in CONFIGS if ".v3." in name]
ENVOY = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_envoy = pytest.mark.skipif(ENVOY is None, reason="envoy is not installed")


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


async def curl(port, path="/"):
    command = ["curl", "-sS", "-i", "--max-time", "10", f"http://127.0.0.1:{port}{path}"]
    ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()


@needs_curl
@pytest.mark.parametrize("name", ["google_com_proxy.v2.yaml", "google_com_proxy.v3.yaml"])
async def test_the_google_proxy_answers_with_googles_page(name):
    google = Google()
    async with google.open():
        table = NetworkTable.of(
            {"google.com": ["203.0.113.7"]},
            {"0.0.0.0:10000": "127.0.0.1:0", "0.0.0.0:9901": "127.0.0.1:0"},
            {"203.0.113.7:443": f"127.0.0.1:{google.port}"},
        )
        async with running(SAMPLES / name, table) as server:
            port, admin = ports_of(server)
            answer = await curl(port, "/search?q=envoy")
            page = await curl(admin)
            clusters = await curl(admin, "/clusters")

    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "server: envoy" in head
    assert body == Google.page.decode()
    assert google.asked == [("www.google.com", "GET /search?q=envoy HTTP/1.1", "www.google.com")]
    assert "<title>Envoy Admin</title>" in page
    assert "service_google::203.0.113.7:443::rq_success::1\n" in clusters


@needs_curl
@pytest.mark.parametrize(("front", "sidecars"), [("", ""), (".v3", ".v3"), ("", ".v3")], ids=["v2", "v3", "both"])
async def test_the_front_proxy_reaches_both_services(front, sidecars):
    async with AsyncExitStack() as stack:
        mesh = stack.enter_context(closing(Mesh()))
        first, second = [await stack.enter_async_context(web_application(number)) for number in "12"]
        await stack.enter_async_context(mesh.sidecar("service1", first, sidecars))
        await stack.enter_async_context(mesh.sidecar("service2", second, sidecars))
        first.egress = mesh.egress
        server = await stack.enter_async_context(mesh.front(front))

        for path in ("/service/1", "/service/2", "/trace/1", "/trace/2"):
            answer = await curl(mesh.public, path)
            assert answer.startswith("HTTP/1.1 200 OK\r\n"), path
            assert f"Hello from behind Envoy (service {path[-1]})!" in answer, path
        assert (await curl(mesh.public, "/")).startswith("HTTP/1.1 404 Not Found\r\n")
        assert server.services.stats.value("cluster.service1.upstream_cx_http2_total") >= 1
        local = await curl(mesh.admins["service2"], "/stats?filter=local_service.upstream_rq_200$")
        assert "cluster.local_service.upstream_rq_200: 3" in local  # /service/2, /trace/2, and the one of /trace/1


async def echo_behind_an_upgrade(stream):
    """An application that accepts any upgrade, and gives back what comes then."""
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    while data := await stream.receive_some():
        await stream.send_all(data)


async def test_the_websocket_proxy_upgrades_where_it_may():
    handshake = b"GET %b HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with trio.fail_after(20):  # whoever leaves early makes the reading go on for ever
        async with trio.open_nursery() as tasks:
            serve = partial(trio.serve_tcp, echo_behind_an_upgrade, 0, host="127.0.0.1")
            (application,) = await tasks.start(serve)
            port = application.socket.getsockname()[1]
            table = NetworkTable.of(
                {},
                {"0.0.0.0:10000": "127.0.0.1:0", "127.0.0.1:9901": "127.0.0.1:0"},
                {"127.0.0.1:8765": f"127.0.0.1:{port}"},
            )
            async with running(SAMPLES / "websocket.v3.yaml", table) as server:
                async with await trio.open_tcp_stream("127.0.0.1", ports_of(server)[0]) as client:
                    await client.send_all(handshake % b"/chat" + b"hello")
                    answer = b""
                    while b"hello" not in answer:
                        answer += await client.receive_some()
                    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
                async with await trio.open_tcp_stream("127.0.0.1", ports_of(server)[0]) as client:
                    await client.send_all(handshake % b"/other")
                    assert (await client.receive_some()).startswith(b"HTTP/1.1 403 Forbidden\r\n")
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_sample_compiles_without_a_warning_but_for_deprecations(name):
    loaded = load(str(SAMPLES / name), "", resolve=config_class)
    Server(loaded, CommandLine())

    assert all("deprecated" in warning.text for warning in loaded.warnings)
    assert bool(loaded.changes) is (name in V2)


@needs_envoy
@pytest.mark.parametrize("name", V3)
def test_the_real_envoy_takes_every_v3_sample(name):
    command = [ENVOY, "--mode", "validate", "-c", SAMPLES / name]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr


@needs_envoy
@pytest.mark.parametrize("name", V2)
def test_the_real_envoy_takes_what_upgrade_makes_of_every_v2_sample(name, tmp_path):
    upgraded, _ = rewrite((SAMPLES / name).read_text(), name)
    path = tmp_path / "envoy.yaml"
    path.write_text(upgraded)

    ended = subprocess.run([ENVOY, "--mode", "validate", "-c", path], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr


def test_every_configuration_is_started_by_one_of_these_tests():
    started = {"google_com_proxy.v2.yaml", "google_com_proxy.v3.yaml", "websocket.v3.yaml"}
    for name in ("front", "service1", "service2"):
        started |= {f"front_proxy/{name}-envoy.yaml", f"front_proxy/{name}-envoy.v3.yaml"}

    assert set(CONFIGS) == started


@pytest.mark.parametrize("path", ["Dockerfile", "front_proxy/Dockerfile-frontenvoy", "front_proxy/Dockerfile-service"])
def test_dockerfiles_copy_what_is_there(path):
    text = (SAMPLES / path).read_text()
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)

    assert copied[0] == "."
    for name in copied[1:]:
        for number in "12":
            assert (SAMPLES.parent / name.replace("${SERVICE_NAME}", number)).is_file(), name
    assert re.search(r"^CMD .*trio-envoy.*/etc/envoy/envoy.yaml", text, re.MULTILINE)


def test_the_compose_file_is_that_of_the_tutorial():
    services = yaml.safe_load((FRONT / "docker-compose.yml").read_text())["services"]

    assert services["front-envoy"]["ports"] == ["8000:80", "8001:8001"]
    for name in ("service1", "service2"):
        assert services[name]["networks"]["envoymesh"]["aliases"] == [name]
        assert services[name]["build"]["args"]["SERVICE_NAME"] == name[-1]
    for service in services.values():
        build = service["build"]
        assert (FRONT / build["context"] / build["dockerfile"]).is_file()


def test_the_flask_application_is_the_one_that_the_demo_stands_in_for():
    tree = ast.parse((FRONT / "service.py").read_text())
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    headers = next(node for node in assigned if node.targets[0].id == "TRACE_HEADERS")

    assert ast.literal_eval(headers.value) == web.TRACE_HEADERS
