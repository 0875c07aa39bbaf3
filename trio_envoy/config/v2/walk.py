"""The walk of the v2 upgrade: through a document with the v2 and the v3 descriptor of each message side by side.

Rules:

1. The document isn't changed. A part in which nothing changes is given back as the same object, so a loader that knows
   lines by object still knows them.
2. Node by node, never "this file is v2": what stands above a message decides which names count in it (`Era`).
3. A field is looked up by name in the v2 message first, then in the v3 one; one found in v2 goes to the v3 field of the
   same number. Fields that v3 hasn't have a rule (`RULES`); a whole message that v3 hasn't has one in `REPLACED`.
4. A key that neither version knows passes unchanged: the loader reports it.
5. Each value that ends up elsewhere is noted with where it stood, so a fault found later is told at its old place.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_envoy.config import schema
from trio_envoy.config.v2.run import At, Run, listed
from trio_envoy.config.v2.scan import TYPED_STRUCTS, is_v2
from trio_envoy.errors import Path

ANY: Final = "google.protobuf.Any"


class Era(enum.Enum):
    """Which names count in a message."""

    V3 = "below a v3 @type: v3 names only, as in every Envoy"
    EITHER = "the untyped top of a document: v2 names first, then v3 names"
    V2 = "below a v2 @type or in an untyped `config`: as EITHER, and known to be v2"


class Node:
    """One message of the document under way: its old fields, and the new message that is being made of them."""

    def __init__(
        self, run: Run, old: Mapping[str, Any], path: Path, v3: schema.Message, era: Era, parent: Node | None
    ) -> None:
        self.run = run
        self.old = old
        self.path = path
        self.v3 = v3
        self.v2 = None if era is Era.V3 else schema.message(v3.previous_message_type)
        self.era = era
        self.parent = parent
        self.new: dict[str, Any] = run.own({})
        self.changed = False
        self.taken: set[str] = set()
        self.actions: dict[str, Callable[[], None]] = {}  # by old key: done when the walk comes to it
        self.last: list[Callable[[], None]] = []  # done after all fields
        self._ready: dict[str, Any] = {}  # old keys whose new value is made already; they keep their place

    # --- what the message had

    def key(self, name: str) -> str:
        """The spelling (snake_case or lowerCamelCase) under which a field is there; snake_case if it isn't."""
        if name not in self.old and "_" in name:
            camel = schema.camel(name)
            return camel if camel in self.old else name
        return name

    def at(self, name: str) -> Path:
        """Where a field stands."""
        return (*self.path, self.key(name))

    def get(self, name: str) -> Any:
        """The old value of a field; None if it isn't set."""
        return self.old.get(self.key(name))

    def take(self, name: str) -> Any:
        """The same, and the walk doesn't come to this field any more."""
        key = self.key(name)
        self.taken.add(key)
        self.changed |= key in self.old
        return self.old.get(key)

    def strings(self, name: str) -> list[At]:
        """Take a repeated field of scalars: its values, each with its place; a single value counts as a list of one."""
        path = self.at(name)
        value = self.take(name)
        return [At(each, where) for each, where in listed(value, path)]

    def ancestor(self, *fqns: str) -> Node | None:
        """The nearest message around this one that is one of these v3 messages."""
        node = self.parent
        while node is not None and node.v3.fqn not in fqns:
            node = node.parent
        return node

    # --- what it becomes

    def put(self, name: str, value: Any, path: Path) -> None:
        """Set a field of the new message. `value` may be a literal with `At` in it; `path` is where it stood."""
        self.changed = True
        self.run.set(self.new, name, self.run.place(value, path), path)

    def keep(self, key: str, value: Any) -> None:
        """Set a field that keeps its place."""
        self.changed |= value is not self.old.get(key)
        self.new[key] = value

    def upgraded(self, name: str, value: Any, path: Path) -> Any:
        """A value upgraded as one of the v3 field `name` of this message."""
        return upgrade_value(self.run, self.v3.fields[name], None, value, path, self)

    def merge(self, name: str, additions: Mapping[str, Any], path: Path) -> None:
        """Set fields of the sub-message `name`, as far as they aren't set; made if it isn't there."""
        key, base = self._base(name, {})
        for each, value in additions.items():
            if self._spelling(base, each) is None:
                self.run.set(base, each, self.run.place(value, path), path)
        self._settle(key, name, base, path)

    def append(self, name: str, items: list[Any], path: Path) -> None:
        """Add items to the repeated field `name`; made if it isn't there."""
        key, base = self._base(name, [])
        for item in items:
            where = item.path if isinstance(item, At) else path
            self.run.set(base, len(base), self.run.place(item, path), where)
        self._settle(key, name, base, path)

    def _base(self, name: str, empty: Any) -> tuple[str, Any]:
        """The key under which a field is or comes, and its value so far, writable."""
        key = self.key(name)
        path = (*self.path, key)
        if name in MAPS and self.old.get(key) is not None and key not in self.taken:
            MAPS[name](self, key, self.old[key])
            self.taken.add(key)
        if key in self.new:
            base = self.new[key]
        elif key in self._ready:
            base = self._ready[key]
        elif self.old.get(key) is not None and key not in self.taken:
            base = self.upgraded(name, self.old[key], path)
        else:
            return key, self.run.own(empty)
        if isinstance(empty, list) and not isinstance(base, list):
            return key, self.run.place([At(base, path)], path)
        return key, self.run.own(base)

    def _settle(self, key: str, name: str, base: Any, path: Path) -> None:
        if key in self.new:
            self.new[key] = base
        elif self.old.get(key) is not None and key not in self.taken:
            self._ready[key] = base
            self.actions[key] = lambda: self.keep(key, self._ready.pop(key))
        else:
            self.put(name, At(base, path), path)
        self.changed = True

    def _spelling(self, base: Mapping[str, Any], name: str) -> str | None:
        return next((each for each in (name, schema.camel(name)) if base.get(each) is not None), None)

    # --- what is said about it

    def change(self, name: str, text: str, *, v2: bool = True) -> None:
        """Note a change at a field."""
        self.run.change(self.at(name), text, v2=v2)

    def drop(self, name: str, why: str) -> None:
        """Leave a field out."""
        self.change(name, f"{self.key(name)} is dropped: {why}")
        self.take(name)

    def fault(self, name: str, text: str) -> None:
        """Note what can't be upgraded at a field."""
        self.run.fault(self.at(name), text)


