"""Seeded changes of a configuration, one field each: what a person may get wrong, and what is right but rare.

A change is drawn field by field over everything that the configurations have: each field of each message gets its
turn before one gets a second, at a place and with a value by chance. A field that we don't honour gets one good value.
"""

import copy
import functools
import importlib
import json
import pkgutil
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from tests.parity import samples
from trio_envoy import config, extensions
from trio_envoy.config import schema
from trio_envoy.config.scalars import WRAPPERS
from trio_envoy.errors import Path, render_path

REMOVED = object()
_ABSENT = object()


@attrs.frozen
class Change:
    """One field that is set, replaced or removed.

    Attributes:
        field: "envoy.config.cluster.v3.Cluster.name".
        path: where in the configuration.
        value: REMOVED, or what stands there afterwards.
    """

    field: str
    path: Path
    value: Any

    def __str__(self) -> str:
        value = "removed" if self.value is REMOVED else f"= {_short(json.dumps(self.value))}"
        return f"{render_path(self.path)} {value}   ({self.field})"


@attrs.frozen
class Place:
    """A message in one of the configurations.

    Attributes:
        source: index of the configuration.
        path: where in it.
        node: the message itself.
    """

    source: int
    path: Path
    node: Mapping[str, Any]


def _short(text: str) -> str:
    return text if len(text) < 200 else f"{text[:150]}... ({len(text)} characters)"


def applied(tree: Any, changes: Sequence[Change]) -> Any:
    """A copy of the tree with the changes in it; the tree stays."""
    tree = copy.deepcopy(tree)
    for change in changes:
        node = tree
        for step in change.path[:-1]:
            node = node[step]
        if change.value is REMOVED:
            del node[change.path[-1]]
        else:
            node[change.path[-1]] = copy.deepcopy(change.value)
    return tree


def are_apart(one: Change, other: Change) -> bool:
    """Whether neither stands inside the other, so that both can be made."""
    shorter = min(len(one.path), len(other.path))
    return one.path[:shorter] != other.path[:shorter]


@functools.cache
def honoured() -> Mapping[str, frozenset[str]]:
    """The fields that our config classes have, by the full name of the message."""
    for package in (config, extensions):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: dict[str, frozenset[str]] = {}
    waiting: list[type] = [object]
    while waiting:
        cls = waiting.pop()
        waiting += type.__subclasses__(cls)
        if "__proto__" in vars(cls) and attrs.has(cls) and cls.__module__.startswith("trio_envoy."):
            found[vars(cls)["__proto__"]] = frozenset(each.name.rstrip("_") for each in attrs.fields(cls))
    return found


