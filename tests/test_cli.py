"""The command: what it prints, how it ends. Signals and exit codes are those of real processes."""

import gc
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.commands import run, serving, started
from tests.logs import logs_as_before
from tests.waiting import eventually
from trio_envoy import cli

ADMIN = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@pytest.fixture(autouse=True)
def _settings_stay():
    """main() sets up logs and the garbage collector of its process, which is ours here."""
    thresholds = gc.get_threshold()
    with logs_as_before():
        yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def write(tmp_path, text, name="envoy.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_validate_says_ok_on_stdout_and_exits_0(tmp_path, capsys):
    path = write(tmp_path, ADMIN)

    code = cli.main(["-c", path, "--mode", "validate"])

    assert (code, capsys.readouterr().out) == (0, f"configuration '{path}' OK\n")


def test_validate_opens_nothing(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = write(tmp_path, ADMIN.replace("port_value: 0", f"port_value: {taken.getsockname()[1]}"))

        assert cli.main(["-c", path, "--mode", "validate"]) == 0


def test_all_faults_come_at_once_with_their_places(tmp_path, capsys):
    path = write(
        tmp_path,
        "static_resource: {}\n"
        "static_resources:\n"
        "  clusters:\n"
        "  - name: a\n"
        "    connect_timeout: -1s\n"
        "  - name: b\n"
        "    typ: STATIC\n",
    )

    code = cli.main(["-c", path, "--mode", "validate"])

    said = capsys.readouterr()
    faults = [line for line in said.err.splitlines() if line.startswith(path)]
    assert (code, said.out) == (1, "")
    assert [line.removeprefix(path).split(":")[1:3] for line in faults] == [["1", "1"], ["5", "5"], ["7", "5"]]
    assert "$.static_resources.clusters[1].typ" in faults[2]
    assert "did you mean 'type'" in faults[2]
    assert f"error initializing configuration '{path}'" in said.err


def test_faults_of_parts_that_are_built_have_their_places_too(tmp_path, capsys):
    path = write(
        tmp_path,
        "static_resources:\n"
        "  clusters:\n"
        "  - {name: a}\n"
        "  - {name: a}\n"
        "application_log_config: {log_format: {json_format: {x: '%v'}}}\n",
    )

    assert cli.main(["-c", path, "--mode", "validate"]) == 1
    said = capsys.readouterr().err
    assert f"{path}:4:6: $.static_resources.clusters[1].name: cluster manager: duplicate cluster 'a'\n" in said
    assert f"{path}:5:39: $.application_log_config.log_format.json_format" in said


def test_parts_that_are_right_are_built_although_others_are_not(tmp_path, capsys):
    path = write(
        tmp_path,
        "static_resources:\n"
        "  clusters:\n"
        "  - {name: a}\n"
        "  - {name: a, connect_timeout: -1s}\n"
        "  - {name: b, eds_cluster_config: {}}\n"
        "  - {name: b}\n",
    )

    assert cli.main(["-c", path, "--mode", "validate"]) == 1
    said = [line.removeprefix(path) for line in capsys.readouterr().err.splitlines() if line.startswith(path)]
    assert [line.partition(" $")[0] for line in said] == [":4:6:", ":4:15:", ":5:15:", ":6:6:"]
    assert said[0].endswith("duplicate cluster 'a'")
    assert said[3].endswith("duplicate cluster 'b'")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "at least one of --config-path or --config-yaml"),
        (["-c", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["--no-such-flag"], "PARSE ERROR: Argument: --no-such-flag"),
        (["--mode"], "Missing a value for this argument!"),
        (["--base-id-path", "x"], "error: --base-id-path is not supported"),
        (["--config-yaml", "a: ["], "--config-yaml:2:1: $: not valid YAML"),
        (["-c", "x.yaml", "--log-path", "/no/such/directory/log"], "Failed to open log-file '/no/such/directory/log'"),
    ],
)
def test_what_can_not_be_exits_1(arguments, text, capsys):
    assert cli.main(arguments) == 1
    assert text in capsys.readouterr().err


def test_config_yaml_alone_and_merged_into_a_file(tmp_path, capsys):
    path = write(tmp_path, "node: {id: of file, cluster: c}\n")

    assert cli.main(["--mode", "validate", "--config-yaml", "node: {id: a}"]) == 0
    assert cli.main(["--mode", "validate", "-c", path, "--config-yaml", "node: {idd: a}"]) == 1
    assert "--config-yaml:1:8: $.node.idd" in capsys.readouterr().err