Rule = Callable[[Node, str, Any], None]
"""(node, v2 field name, value): puts what the field has become."""
Replacement = Callable[[Run, Mapping[str, Any], Path, Node | None], dict[str, Any]]
"""(run, an Any's or Struct's fields, where, the node around it): the typed config that it has become."""

RULES: Final[dict[str, dict[str, Rule]]] = {}
"""v2 message -> v2 field -> rule; also for names that only drafts of v2 had."""
_NO_RULES: Final[Mapping[str, Rule]] = {}
FINISH: Final[dict[str, Callable[[Node], None]]] = {}
"""v3 message -> what is to be done when all its fields are through; not below a v3 @type."""
REPLACED: Final[dict[str, Replacement]] = {}
"""v2 message -> what makes another v3 message of it."""
HOLDERS: Final[dict[str, Callable[[Node], None]]] = {}
"""v3 message that holds an extension by name -> what looks after it, before its other fields are gone through."""
MAPS: Final[dict[str, Callable[[Node, str, Any], None]]] = {}
"""Name of a v3 map of extensions by name -> what upgrades it."""


def rule(message: str, *names: str) -> Callable[[Rule], Rule]:
    """Register the rule for these fields of a v2 message; the package prefix "envoy." is left out."""

    def register(function: Rule) -> Rule:
        RULES.setdefault(f"envoy.{message}", {}).update(dict.fromkeys(names, function))
        return function

    return register


def upgrade_message(run: Run, old: Any, path: Path, fqn: str, era: Era, parent: Node | None, type_url: str = "") -> Any:
    """Upgrade a message.

    Args:
        run: the upgrade under way.
        old: its fields; anything but a dict is given back.
        path: where it stands.
        fqn: its v3 name.
        era: which names count in it.
        parent: the message around it.
        type_url: "@type" to write in front of the fields, when it comes from something that had none or another.

    Returns:
        `old` itself if nothing in it changes.
    """
    v3 = schema.message(fqn)
    if v3 is None or not isinstance(old, dict):
        return old
    node = Node(run, old, path, v3, era, parent)
    if type_url:
        node.put("@type", type_url, (*path, "@type") if "@type" in old else path)
    holder = HOLDERS.get(fqn)
    if holder is not None:
        holder(node)
    new, taken, actions, passing = node.new, node.taken, node.actions, _passing(fqn, era is not Era.V3)
    for key, value in old.items():
        if key in taken or (type_url and key == "@type"):
            continue
        if passing[key] and key not in actions:
            new[key] = value
        else:
            _field(node, key, value)
    for action in node.last:
        action()
    if era is not Era.V3 and fqn in FINISH:
        FINISH[fqn](node)
    return node.new if node.changed else old


def _field(node: Node, key: str, value: Any) -> None:
    """Upgrade one field of a message."""
    if key in node.actions:
        node.actions.pop(key)()
        return
    old = None
    if node.v2 is not None:
        old = node.v2.fields.get(key)
        name = old.name if old is not None else key
        found = RULES.get(node.v2.fqn, _NO_RULES).get(name)
        if found is not None:
            if value is None:
                node.drop(name, "it isn't set")
            else:
                found(node, name, value)
            return
    new = node.v3.by_number.get(old.number) if old is not None else node.v3.fields.get(key)
    if new is None or value is None:
        node.keep(key, value)
    elif new.name in MAPS:
        MAPS[new.name](node, key, value)
    elif old is None or old.name == new.name:
        node.keep(key, upgrade_value(node.run, new, old, value, (*node.path, key), node))
    else:
        name = new.name if key == old.name else new.json_name
        node.put(name, At(upgrade_value(node.run, new, old, value, (*node.path, key), node), ()), (*node.path, key))
        node.run.change((*node.path, key), f"{key} is now called {name}")


def upgrade_value(run: Run, field: schema.Field, old: schema.Field | None, value: Any, path: Path, node: Node) -> Any:
    """Upgrade the value of a field: single, repeated or a map.

    Args:
        run: the upgrade under way.
        field: in v3.
        old: in v2, if it was found there.
        value: what it is set to.
        path: where that stands.
        node: the message that it is a field of.
    """
    if field.kind == "message":
        if _is_inert(field.type_name, node.era is not Era.V3):
            return value
        if field.type_name == ANY:

            def single(each: Any, where: Path) -> Any:
                return upgrade_any(run, each, where, node.era, node)
        else:

            def single(each: Any, where: Path) -> Any:
                return upgrade_message(run, each, where, field.type_name, node.era, node)
    elif field.kind == "enum" and old is not None and old.type_name != field.type_name:

        def single(each: Any, where: Path) -> Any:
            return _enum(run, field, old, each, where)
    else:
        return value
    if field.map_key or isinstance(value, list):
        return each_item(run, value, path, single)
    return single(value, path)


class _Passing(dict[str, bool]):
    """Whether a key of a message passes as it is, whatever it holds: found out for each key that comes.

    Args:
        message: in v3.
        with_v2: v2 names count in it.
    """

    def __init__(self, message: schema.Message, with_v2: bool) -> None:
        self._message = message
        self._with_v2 = with_v2
        self._v2 = schema.message(message.previous_message_type) if with_v2 else None

    def __missing__(self, key: str) -> bool:
        passes = self[key] = key == "@type" or self._passes(key)
        return passes

    def _passes(self, key: str) -> bool:
        field = self._message.fields.get(key)
        if field is None or field.name in MAPS:
            return False
        if self._v2 is not None:
            old = self._v2.fields.get(key)
            if field.name in RULES.get(self._v2.fqn, _NO_RULES) or (old is not None and not _is_same(old, field)):
                return False
        return field.kind != "message" or _is_inert(field.type_name, self._with_v2)


@functools.cache
def _passing(fqn: str, with_v2: bool) -> _Passing:
    message = schema.message(fqn)
    assert message is not None, "the walk is in it"
    return _Passing(message, with_v2)


_INERT_AT_MOST: Final = 12
"""Messages inside one another that are looked at: to look at more costs more than to walk through them."""


