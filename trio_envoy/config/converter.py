"""From the checked tree to the attrs classes, by cattrs.

What each field is comes from the table of all messages, so the classes need no more than types: a duration becomes
seconds, an `Any` becomes the config object of its extension, base64 becomes bytes. A class lists what is honoured; a
field that Envoy knows and the class lacks is refused by name. The converter is handed the function that finds an
extension's class, because extensions live on higher floors.
"""

from __future__ import annotations

import base64
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from trio_envoy.config import durations, schema
from trio_envoy.config.check import TYPED_STRUCTS
from trio_envoy.config.findings import BAD
from trio_envoy.config.route import FilterConfig
from trio_envoy.config.scalars import WRAPPERS

T = TypeVar("T")
Resolve = Callable[[str], type[Any] | None]
"""Gives the config class for a message's full name, None if no extension here takes it."""

_PLAIN: Final = frozenset(("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"))
_BUILT_IN: Final[Mapping[str, type[Any]]] = {FilterConfig.__proto__: FilterConfig}
NOT_SUPPORTED: Final = "known to Envoy, not supported here"

Node = Mapping[str, Any]


@attrs.frozen(eq=False)
class Complaint:
    """Something about a mapping of the checked tree.

    Attributes:
        node: the mapping itself; its path is found by identity when it is needed.
        key: one of its keys.
        text: what there is to say.
    """

    node: Node
    key: str
    text: str


class ConfigConverter:
    """Structures checked trees.

    Args:
        resolve: finds the config class of an extension by the full name of its message.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._converter = Converter(detailed_validation=False)
        self._converter.register_structure_hook_factory(_is_config_class, self._make_hook)
        self.faults: list[Complaint] = []
        self.warnings: list[Complaint] = []

    def structure(self, tree: Node, cls: type[T]) -> T:
        """The object of a checked tree; of use only when `faults` stays empty."""
        return self._converter.structure(tree, cls)

    def survey(self, tree: Any, cls: type[Any]) -> None:
        """Note what isn't supported in a tree that can't be structured, because it has other faults."""
        if not isinstance(tree, dict):
            return
        message = schema.message(cls.__proto__)
        assert message is not None, f"{cls.__proto__} is in no table"
        attributes = {attribute.name.rstrip("_"): attribute for attribute in attrs.fields(attrs.resolve_types(cls))}
        if (
            {"name", "typed_config"} <= attributes.keys()
            and not tree.get("typed_config")
            and not tree.get("is_optional")
        ):
            self.faults.append(_nameless(tree))
        for key, value in tree.items():
            field = message.fields.get(key)
            if field is None:
                continue
            if key not in attributes:
                self.faults.append(_unsupported(tree, key, message.fqn))
                continue
            if value is BAD:
                continue
            items = value if field.repeated else value.values() if field.map_key else (value,)
            for item in items:
                self._survey_item(field, item, attributes[key].type)

    def _survey_item(self, field: schema.Field, item: Any, annotation: Any) -> None:
        if field.type_name == "google.protobuf.Any":
            name = _type_name(item) if isinstance(item, dict) else ""
            cls = self._class_of(name) if name else None
            if cls is not None:
                self.survey(_inside(item), cls)
            elif name:
                self.faults.append(_unknown_extension(item, name))
        elif field.kind == "message" and _is_config_class(_class_in(annotation)):
            self.survey(item, _class_in(annotation))

    def _make_hook(self, cls: type[Any]) -> Callable[[Node, type[Any]], Any]:
        """How a class is structured: cattrs' function, after a look for fields that it lacks."""
        message = schema.message(cls.__proto__)
        assert message is not None, f"{cls.__proto__} is in no table"
        attrs.resolve_types(cls)
        overrides: dict[str, Any] = {}
        known = {"@type"}
        for attribute in attrs.fields(cls):
            field = message.fields[attribute.name.rstrip("_")]
            known.add(field.name)
            hook = self._field_hook(field, attribute.type)
            overrides[attribute.name] = override(
                rename=field.name if field.name != attribute.name else None,
                struct_hook=None if hook is None else _with_type(hook),
            )
        build = make_dict_structure_fn(cls, self._converter, _cattrs_detailed_validation=False, **overrides)
        names = frozenset(known)
        optional = "is_optional" in known
        holder = {"name", "typed_config"} <= known

        def structure(node: Node, target: type[Any]) -> Any:
            if not node.keys() <= names:
                self._refuse(node, names, message.fqn)
            if optional and node.get("is_optional"):
                node = self._without_unsupported(node)
            elif holder and not node.get("typed_config"):
                self.faults.append(_nameless(node))
            return build(node, target)

        return structure

    def _refuse(self, node: Node, names: frozenset[str], fqn: str) -> None:
        for key in node:
            if key not in names:
                self.faults.append(_unsupported(node, key, fqn))

    def _without_unsupported(self, node: Node) -> Node:
        """The node without the config of an extension that isn't here and may be left out."""
        for key in ("typed_config", "config"):
            name = _type_name(node.get(key) or {})
            if name and self._class_of(name) is None:
                self.warnings.append(Complaint(node, key, f"{NOT_SUPPORTED} and left out, as is_optional asks: {name}"))
                return {name: value for name, value in node.items() if name != key}
        return node

    def _field_hook(self, field: schema.Field, annotation: Any) -> Callable[[Any], Any] | None:
        """How the value of a field is structured, None for one that stays as it is."""
        single = self._value_hook(field, annotation)
        if field.map_key and field.type_name == "google.protobuf.Any":
            return self._extensions
        if field.map_key:
            if single is None:
                return None
            return lambda value: {key: single(each) for key, each in value.items()}
        if field.repeated:
            return tuple if single is None else lambda value: tuple(map(single, value))
        return single or _same

    def _value_hook(self, field: schema.Field, annotation: Any) -> Callable[[Any], Any] | None:
        if field.kind == "enum":
            member: Callable[[Any], Any] = _class_in(annotation)
            return member
        kind = WRAPPERS.get(field.type_name, field.kind)
        if kind == "bytes":
            return base64.b64decode
        if kind != "message" or field.type_name in _PLAIN:
            return None
        if field.type_name == "google.protobuf.Duration":
            return durations.to_seconds
        if field.type_name == "google.protobuf.Any":
            return self._extension
        cls = _class_in(annotation)
        assert cls.__proto__ == field.type_name, f"{field.name} is a {field.type_name}, not a {cls.__proto__}"
        hook: Callable[[Any, Any], Any] | None = None

        def structure(value: Any) -> Any:
            nonlocal hook
            if hook is None:  # on first need, because messages can hold themselves
                hook = self._converter.get_structure_hook(cls)
            return hook(value, cls)

        return structure

    def _extension(self, node: Node) -> Any:
        """The config object of an extension; None for `{}`, which names none."""
        name = _type_name(node)
        if not name:
            return None
        cls = self._class_of(name)
        if cls is None:
            self.faults.append(_unknown_extension(node, name))
            return None
        return self._converter.structure(_inside(node), cls)

    def _extensions(self, node: Node) -> dict[str, Any]:
        """The config objects of a map from name to extension."""
        for name, each in node.items():
            if not each:
                self.faults.append(Complaint(node, name, "'@type' is missing"))
        return {name: self._extension(each) for name, each in node.items()}

    def _class_of(self, name: str) -> type[Any] | None:
        return _BUILT_IN.get(name) or self._resolve(name)