class Generator:
    """Draws changes.

    Args:
        trees: configurations that both accept.
        seed: the same seed draws the same changes.
    """

    def __init__(self, trees: Sequence[Any], seed: int) -> None:
        self._rng = random.Random(seed)
        self._honoured = honoured()
        self._places: dict[str, list[Place]] = {}
        self._seen: dict[tuple[str, str], dict[str, Any]] = {}
        self._of_source: list[list[tuple[str, Place]]] = [[] for _ in trees]
        for source, tree in enumerate(trees):
            self._index(source, (), tree, "envoy.config.bootstrap.v3.Bootstrap")
        self._used: set[tuple[str, str, str]] = set()

    def singles(self) -> Iterator[tuple[int, Change]]:
        """Index of a configuration and a change of it, without end until there is nothing new."""
        turns = [(fqn, name) for fqn in self._places for name in self._names(fqn)]
        while turns:
            self._rng.shuffle(turns)
            left = []
            for fqn, name in turns:
                drawn = self._draw(fqn, name)
                if drawn is not None:
                    yield drawn
                    if name in self._honoured.get(fqn, ()) or not name:
                        left.append((fqn, name))
            turns = left

    def near(self, source: int, change: Change, most: int) -> Iterator[Change]:
        """Up to so many other changes of that configuration; every second one in the same message or close to it."""
        for _ in range(most):
            places = self._of_source[source]
            if self._rng.random() < 0.5:
                around = change.path[: max(0, len(change.path) - self._rng.choice((1, 1, 2, 3)))]
                places = [each for each in places if each[1].path[: len(around)] == around] or places
            fqn, place = self._rng.choice(places)
            names = sorted(self._honoured.get(fqn, ()))
            options = list(self._of_field(fqn, self._rng.choice(names), place)) if names else []
            other = self._rng.choice(options) if options else None
            if other is not None and are_apart(change, other):
                yield other

    def _index(self, source: int, path: Path, node: Any, fqn: str) -> None:
        known = schema.message(fqn)
        if known is None or not isinstance(node, dict):
            return
        place = Place(source, path, node)
        self._places.setdefault(fqn, []).append(place)
        self._of_source[source].append((fqn, place))
        for key, value in node.items():
            field = known.fields.get(key)
            if field is None:
                continue
            self._seen.setdefault((fqn, field.name), {}).setdefault(json.dumps(value), value)
            for below, item in _items(field, value):
                inner = field.type_name
                if inner == samples.ANY and isinstance(item, dict):
                    inner = str(item.get("@type", "")).rpartition("/")[2]
                if field.kind == "message" and inner not in WRAPPERS and inner not in samples.PLAIN:
                    self._index(source, (*path, key, *below), item, inner)

    def _names(self, fqn: str) -> list[str]:
        known = schema.message(fqn)
        assert known is not None
        return ["", *(field.name for field in known.by_number.values())]

    def _draw(self, fqn: str, name: str) -> tuple[int, Change] | None:
        """A change of this field that wasn't drawn before, at any place; None when there is none any more."""
        for place in self._rng.sample(self._places[fqn], min(3, len(self._places[fqn]))):
            options = list(self._of_field(fqn, name, place))
            self._rng.shuffle(options)
            for change in options:
                value = "removed" if change.value is REMOVED else json.dumps(change.value)
                if (fqn, str(change.path[-1]), value) not in self._used:
                    self._used.add((fqn, str(change.path[-1]), value))
                    return place.source, change
        return None

    def _of_field(self, fqn: str, name: str, place: Place) -> Iterator[Change]:
        known = schema.message(fqn)
        assert known is not None
        if not name:
            yield from self._of_message(known, place)
            return
        field = known.fields[name]
        key = field.json_name if field.json_name in place.node else name
        held = place.node.get(key, _ABSENT)
        if name not in self._honoured.get(fqn, ()):
            values: Iterator[Any] = iter([samples.plausible(field, self._rng)])
        else:
            values = self._values(fqn, field, held)
        for value in values:
            if held is _ABSENT and value is REMOVED:
                continue
            yield Change(f"{fqn}.{name}", (*place.path, key), value)

    def _of_message(self, known: schema.Message, place: Place) -> Iterator[Change]:
        """Keys that no field has, other spellings of those that are there, other types."""
        for name in ("no_such_field", "<<", "@type", ""):
            yield Change(known.fqn, (*place.path, name), "x")
        for key, value in place.node.items():
            for name in (f"{key}s", key[:-1], key.upper(), schema.camel(key), f"[{key}]"):
                if name not in place.node:
                    yield Change(known.fqn, (*place.path, name), value)

    def _values(self, fqn: str, field: schema.Field, held: Any) -> Iterator[Any]:
        yield REMOVED
        yield from samples.wrong(field)
        yield from self._seen.get((fqn, field.name), {}).values()
        ones = list(self._one(field))
        if field.repeated:
            items = held if isinstance(held, list) else [samples.plausible_one(field, self._rng)]
            yield from samples.lengths(field, items)
            yield from ([*items, items[0]] if items else [], [*items, None])
            yield from ([*items, one] for one in ones)
            yield from ([one] for one in ones)
        elif field.map_key:
            entries = held if isinstance(held, dict) else {}
            for key in ("x", "", "envoy.filters.http.router", "a b", "1"):
                yield from ({**entries, key: one} for one in ones)
        else:
            yield from ones

    def _one(self, field: schema.Field) -> Iterator[Any]:
        """Values for one item: of a message each field that is honoured, by itself and with what must be."""
        yield from samples.single(field)
        if field.type_name == samples.ANY:
            yield from samples.extensions(frozenset(name for name in self._honoured if name.startswith("envoy.ext")))
        elif field.type_name in samples.PLAIN:
            yield from ({"a": {"b": [1, "x", None]}}, {"": ""})
        elif field.kind == "message" and not list(samples.single(field)):
            known = schema.message(field.type_name)
            yield samples.message(field.type_name, self._rng)
            for name in sorted(self._honoured.get(field.type_name, ())) if known else ():
                assert known is not None
                value = samples.plausible(known.fields[name], self._rng)
                yield {name: value}
                base = samples.message(field.type_name, self._rng)
                oneof = known.oneofs.get(known.fields[name].oneof)
                rivals = oneof.members if oneof else ()
                yield {**{key: each for key, each in base.items() if key not in rivals}, name: value}


def _items(field: schema.Field, value: Any) -> Iterator[tuple[Path, Any]]:
    """The items of a list or a map with the step to each; any other value is itself."""
    if field.map_key and isinstance(value, dict):
        yield from (((key,), item) for key, item in value.items())
    elif field.repeated and isinstance(value, list):
        yield from (((index,), item) for index, item in enumerate(value))
    else:
        yield (), value