def test_unknown_fields_may_be_allowed(tmp_path, capsys):
    path = write(tmp_path, "no_such_field: 1\n")

    assert cli.main(["-c", path, "--mode", "validate"]) == 1
    assert cli.main(["-c", path, "--mode", "validate", "--allow-unknown-static-fields"]) == 0
    assert cli.main(["-c", path, "--mode", "validate", "--allow-unknown-fields"]) == 0
    assert "--allow-unknown-fields is deprecated" in capsys.readouterr().err


def test_deprecated_fields_are_told_and_may_be_silenced(tmp_path, capsys):
    path = write(tmp_path, "admin: {access_log_path: /dev/null}\n")

    cli.main(["-c", path, "--mode", "validate"])
    told = capsys.readouterr().err
    cli.main(["-c", path, "--mode", "validate", "--skip-deprecated-logs"])
    silent = capsys.readouterr().err

    assert "[warning][config] [trio_envoy/cli.py" in told
    assert f"{path}:1:9: $.admin.access_log_path" in told
    assert "access_log_path" not in silent


async def test_warnings_are_counted(tmp_path):
    config = ADMIN.replace("{address", "{access_log_path: /dev/null, address") + "no_such_field: 1\n"
    async with serving(tmp_path, config, "--allow-unknown-static-fields") as command:
        stats = (await command.ask("/stats?filter=unknown_fields|deprecated")).content.decode().splitlines()

    assert "server.static_unknown_fields: 1" in stats
    assert "runtime.deprecated_feature_use: 1" in stats
    assert "runtime.deprecated_feature_seen_since_process_start: 1" in stats


def test_version_and_help(capsys):
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"\n\S+ {2}version: trio-envoy-[^/]+/1\.40\.0/Clean/RELEASE/\w+\n\n", capsys.readouterr().out)
    assert cli.main(["-h"]) == 0
    assert "--config-path <string>" in capsys.readouterr().out
    assert cli.main(["--hot-restart-version"]) == 0
    assert capsys.readouterr().out == "disabled\n"


def test_upgrade_prints_the_v3_form_and_tells_each_change(tmp_path, capsys):
    path = write(
        tmp_path,
        "static_resources:\n"
        "  clusters:\n"
        "  - name: a  # kept\n"
        "    connect_timeout: 1s\n"
        "    hosts: [{socket_address: {address: 127.0.0.1, port_value: 1}}]\n",
    )

    code = cli.main(["upgrade", path])

    said = capsys.readouterr()
    assert code == 0
    assert "- name: a  # kept\n" in said.out
    assert "load_assignment:" in said.out
    assert f"{path}:5:5: $.static_resources.clusters[0].hosts" in said.err


@pytest.mark.parametrize("arguments", [["upgrade"], ["upgrade", "-x"], ["upgrade", "a", "b"], ["upgrade", "/no/file"]])
def test_upgrade_that_can_not_be(arguments, capsys):
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err


def test_the_module_is_the_command():
    ended = run("--hot-restart-version")

    assert (ended.returncode, ended.stdout) == (0, "disabled\n")


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly(tmp_path, number):
    async with serving(tmp_path, ADMIN) as command:
        command.send(number)

        assert await command.wait() == 0
        said = command.said()
        assert f"caught {'ENVOY_SIGTERM' if number == signal.SIGTERM else 'SIGINT'}\n" in said
        assert said.rstrip().endswith("exiting")
        assert "Traceback" not in said


@posix
async def test_quitquitquit_stops_it_with_0(tmp_path):
    async with serving(tmp_path, ADMIN) as command:
        answer = await command.ask("/quitquitquit", method="POST")

        assert answer.content == b"OK\n"
        assert await command.wait() == 0


