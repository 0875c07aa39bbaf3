"""README.md is true: its links lead somewhere, its commands exist, what it says is printed is printed."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.commands import run
from trio_envoy.demo import __main__ as demo

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_what_make_run_prints():
    printed = textwrap.indent(
        demo._WELCOME.format(front=8000, admin=8001).strip("\n"), "    ", lambda line: line.strip()
    )

    assert printed in TEXT


def test_what_a_faulty_configuration_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("envoy.yaml").write_text(
        "static_resources:\n"
        "  clusters:\n"
        "  - name: a\n"
        "    conect_timeout: 1s\n"
        "    load_assignment:\n"
        "      cluster_name: a\n"
        "      endpoints:\n"
        "      - lb_endpoints:\n"
        "        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}\n"
        "  - name: b\n"
        "    outlier_detection: {}\n"
    )

    told = run("-c", "envoy.yaml", "--mode", "validate", "-l", "off").stderr.splitlines()

    assert len(told) == 2
    for line in told:
        assert f"    {line}\n" in TEXT


def test_targets_and_flags_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^    )make ([a-z-]+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    flags = run("--help").stdout
    for flag in re.findall(r"`[^`]*?(--[a-z][a-z-]+)", TEXT):
        if flag not in {"--help", "--build", "--strict"}:
            assert f"{flag}\n" in flags or f"{flag} " in flags, flag
