"""A field that loads and does nothing is a defect: what a class has is honoured, or it isn't there and is refused.

Told twice: by the names of attributes, which is quick, and by the types that mypy infers where it is installed (`make
lint`): `name` of one class being read says nothing of `name` of another.
"""

import ast
import functools
import importlib
import inspect
import os
import pkgutil
import typing
from pathlib import Path

import attrs
import pytest

import trio_envoy.config
import trio_envoy.extensions
from trio_envoy.config.bootstrap import Bootstrap
from trio_envoy.config.route import FilterConfig
from trio_envoy.registry import config_class

ROOT = Path(trio_envoy.config.__file__).parent.parent

# What no line of ours reads, and why it may be there all the same.
_NO_TRACES = "ids and traces know of each other, and there are no traces: parity headers/request_id_extension"
MEANINGLESS = {
    "envoy.config.cluster.v3.Cluster.close_connections_on_host_health_failure": (
        "it ends connections of a TCP proxy; requests run on with or without it, see parity health/close_connections"
    ),
    "envoy.config.cluster.v3.Cluster.per_connection_buffer_limit_bytes": "bodies are pulled, see docs/differences.md",
    "envoy.config.cluster.v3.Cluster.round_robin_lb_config": "the message has no field that is supported",
    "envoy.config.core.v3.Node.metadata": "only shown by /server_info and /config_dump, which show the file itself",
    "envoy.config.endpoint.v3.ClusterLoadAssignment.cluster_name": "tells assignments apart where they are fetched",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ".represent_ipv4_remote_address_as_ipv4_mapped_ipv6": "Envoy 1.40 does not look at it: parity headers/mapped_ipv6",
    "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig.pack_trace_reason": _NO_TRACES,
    "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig.use_request_id_for_trace_sampling": _NO_TRACES,
    "envoy.config.route.v3.WeightedCluster.total_weight": "Envoy does not look at it any more",
}


# What a node of mypy's refers to that is no part of it.
ELSEWHERE = frozenset({"node", "info", "type", "unanalyzed_type", "original_def", "def_frame", "names", "imports"})

MADE_UP = {
    "__init__.py": "",
    "config.py": """import attrs
@attrs.frozen
class One:
    name: str = ""
@attrs.frozen
class Two:
    name: str = ""
    size: int = 0
@attrs.frozen
class Three:
    name: str = ""
    size: int = 0
    place: str = ""
""",
    "user.py": """from typing import Protocol
from made_up.config import One, Three, Two
class Placed(Protocol):
    @property
    def place(self) -> str: ...
def show(ones: list[One], two: Two | None) -> list[str]:
    return [one.name for one in ones] + [str(two.size if two else 0)]
def where(placed: Placed) -> str:
    return placed.place
def shown(three: Three) -> str:
    return where(three)
""",
}


def classes():
    """The config classes of config/ and of all extensions, by the name of their message."""
    found = {}
    for package in (trio_envoy.config, trio_envoy.extensions):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(each.name)).values():
                if isinstance(value, type) and attrs.has(value) and "__proto__" in vars(value):
                    found[value.__proto__] = value
    return found


CLASSES = classes()
FIELDS = {
    f"{name}.{field.name.rstrip('_')}": field for name, cls in sorted(CLASSES.items()) for field in attrs.fields(cls)
}


@functools.cache
def read_names():
    """Names of all attributes that are read outside of config/."""
    found = set()
    for path in ROOT.rglob("*.py"):
        if (ROOT / "config") not in path.parents:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found.add(node.attr)
    return found


@pytest.mark.parametrize("name", FIELDS)
def test_it_is_read(name):
    assert name in MEANINGLESS or FIELDS[name].name in read_names()


