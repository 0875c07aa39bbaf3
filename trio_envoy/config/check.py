"""One walk over a tree by the table of all Envoy messages: what is wrong, and the canonical v3 tree.

The canonical tree has snake_case names, lists where a field is repeated, enum values by name, durations as protobuf
prints them; a field without presence that is set to its default isn't in it, as if it had never been written. Every
message gets a reader that is made once, field by field on first need, so that the walk itself is a few dictionary
look-ups a field. Checked are types, unknown fields, oneofs, validation rules, deprecations and everything inside an
`Any` (by its `@type`; also TypedStruct). All faults are found in one walk.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import attrs

from trio_envoy.config import scalars, schema
from trio_envoy.config.findings import BAD, At, Findings, show
from trio_envoy.config.rules import compile_rule, is_required
from trio_envoy.config.scalars import Reader

TYPED_STRUCTS: Final = frozenset(("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"))
_SPECIAL: Final[dict[str, Reader]] = {
    "google.protobuf.Struct": scalars.struct,
    "google.protobuf.ListValue": scalars.list_value,
    "google.protobuf.Value": lambda raw, _at, _found: raw,
    "google.protobuf.Timestamp": scalars.text_message,
    "google.protobuf.FieldMask": scalars.text_message,
}
_DURATION: Final = "google.protobuf.Duration"
_NULL_COUNTS: Final = frozenset(("google.protobuf.Value",))
_WORK_IN_PROGRESS: Final = (
    "is marked as work-in-progress. API features marked as work-in-progress are not considered stable, are not "
    "covered by the threat model, are not supported by the security team, and are subject to breaking changes. Do not "
    "use this feature without understanding each of the previous points."
)


def check(tree: Any, fqn: str, found: Findings) -> Any:
    """Check a tree against a message.

    Args:
        tree: what `document.parse` gave (after the v2 upgrade); it isn't changed.
        fqn: full name of the message at its root.
        found: gets the faults and warnings.

    Returns:
        The canonical tree; of use only when there are no faults. Parts of it may be parts of `tree`.
    """
    return message_reader(fqn)(tree, None, found)


@attrs.frozen(eq=False)
class _Entry:
    """How one field is read.

    Attributes:
        name: in snake_case.
        read: its reader.
        rivals: the other members of its oneof.
        warning: to give whenever it is set, or "".
        refused: it may not be set at all.
        null: null is a value, not "unset".
        once: it may not be there in two spellings: Envoy refuses that for a member of a oneof, and joins lists and
            messages in an order that the file doesn't show.
    """

    name: str
    read: Reader
    rivals: tuple[str, ...]
    warning: str
    refused: bool
    null: bool
    once: bool


class _Plan:
    """What is known about a message; fields are looked at when they are first met."""

    def __init__(self, fqn: str) -> None:
        message = schema.message(fqn)
        assert message is not None, f"{fqn} is in no table, but a field has that type"
        self.message = message
        self.entries: dict[str, _Entry] = {}
        self.absent: list[tuple[str, str]] = []
        self.late: list[tuple[str, str]] = []  # fields whose default value is deprecated
        self.required = tuple(
            (name, oneof.members) for name, oneof in message.oneofs.items() if oneof.required and not message.unchecked
        )
        for field in message.by_number.values():
            self._note_absent(field)

    def _note_absent(self, field: schema.Field) -> None:
        """Note what to say when the field isn't set."""
        if field.kind == "enum" and not field.repeated and not field.map_key and not field.oneof:
            enum = schema.enum(field.type_name)
            if enum is not None and enum.numbers.get(0) in enum.deprecated:
                name = f"{self.message.fqn}.{field.name}"
                text = f"Using the default now-deprecated value {enum.numbers[0]} for enum '{name}'."
                self.late.append((field.name, f"{text} {scalars.REMOVED_SOON}"))
        if not field.rules or self.message.unchecked:
            return
        if field.oneof or field.optional:
            return
        if is_required(field.rules):
            self.absent.append((field.name, "value is required"))
        rule = _rule(field, field.rules)
        default: Any = None
        if field.repeated or field.map_key:
            default = ()
        elif field.kind == "enum":
            default = 0
        elif field.kind != "message":
            default = scalars.DEFAULTS[field.kind]
        wrong = rule(default) if rule is not None and default is not None else None
        if wrong is not None:
            self.absent.append((field.name, wrong))

    def entry(self, key: str) -> _Entry | None:
        """The entry of a key, None for a key that no field has."""
        field = self.message.fields.get(key)
        if field is None:
            return None
        name = f"{self.message.fqn}.{field.name}"
        warning = ""
        if field.deprecated:
            warning = f"Using deprecated option '{name}'. {scalars.REMOVED_SOON}"
        elif field.wip:
            warning = f"field '{name}' {_WORK_IN_PROGRESS}"
        oneof = self.message.oneofs.get(field.oneof)
        made = _Entry(
            name=field.name,
            read=_field_reader(field, checked=not self.message.unchecked),
            rivals=tuple(each for each in oneof.members if each != field.name) if oneof else (),
            warning=warning,
            refused=field.disallowed,
            null=field.type_name in _NULL_COUNTS,
            once=bool(field.oneof or field.repeated or field.map_key) or _is_joined(field),
        )
        self.entries[key] = made
        return made


@functools.cache
def message_reader(fqn: str) -> Reader:
    """The reader of a message."""
    plan: _Plan | None = None
    entries: dict[str, _Entry] = {}

    def read(raw: Any, at: At, found: Findings) -> Any:
        nonlocal plan, entries
        if raw.__class__ is not dict:
            return found.fault(at, f"expected a mapping ({fqn}), got {show(raw)}")
        if plan is None:
            plan = _Plan(fqn)
            entries = plan.entries
        if plan.message.wip:
            found.warn(at, f"message '{fqn}' {_WORK_IN_PROGRESS}")
        out: dict[str, Any] = {}
        for key, value in raw.items():
            entry = entries.get(key) or plan.entry(key)
            if entry is None:
                _unknown_field(plan.message, key, (at, key), found)
                continue
            if value is None and not entry.null:
                continue
            here = (at, key)
            result = entry.read(value, here, found)
            if result is None and not entry.null:
                continue
            name = entry.name
            if entry.rivals or entry.warning or entry.refused or name in out:
                _notice(plan.message, entry, out, here, found)
            out[name] = result
        if found.rules:
            _missing(plan, out, at, found)
        return out

    return read


def _missing(plan: _Plan, out: dict[str, Any], at: At, found: Findings) -> None:
    """Report required fields and oneofs that aren't set."""
    for name, text in plan.absent:
        if name not in out:
            found.fault((at, name), text)
    for name, members in plan.required:
        if not any(member in out for member in members):
            found.fault(at, f"one of {', '.join(members)} is required ({name})")
    for name, text in plan.late:
        if name not in out:
            found.warn((at, name), text)


def _notice(message: schema.Message, entry: _Entry, out: dict[str, Any], at: At, found: Findings) -> None:
    """What there is to say about a field that is set."""
    for rival in entry.rivals:
        if rival in out:
            found.fault(at, f"{rival!r} is set already, and only one of them may be")
    if entry.name in out:
        if entry.once:
            found.fault(at, f"{entry.name!r} is set already, in another spelling")
        else:
            found.warn(at, f"{entry.name!r} is set twice, in two spellings; the last one counts")
    if entry.refused:
        found.fault(at, f"{message.fqn}.{entry.name} is deprecated and refused by Envoy")
    elif entry.warning:
        found.warn(at, entry.warning)


def _unknown_field(message: schema.Message, key: str, at: At, found: Findings) -> None:
    text = f"unknown to Envoy: {key!r} is no field of {message.fqn}"
    near = schema.nearest(key, tuple(field.name for field in message.by_number.values()))
    if key == "<<":
        text += "; merge keys aren't supported by Envoy either"
    elif near:
        text += f"; did you mean {near!r}?"
    if found.allow_unknown:
        found.warn(at, text)
    else:
        found.fault(at, text)


def _is_joined(field: schema.Field) -> bool:
    """Whether a second value adds to the first instead of replacing it."""
    return field.kind == "message" and field.type_name not in scalars.WRAPPERS and field.type_name != _DURATION


def _rule(field: schema.Field, rules: Any) -> Any:
    return compile_rule(rules, schema.enum(field.type_name) if field.kind == "enum" else None)


def _field_reader(field: schema.Field, *, checked: bool) -> Reader:
    """The reader of a field: singular, repeated or map."""
    rules = field.rules if checked else {}
    if field.map_key:
        return _map_reader(field, rules)
    if field.repeated:
        items = rules.get("repeated", {}).get("items", {})
        return _list_reader(_value_reader(field, items, keep=True), _empty_item(field), _rule(field, rules))
    return _value_reader(field, rules, keep=bool(field.oneof) or field.optional)


def _value_reader(field: schema.Field, rules: Any, *, keep: bool) -> Reader:
    """The reader of one value of a field."""
    rule = _rule(field, rules)
    if field.kind == "enum":
        enum = schema.enum(field.type_name)
        assert enum is not None, f"{field.type_name} is in no table, but a field has that type"
        return scalars.enumeration(enum, rule, keep=keep)
    if field.kind != "message":
        return scalars.scalar(field.kind, rule, keep=keep)
    if field.type_name in scalars.WRAPPERS:
        return scalars.wrapper(scalars.WRAPPERS[field.type_name], rule)
    if field.type_name == _DURATION:
        return scalars.duration(rule)
    if field.type_name == "google.protobuf.Any":
        return read_any
    return _SPECIAL.get(field.type_name) or message_reader(field.type_name)


