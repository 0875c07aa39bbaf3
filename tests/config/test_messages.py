"""Every config class says what the table of all messages says: names, types, presence, enum values."""

import enum
import importlib
import inspect
import pkgutil
import types
import typing

import attrs
import pytest

import trio_envoy.config
from trio_envoy.config import schema
from trio_envoy.config.scalars import WRAPPERS

MODULES = [
    importlib.import_module(f"trio_envoy.config.{module.name}")
    for module in pkgutil.iter_modules(trio_envoy.config.__path__)
    if not module.ispkg
]
MEMBERS = {member for module in MODULES for _, member in inspect.getmembers(module, inspect.isclass)}
MESSAGES = sorted(
    (cls for cls in MEMBERS if attrs.has(cls) and hasattr(cls, "__proto__")), key=lambda cls: cls.__proto__
)
SCALARS = {"string": str, "bytes": bytes, "bool": bool, "double": float, "float": float}
DEFAULTS = {str: "", bytes: b"", bool: False, float: 0.0, int: 0}
KNOWN = {
    "google.protobuf.Duration": float,
    "google.protobuf.Any": object,
    "google.protobuf.Struct": typing.Any,
    "google.protobuf.Value": typing.Any,
}


def parts(annotation):
    """(class, is it optional, is it repeated, is it a map)."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        assert len(arguments) == 2
        assert arguments[1] is type(None)
        inner, *_ = parts(arguments[0])
        return inner, True, False, False
    if origin is tuple:
        assert arguments[1] is Ellipsis
        return arguments[0], False, True, False
    if origin is not None:
        assert arguments[0] is str
        return arguments[1], False, False, True
    return annotation, False, False, False


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__proto__)
def test_a_class_is_its_message(cls):
    message = schema.message(cls.__proto__)
    assert message is not None
    attrs.resolve_types(cls)
    documented = cls.__doc__

    for attribute in attrs.fields(cls):
        field = message.fields[attribute.name.rstrip("_")]
        inner, optional, repeated, is_map = parts(attribute.type)
        kind = WRAPPERS.get(field.type_name, field.kind)
        is_struct = field.type_name in ("google.protobuf.Struct", "google.protobuf.Value") and not field.map_key
        assert field.name == attribute.name.rstrip("_")
        assert f"        {attribute.name}: " in documented, f"{attribute.name} is not documented"
        assert repeated == field.repeated, attribute.name
        assert is_map == bool(field.map_key or (is_struct and field.type_name.endswith("Struct") and not optional)), (
            attribute.name
        )
        if kind == "message":
            assert field.type_name in KNOWN or inner.__proto__ == field.type_name, attribute.name
            assert field.type_name not in KNOWN or inner is KNOWN[field.type_name], attribute.name
        elif kind == "enum":
            assert issubclass(inner, enum.StrEnum)
        else:
            assert inner is SCALARS.get(kind, int), attribute.name
        if repeated or is_map:
            continue
        presence = field.kind == "message" or bool(field.oneof) or field.optional
        required = attribute.default is attrs.NOTHING
        assert optional == (presence and not required), attribute.name
        if optional:
            assert attribute.default is None
        elif kind != "enum" and not required:
            assert attribute.default == DEFAULTS[inner], attribute.name


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__proto__)
def test_enums_have_all_values_and_the_first_is_the_default(cls):
    message = schema.message(cls.__proto__)
    attrs.resolve_types(cls)

    for attribute in attrs.fields(cls):
        field = message.fields[attribute.name.rstrip("_")]
        if field.kind != "enum":
            continue
        inner, optional, repeated, _ = parts(attribute.type)
        table = schema.enum(field.type_name)
        assert [member.name for member in inner] == list(table.values)
        assert all(member.value == member.name for member in inner)
        if not optional and not repeated:
            assert attribute.default.name == table.numbers[0]


def test_a_required_attribute_is_one_that_the_check_requires():
    for cls in MESSAGES:
        message = schema.message(cls.__proto__)
        for attribute in attrs.fields(cls):
            if attribute.default is attrs.NOTHING:
                rules = message.fields[attribute.name].rules
                assert any(each.get("required") for each in rules.values()), f"{cls.__proto__}.{attribute.name}"
