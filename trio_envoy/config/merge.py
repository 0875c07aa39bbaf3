"""Two checked trees into one, as protobuf's MergeFrom does: `--config-yaml` over the file of `-c`.

Scalars of the second win, messages merge field by field, lists are joined, map entries and the keys of a Struct are
replaced. What proto3 calls unset changes nothing: so {value: 0} of a wrapper loses against a value, and `3s` over
`2.5s` gives `3.5s`, as in Envoy (measured on 1.40.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trio_envoy.config import durations, schema
from trio_envoy.config.check import special_reader
from trio_envoy.config.scalars import DEFAULTS, WRAPPERS
from trio_envoy.errors import Path

_SECOND: Final = 1_000_000_000


def merge(base: Mapping[str, Any], over: Mapping[str, Any], fqn: str) -> dict[str, Any]:
    """A new tree; the given ones aren't changed.

    Args:
        base: canonical tree of the file.
        over: canonical tree that is laid over it.
        fqn: full name of the message of both.
    """
    message = schema.message(fqn)
    assert message is not None, f"{fqn} is in no table, but was checked"
    out = dict(base)
    for name, value in over.items():
        field = message.fields[name]
        if field.oneof:
            for rival in message.oneofs[field.oneof].members:
                if rival != name:
                    out.pop(rival, None)
        out[name] = _field(field, out[name], value) if name in out else value
    return out


def origin(base: Any, over: Any, path: Path) -> tuple[int, Path]:
    """Where a path of the merged tree comes from: (0, path in the base) or (1, path in what lies over it)."""
    before: Any = base
    after: Any = over
    offset: list[str | int] = []
    for step in path:
        if isinstance(step, int):
            length = len(before) if isinstance(before, list) else 0
            if step < length:
                before, after = before[step], None
            else:
                step -= length
                before = None
                after = after[step] if isinstance(after, list) and step < len(after) else None
        else:
            below = (each.get(step) if isinstance(each, Mapping) else None for each in (before, after))
            found = tuple(below)
            if found == (None, None):
                return (1 if after is not None and before is None else 0), (*offset, *path[len(offset) :])
            before, after = found
        offset.append(step)
    return (0 if after is None else 1), tuple(offset)


def _field(field: schema.Field, base: Any, over: Any) -> Any:
    """A field that both have."""
    if field.repeated:
        return [*base, *over]
    if field.map_key:
        return {**base, **over}
    if field.kind != "message":
        return over
    return _message(field.type_name, base, over)


def _message(fqn: str, base: Any, over: Any) -> Any:
    if fqn == "google.protobuf.Struct":
        return {**base, **over}
    if fqn == "google.protobuf.ListValue":
        return [*base, *over]
    if fqn == "google.protobuf.Duration":
        return durations.render(_duration(durations.parse(base), durations.parse(over)))
    if fqn in WRAPPERS:
        return base if over == DEFAULTS[WRAPPERS[fqn]] else over
    if fqn == "google.protobuf.Any":
        silent = not over or (over.keys() == {"@type"} and over["@type"] == base.get("@type"))
        return base if silent else over
    return over if special_reader(fqn) is not None else merge(base, over, fqn)


def _duration(base: int, over: int) -> int:
    seconds, nanos = divmod(over, _SECOND)
    return (seconds or base // _SECOND) * _SECOND + (nanos or base % _SECOND)
