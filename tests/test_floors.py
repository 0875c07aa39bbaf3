"""The house stands: packages import only from lower floors (or their own), and no file is too long.

The table is the architecture (docs/architecture.md); `if TYPE_CHECKING` imports count.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trio_envoy"
MAX_LINES = 500

FLOORS = (
    ("errors", "util"),
    ("config",),
    ("registry", "stats"),
    ("runtime",),
    ("net",),
    ("http",),
    ("matching", "formatter"),
    ("routing", "upstream", "accesslog", "tracing"),
    ("hcm",),
    ("extensions",),
    ("server", "xds"),
    ("cli",),
    ("__main__", "demo"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def top_package(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            if node.module == "trio_envoy":
                names.update(f"trio_envoy.{alias.name}" for alias in node.names)
            else:
                names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.startswith("trio_envoy.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    mine = top_package(path)
    if mine == "__init__":
        return
    for name in imports_of(path):
        other = name.split(".")[1]
        assert other in FLOOR, f"{name}: on which floor is it?"
        allowed = FLOOR[other] < FLOOR[mine] or other == mine
        assert allowed, f"{mine} (floor {FLOOR[mine]}) imports {name} (floor {FLOOR[other]})"


def test_extensions_import_no_other_extension():
    for path in sorted((PACKAGE / "extensions").rglob("*.py")):
        own = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for name in imports_of(path):
            if name.startswith("trio_envoy.extensions."):
                shared = name.startswith("trio_envoy.extensions.common")
                inside = (
                    name.startswith(own) or own.startswith(name) or name.rpartition(".")[0] == own.rpartition(".")[0]
                )
                assert shared or inside, f"{own} imports {name}"


def test_the_server_reaches_extensions_only_through_the_registry():
    for path in sorted((PACKAGE / "server").rglob("*.py")):
        assert not [name for name in imports_of(path) if name.startswith("trio_envoy.extensions")], path


@pytest.mark.parametrize(
    "path", sorted([*FILES, *(ROOT / "tests").rglob("*.py")]), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_file_is_longer_than_one_idea(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES
