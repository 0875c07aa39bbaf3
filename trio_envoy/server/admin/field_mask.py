"""google.protobuf.FieldMask on trees of JSON, as /config_dump applies it: a mask may not go through a list.

Source: Envoy, config_dump_handler.cc (trimResourceMessage); protobuf's FieldMaskUtil.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trio_envoy.config import schema

_ANY: Final = "google.protobuf.Any"


class MaskError(Exception):
    """The mask doesn't fit the message."""


def trimmed(tree: Mapping[str, Any], fqn: str, paths: list[str]) -> dict[str, Any]:
    """Only the named fields, and @type.

    Args:
        tree: a message, with its proto's field names.
        fqn: full name of the message.
        paths: of fields, steps joined by dots.

    Raises:
        MaskError: a path names a field that isn't there, or goes through a list or an Any.
    """
    message = schema.message(fqn)
    wanted: dict[str, list[str]] = {}
    for path in paths:
        first, _, rest = path.partition(".")
        field = message.fields.get(first) if message is not None else None
        if field is None or field.name != first:
            raise MaskError(path)
        if rest and (field.repeated or field.map_key or not field.type_name or field.type_name == _ANY):
            raise MaskError(path)
        wanted.setdefault(first, []).append(rest)
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name == "@type":
            found[name] = value
        elif name in wanted:
            assert message is not None, "its fields were found"
            inner = wanted[name]
            found[name] = value if "" in inner else trimmed(value, message.fields[name].type_name, inner)
    for name, inner in wanted.items():  # what is not set must be a field all the same
        if name not in tree and "" not in inner and message is not None:
            trimmed({}, message.fields[name].type_name, inner)
    return found


def trimmed_resource(tree: Mapping[str, Any], fqn: str, paths: list[str]) -> dict[str, Any]:
    """The same for one resource of a dump: paths go into its one Any too.

    Raises:
        MaskError: a path doesn't fit.
    """
    message = schema.message(fqn)
    boxes = [] if message is None else [field.name for field in message.by_number.values() if field.type_name == _ANY]
    outer, inner = [], []
    for path in paths:
        first, _, rest = path.partition(".")
        if rest and first in boxes:
            outer.append(first)
            inner.append(rest)
        else:
            outer.append(path)
    found = trimmed(tree, fqn, outer)
    for name in boxes:
        if inner and name in found:
            found[name] = trimmed(found[name], str(found[name]["@type"]).rpartition("/")[2], inner)
    return found