def reads_by_type(root):
    """(full name of class, attribute) of each read in the package at `root` outside of its config/, as mypy sees it.

    What is read through a protocol is read from every class, told as None, that has all its members: (None, members).
    """
    build = pytest.importorskip("mypy.build")
    options = pytest.importorskip("mypy.options").Options()
    options.export_types = options.preserve_asts = True
    options.incremental, options.ignore_missing_imports = False, True
    options.cache_dir = os.devnull
    paths = {path: ".".join(path.relative_to(root.parent).with_suffix("").parts) for path in root.rglob("*.py")}
    names = {path: name.removesuffix(".__init__") for path, name in paths.items()}
    sources = [pytest.importorskip("mypy.modulefinder").BuildSource(str(path), name) for path, name in names.items()]
    result = build.build(sources, options)
    found = set()
    for path, name in names.items():
        if (root / "config") not in path.parents:
            for read in _member_reads(result.files[name].defs):
                found.update(_bases(result.types.get(read.expr), read.name))
    return found


def _member_reads(tree):
    """Attribute accesses below a node of mypy's, without following references to what is elsewhere."""
    nodes = importlib.import_module("mypy.nodes")
    waiting, seen = [tree], set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, list | tuple):
            waiting.extend(each)
        elif isinstance(each, nodes.Node) and not isinstance(each, nodes.TypeInfo) and id(each) not in seen:
            seen.add(id(each))
            if isinstance(each, nodes.MemberExpr):
                yield each
            waiting.extend(getattr(each, name) for name in _parts(type(each)))


@functools.cache
def _parts(kind):
    return [
        name for name, value in inspect.getmembers(kind) if inspect.isdatadescriptor(value) and name not in ELSEWHERE
    ]


def _bases(kind, attribute):
    types = importlib.import_module("mypy.types")
    kind = None if kind is None else types.get_proper_type(kind)
    for each in [types.get_proper_type(item) for item in kind.items] if isinstance(kind, types.UnionType) else [kind]:
        if isinstance(each, types.TypeVarType):
            yield from _bases(each.upper_bound, attribute)
        elif isinstance(each, types.Instance):
            if each.type.is_protocol:
                yield None, (attribute, *each.type.protocol_members)
            yield each.type.fullname, attribute


def unread(classes, reads):
    """Fields of these classes, as Class.field, that are not among the reads."""
    through = [set(members) for base, members in reads if base is None]
    for cls in classes:
        fields = {field.name for field in attrs.fields(cls)}
        shared = set().union(*(members for members in through if members <= fields))
        for name in sorted(fields - shared):
            if (f"{cls.__module__}.{cls.__qualname__}", name) not in reads:
                yield cls, name


def test_it_is_read_from_objects_of_its_class():
    missed = unread(CLASSES.values(), reads_by_type(ROOT))

    assert {f"{cls.__proto__}.{name.rstrip('_')}" for cls, name in missed} == MEANINGLESS.keys()


def test_a_field_that_only_others_have_in_use_is_found(tmp_path, monkeypatch):
    root = tmp_path / "made_up"
    for path, lines in MADE_UP.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    config = importlib.import_module("made_up.config")

    missed = unread([config.One, config.Two, config.Three], reads_by_type(root))

    assert {(cls.__name__, name) for cls, name in missed} == {("Two", "name"), ("Three", "name"), ("Three", "size")}


def test_exceptions_are_fields():
    assert MEANINGLESS.keys() <= FIELDS.keys()


def test_every_class_is_found_from_the_root_or_by_its_type():
    reached = {Bootstrap, FilterConfig} | {cls for name, cls in CLASSES.items() if config_class(name) is cls}
    waiting = list(reached)
    while waiting:
        hints = typing.get_type_hints(waiting.pop())
        for cls in {found for hint in hints.values() for found in _inside(hint)} - reached:
            reached.add(cls)
            waiting.append(cls)

    assert [name for name, cls in CLASSES.items() if cls not in reached] == []


def _inside(hint):
    if hasattr(hint, "__proto__"):
        yield hint
    for argument in typing.get_args(hint):
        yield from _inside(argument)
