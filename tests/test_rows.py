"""One module, one test file; one extension, one row in docs/extensions.md."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import attrs
import pytest

import trio_envoy.extensions
from trio_envoy import registry
from trio_envoy.config import schema

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trio_envoy"
TESTS = ROOT / "tests"

ELSEWHERE = {
    "__main__.py": "two lines, which tests/test_cli.py runs",
    "demo/__main__.py": "tests/demo/test_main.py",
    "config/v2/document.py": "tests/config/v2/test_upgrade.py: whole documents go through it",
    "config/v2/run.py": "tests/config/v2/test_walk.py: the rules' notebook, seen through what they write in it",
    "http/h1/parser.py": "what both parsers have in common: tests/http/h1/test_request_parser.py",
}


def modules():
    """Every module with code in it; a package's own code counts as a module of the package's name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if has_logic(path):
            yield relative.as_posix()


def has_logic(path):
    """Whether a file does something: one that only declares (classes of data, protocols, constants) needs no test."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(not is_declaration(function) for function in functions)


def is_declaration(function):
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return not body or (
        len(body) == 1 and isinstance(body[0], ast.Raise) and "NotImplementedError" in ast.dump(body[0])
    )


def mirror(module):
    path = Path(module)
    stem = path.parent.name if path.name == "__init__.py" else path.stem
    return TESTS / path.parent / f"test_{stem}.py"


@pytest.mark.parametrize("module", list(modules()))
def test_every_module_has_its_test_file_or_a_reason(module):
    assert module in ELSEWHERE or mirror(module).is_file(), f"{mirror(module).relative_to(ROOT)} is not there"


@pytest.mark.parametrize("module", list(ELSEWHERE))
def test_reasons_are_about_what_is_there(module):
    assert (PACKAGE / module).is_file()
    for name in re.findall(r"tests/\S+\.py", ELSEWHERE[module]):
        assert (ROOT / name).is_file(), name


def everything():
    """All extensions, with every module imported."""
    found = {one.name for one in pkgutil.walk_packages(trio_envoy.extensions.__path__, "trio_envoy.extensions.")}
    for name in found:
        importlib.import_module(name)
    return [extension for extension in registry.registered() if extension.factory.__module__ in found]


def rows():
    """Of docs/extensions.md: names, module, type URLs, and the words in code type of the last column."""
    found = []
    for line in (ROOT / "docs" / "extensions.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            names, module, _, urls, differences = cells
            names, urls, words = (re.findall(r"`([^`]+)`", cell) for cell in (names, urls, differences))
            found.append((names, module.strip("`"), urls, words))
    return found


def test_every_extension_has_a_row():
    named = [name for names, *_ in rows() for name in names]

    assert sorted(named) == sorted({extension.name for extension in everything()})
    assert len(named) == len(set(named))


def test_rows_name_the_modules_of_their_extensions():
    where = {}
    for extension in everything():
        module = extension.factory.__module__.removeprefix("trio_envoy.extensions.").replace(".", "/")
        where.setdefault(extension.name, set()).add(module)
    for names, module, *_ in rows():
        for name in names:
            assert module.removesuffix(".py").removesuffix("/") in where[name], name


def test_rows_name_the_type_urls_of_their_extensions():
    taken = {}
    for extension in everything():
        for message in (extension.config, extension.per_route):
            if message is not None:
                taken.setdefault(extension.name, set()).add(message.__proto__)
    for names, _, urls, _ in rows():
        expected = {url for name in names for url in taken.get(name, ())}
        assert {f"envoy.extensions.{url}" for url in urls if ".v3." in url} == expected, names


def test_rows_tell_which_fields_are_refused():
    told = {name: words for names, _, _, words in rows() for name in names}
    for extension in everything():
        for message in (extension.config, extension.per_route):
            if message is not None:
                honoured = {field.name.rstrip("_") for field in attrs.fields(message)}
                fields = schema.message(message.__proto__).by_number.values()
                refused = {field.name for field in fields if not field.deprecated} - honoured
                assert refused <= set(told[extension.name]), extension.name
                assert not honoured & set(told[extension.name]), extension.name


def test_every_module_of_extensions_registers_one_or_belongs_to_one():
    modules = {extension.factory.__module__ for extension in everything()}
    for found in pkgutil.walk_packages(trio_envoy.extensions.__path__, "trio_envoy.extensions."):
        if not found.ispkg:
            parts = found.name.rpartition(".")[0]
            assert found.name in modules or parts in modules or ".common" in found.name, found.name
