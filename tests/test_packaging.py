"""What pyproject.toml promises: files that ship, packages that are needed, commands that work."""

import ast
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

from trio_envoy.cli import main

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trio_envoy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED = {line.partition(">")[0].lower() for line in PROJECT["project"]["dependencies"]}


def files_beside_code():
    return [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]


@pytest.mark.parametrize("path", files_beside_code(), ids=str)
def test_every_file_beside_the_code_is_shipped(path):
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    package = ".".join(("trio_envoy", *path.parts[:-1]))

    assert any(path.match(pattern) for pattern in patterns.get(package, ())), f"{path}: not in package-data"


def test_types_and_the_schema_are_among_them():
    assert {"py.typed", "config/schema.bin"} <= {path.as_posix() for path in files_beside_code()}


def third_party():
    """Top-level modules that the code imports and that are neither ours nor the standard library's."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"trio_envoy"}


def test_dependencies_are_what_is_imported():
    distributions = packages_distributions()
    imported = {distributions[name][0].lower() for name in third_party()}

    assert imported == NEEDED


def test_each_dependency_has_its_reason():
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()

    assert [name for name in sorted(NEEDED) if f"`{name}`" not in text] == []


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="trio-envoy")

    assert command.load() is main


def test_the_version_of_python_is_the_same_everywhere():
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert "v >= (3, 11)" in (ROOT / "Makefile").read_text()
