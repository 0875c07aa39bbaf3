"""A field that loads and does nothing is a defect: what a class has is honoured, or it isn't there and is refused.

Fields are told apart by their names alone, so this finds what nobody reads, not what somebody reads for something else.
"""

import ast
import functools
import importlib
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
MEANINGLESS = {
    "envoy.config.cluster.v3.Cluster.close_connections_on_host_health_failure": (
        "it ends connections that are not pooled for HTTP, of which there are none without a TCP proxy"
    ),
    "envoy.config.cluster.v3.Cluster.per_connection_buffer_limit_bytes": "bodies are pulled, see docs/differences.md",
    "envoy.config.cluster.v3.Cluster.round_robin_lb_config": "the message has no field that is supported",
    "envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.proper_case_words": (
        "the only format that is supported: that there is a HeaderKeyFormat says it"
    ),
    "envoy.config.core.v3.Node.metadata": "only shown by /server_info and /config_dump, which show the file itself",
    "envoy.config.core.v3.SubstitutionFormatString.content_type": "of a body; lines of a log have no type",
    "envoy.config.endpoint.v3.ClusterLoadAssignment.cluster_name": "tells assignments apart where they are fetched",
    "envoy.config.route.v3.WeightedCluster.total_weight": "Envoy does not look at it any more",
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