def _type_name(node: Node) -> str:
    """Full name of the message in an Any, also of the one inside a TypedStruct; "" for an empty one."""
    name = str(node.get("@type", "")).rpartition("/")[2]
    return str(node["type_url"]).rpartition("/")[2] if name in TYPED_STRUCTS else name


def _inside(node: Node) -> Node:
    """The message in an Any; in a TypedStruct it is the value."""
    in_struct = str(node.get("@type", "")).rpartition("/")[2] in TYPED_STRUCTS
    inner: Node = node["value"] if in_struct else node
    return inner


def _unsupported(node: Node, key: str, fqn: str) -> Complaint:
    return Complaint(node, key, f"{NOT_SUPPORTED}: {key!r} of {fqn}")


def _unknown_extension(node: Node, name: str) -> Complaint:
    return Complaint(node, "@type", f"{NOT_SUPPORTED}: {name} (docs/extensions.md lists what is)")


def _nameless(node: Node) -> Complaint:
    """A holder of an extension without the type that alone says which one (v2's names were looked up before)."""
    text = f"didn't find a registered implementation for {node.get('name', '')!r} with type URL '': '@type' is missing"
    return Complaint(node, "typed_config" if "typed_config" in node else "name", text)


def _is_config_class(cls: Any) -> bool:
    return isinstance(cls, type) and attrs.has(cls) and hasattr(cls, "__proto__")


def _same(value: Any) -> Any:
    return value


def _with_type(hook: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _target: hook(value)


def _class_in(annotation: Any) -> Any:
    """The class in `X | None`, `tuple[X, ...]`, `Mapping[str, X]` or `X`."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return annotation
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return next(each for each in arguments if each is not type(None))
    return arguments[0] if origin is tuple else arguments[1]