@functools.cache
def _is_inert(fqn: str, with_v2: bool) -> bool:
    """Whether nothing in a message of that v3 name, however deep, can need an upgrade; of large ones not found out."""
    seen, waiting = {fqn}, [fqn]
    while waiting:
        if len(seen) > _INERT_AT_MOST:
            return False
        name = waiting.pop()
        if name == ANY or name in HOLDERS:
            return False
        message = schema.message(name)
        if message is None or name.startswith("google.protobuf."):
            continue
        if any(field.name in MAPS for field in message.by_number.values()):
            return False
        if with_v2 and (name in FINISH or _differs(message)):
            return False
        inner = {field.type_name for field in message.by_number.values() if field.kind == "message"}
        waiting.extend(inner - seen)
        seen |= inner
    return True


def _differs(message: schema.Message) -> bool:
    """Whether the v2 form of a message has fields that v3 lacks, or calls otherwise."""
    v2 = schema.message(message.previous_message_type)
    if v2 is None:
        return False
    return v2.fqn in RULES or any(
        not _is_same(field, message.by_number.get(field.number)) for field in v2.by_number.values()
    )


def _is_same(old: schema.Field, new: schema.Field | None) -> bool:
    """Whether what a v2 field says is said alike in v3, as far as the field itself goes."""
    if new is None or new.name != old.name:
        return False
    return old.kind != "enum" or _words(old.type_name) <= _words(new.type_name)


def _words(enum_name: str) -> set[str]:
    found = schema.enum(enum_name)
    return set(found.values) if found is not None else set()


def each_item(run: Run, value: Any, path: Path, single: Callable[[Any, Path], Any]) -> Any:
    """A list or map with each item upgraded; itself if none changes."""
    if not isinstance(value, dict | list):
        return value
    out = value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        new = single(each, (*path, key))
        if new is not each:
            out = run.own(out)
            out[key] = new
    return out


def _enum(run: Run, field: schema.Field, old: schema.Field, value: Any, path: Path) -> Any:
    """An enum value that v3 calls differently."""
    before, after = schema.enum(old.type_name), schema.enum(field.type_name)
    if before is None or after is None or not isinstance(value, str) or value.lower() in after.lower:
        return value
    name = before.lower.get(value.lower())
    number = before.values[name] if name is not None else None
    if number is None or number not in after.numbers:
        return value
    run.change(path, f"{value} is now called {after.numbers[number]}")
    return after.numbers[number]


def upgrade_any(run: Run, old: Any, path: Path, era: Era, parent: Node | None) -> Any:
    """Upgrade a google.protobuf.Any that says its @type; one that doesn't is given back."""
    url = old.get("@type") if isinstance(old, dict) else None
    if not isinstance(url, str):
        return old
    fqn = url.rpartition("/")[2]
    if fqn in TYPED_STRUCTS:
        return _typed_struct(run, old, path, parent)
    return _typed(run, old, path, url, (*path, "@type"), parent)


def _typed(run: Run, fields: Any, path: Path, url: str, url_path: Path, parent: Node | None) -> Any:
    """Upgrade fields whose type is told by a type URL; what is given back says "@type" itself if it changes."""
    prefix, slash, fqn = url.rpartition("/")
    if fqn in REPLACED:
        return REPLACED[fqn](run, {key: each for key, each in fields.items() if key != "@type"}, path, parent)
    v3 = schema.find_message_of_v2(fqn)
    if v3 is not None:
        run.change(url_path, f"{fqn} is now {v3}")
        return upgrade_message(run, fields, path, v3, Era.V2, parent, f"{prefix}{slash}{v3}")
    if is_v2(fqn) and schema.message(fqn) is not None:
        run.fault(url_path, f"{fqn!r} has no v3 form: Envoy has it no longer")
        return fields
    return upgrade_message(run, fields, path, fqn, Era.V3, parent)


def _typed_struct(run: Run, old: Mapping[str, Any], path: Path, parent: Node | None) -> Any:
    """A Struct that says the type it stands for: `{"@type": TypedStruct, type_url: ..., value: {...}}`."""
    key = "type_url" if "type_url" in old else "typeUrl"
    url, value = old.get(key), old.get("value") or {}
    if not isinstance(url, str) or not isinstance(value, dict):
        return old
    new = _typed(run, value, (*path, "value"), url, (*path, key), parent)
    if new is value:
        return old
    if "@type" in new:  # a plain Any says the same
        run.moved[id(new), "@type"] = (*path, key)
        return new
    return run.place({each: At(old[each], (*path, each)) for each in old} | {"value": At(new, (*path, "value"))}, path)