@posix
async def test_sigusr1_opens_the_logs_anew_and_sighup_does_nothing(tmp_path):
    log, access = tmp_path / "app.log", tmp_path / "access.log"
    config = ADMIN.replace("admin: {", f"admin: {{access_log_path: {access}, ")
    flags = ("--log-path", log, "--file-flush-interval-msec", "20")
    async with serving(tmp_path, config, *flags) as command:
        await eventually(lambda: access.exists() and access.read_text())
        log.rename(tmp_path / "old.log")
        access.rename(tmp_path / "old.access.log")

        command.send(signal.SIGHUP)
        command.send(signal.SIGUSR1)
        await eventually(access.exists)
        await command.ask("/clusters")
        await eventually(lambda: "/clusters" in access.read_text())
        command.send(signal.SIGTERM)
        assert await command.wait() == 0

    assert "caught and eating SIGHUP" in (tmp_path / "old.log").read_text()
    assert "caught ENVOY_SIGTERM" in log.read_text()
    assert "caught ENVOY_SIGTERM" not in (tmp_path / "old.log").read_text()


@posix
@pytest.mark.parametrize("part", ["admin", "listener"])
def test_a_port_in_use_is_one_clear_sentence_and_1(tmp_path, part):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{{address: 127.0.0.1, port_value: {taken.getsockname()[1]}}}"
        listener = f"{{name: l, address: {{socket_address: {address}}}, filter_chains: [{{filters: []}}]}}"
        texts = {
            "admin": f"admin: {{address: {{socket_address: {address}}}}}\n",
            "listener": f"static_resources: {{listeners: [{listener}]}}\n",
        }
        ended = run("-c", write(tmp_path, texts[part]), "-l", "error")

    assert ended.returncode == 1
    assert f"cannot bind '127.0.0.1:{taken_port(address)}': Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def taken_port(address):
    return re.search(r"port_value: (\d+)", address)[1]


@posix
async def test_the_log_has_envoys_format_and_levels(tmp_path):
    async with serving(tmp_path, ADMIN, "-l", "warning", "--component-log-level", "main:info") as command:
        command.send(signal.SIGTERM)
        await command.wait()
        lines = command.said().splitlines()

    shape = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[\d+\]\[(\w+)\]\[(\w+)\] \[trio_envoy/\S+:\d+\] .+")
    assert all(shape.fullmatch(line) for line in lines)
    assert {shape.fullmatch(line)[2] for line in lines} == {"main"}


@posix
async def test_log_lines_can_be_json(tmp_path):
    config = (
        ADMIN + "application_log_config: {log_format: {json_format: {at: '%l', from: '%n', text: '%j', number: 1}}}\n"
    )
    async with serving(tmp_path, config) as command:
        command.send(signal.SIGTERM)
        await command.wait()
        lines = [json.loads(line) for line in command.said().splitlines()]

    assert {"at": "warning", "from": "main", "text": "caught ENVOY_SIGTERM", "number": 1} in lines


@posix
async def test_log_lines_can_have_a_format_of_ones_own(tmp_path):
    config = ADMIN + "application_log_config: {log_format: {text_format: '<%l> %v'}}\n"
    async with serving(tmp_path, config) as command:
        command.send(signal.SIGTERM)
        await command.wait()

        assert "<warning> caught ENVOY_SIGTERM\n" in command.said()


def test_the_flag_and_the_file_may_not_both_set_the_log_format(tmp_path, capsys):
    path = write(tmp_path, "application_log_config: {log_format: {text_format: '%v'}}\n")

    assert cli.main(["-c", path, "--log-format", "%v", "--mode", "validate"]) == 1
    assert "Only one of ApplicationLogConfig.log_format or CLI option --log-format" in capsys.readouterr().err


@posix
async def test_a_merged_configuration_is_served(tmp_path):
    async with serving(
        tmp_path, ADMIN + "node: {id: of file, cluster: c}\n", "--config-yaml", "node: {id: merged}"
    ) as one:
        node = json.loads((await one.ask("/server_info")).content)["node"]

    assert (node["id"], node["cluster"]) == ("merged", "c")


@posix
def test_it_ends_when_its_output_is_gone(tmp_path):
    """`trio-envoy ... | head`: a closed pipe is no reason for a traceback."""
    path = write(tmp_path, ADMIN)
    command = f"{sys.executable} -m trio_envoy -c {path} --mode validate | true"
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60)

    assert "Traceback" not in ended.stderr


async def test_started_helpers_end_what_they_start(tmp_path):
    async with started(tmp_path, "-c", write(tmp_path, ADMIN)) as command:
        pass

    assert command.process.returncode is not None