def _empty_item(field: schema.Field) -> Any:
    """What null in a list stands for."""
    if field.kind == "message":
        kind = scalars.WRAPPERS.get(field.type_name)
        return scalars.DEFAULTS[kind] if kind else None if field.type_name in _NULL_COUNTS else {}
    return 0 if field.kind == "enum" else scalars.DEFAULTS[field.kind]


def _list_reader(read_item: Reader, empty: Any, rule: Any) -> Reader:
    """Reader of a repeated field; one value without brackets is a list of one, lists in it are flattened."""

    def read(raw: Any, at: At, found: Findings) -> Any:
        out: list[Any] = []
        for index, item in enumerate(raw if raw.__class__ is list else (raw,)):
            here = (at, index)
            if item.__class__ is list:
                out += read(item, here, found) or ()
            else:
                out.append(read_item(empty if item is None else item, here, found))
        if rule is not None and out and found.rules:
            wrong = rule(out)
            if wrong is not None:
                return found.fault(at, wrong)
        return out or None

    return read


def _map_reader(field: schema.Field, rules: Any) -> Reader:
    """Reader of a map field; keys stay text."""
    within = rules.get("map", {})
    read_value = _value_reader(field, within.get("values", {}), keep=True)
    rule = compile_rule(rules)
    key_rule = compile_rule(within.get("keys", {}))
    empty = _empty_item(field)

    def read(raw: Any, at: At, found: Findings) -> Any:
        if raw.__class__ is not dict:
            return found.fault(at, f"expected a mapping, got {show(raw)}")
        out: dict[str, Any] = {}
        for key, value in raw.items():
            wrong = key_rule(key) if key_rule is not None and found.rules else None
            if wrong is not None:
                found.fault((at, key), f"key: {wrong}")
            out[key] = read_value(empty if value is None else value, (at, key), found)
        wrong = rule(out) if rule is not None and out and found.rules else None
        return found.fault(at, wrong) if wrong is not None else out or None

    return read


def read_any(raw: Any, at: At, found: Findings) -> Any:
    """Reader of google.protobuf.Any: `@type` first, then the fields of that message."""
    if raw.__class__ is not dict:
        return found.fault(at, f"expected a mapping with an '@type', got {show(raw)}")
    url = raw.get("@type")
    if url is None:
        return found.fault(at, "'@type' is missing") if raw else {}
    if not isinstance(url, str) or url.find("/") < 1:
        return found.fault((at, "@type"), f"expected type.googleapis.com/ and the name of a message, got {show(url)}")
    fqn = url.rpartition("/")[2]
    rest = {key: value for key, value in raw.items() if key != "@type"}
    if fqn in TYPED_STRUCTS:
        return _typed_struct(url, rest, at, found)
    special = special_reader(fqn)
    if special is not None:
        if rest.keys() != {"value"}:
            return found.fault(at, f"expected '@type' and 'value' for {fqn}")
        value = special(rest["value"], (at, "value"), found)
        return {"@type": url, "value": value}
    if not _known(fqn, (at, "@type"), found):
        return BAD
    body = message_reader(fqn)(rest, at, found)
    return {"@type": url, **body}


def special_reader(fqn: str) -> Reader | None:
    """The reader of a message that isn't an object of its fields in JSON."""
    if fqn in scalars.WRAPPERS:
        return scalars.scalar(scalars.WRAPPERS[fqn], None, keep=True)
    if fqn == _DURATION:
        return scalars.duration(None)
    return read_any if fqn == "google.protobuf.Any" else _SPECIAL.get(fqn)


def _known(fqn: str, at: At, found: Findings) -> bool:
    if schema.message(fqn) is not None:
        return True
    near = schema.nearest_message(fqn)
    found.fault(at, f"unknown to Envoy: there is no message {fqn!r}{f'; did you mean {near!r}?' if near else ''}")
    return False


def _typed_struct(url: str, rest: dict[str, Any], at: At, found: Findings) -> Any:
    """A message as a Struct, with the name of its type beside it."""
    inner = rest.get("type_url", rest.get("typeUrl"))
    unknown = rest.keys() - {"type_url", "typeUrl", "value"}
    if unknown:
        return found.fault((at, min(unknown)), "unknown to Envoy: TypedStruct has type_url and value only")
    if not isinstance(inner, str) or not _known(inner.rpartition("/")[2], (at, "type_url"), found):
        return BAD if isinstance(inner, str) else found.fault(at, "'type_url' is missing")
    value = message_reader(inner.rpartition("/")[2])(rest.get("value") or {}, (at, "value"), found)
    return {"@type": url, "type_url": inner, "value": value}
