"""request_headers_to_add and its kin: what a route changes in the headers of a message.

Rules, as in Envoy's header_parser.cc, checked against 1.40.0:
1. Levels are applied one after the other; a later one sees what an earlier one did. The order is weighted cluster,
   route, virtual host, table; most_specific_header_mutations_wins turns the last three round.
2. In a level fields are removed first, then all values are rendered, then overwritten, then added.
3. A value that renders to nothing adds nothing, unless keep_empty_value.
4. An overwritten field moves to the end. A field that Envoy keeps once (http/fields.py) takes a second value behind a
   comma.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import attrs

from trio_envoy.config.core import HeaderAppendAction, HeaderValueOption
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.formatter.compile import Render, compile_text
from trio_envoy.formatter.context import LogContext
from trio_envoy.http.fields import REQUEST_ONCE, RESPONSE_ONCE, is_pseudo
from trio_envoy.http.headers import Headers


class HeaderSource(Protocol):
    """A config message with header changes: ClusterWeight, Route, VirtualHost or RouteConfiguration."""

    @property
    def request_headers_to_add(self) -> Sequence[HeaderValueOption]:
        """Added to requests."""

    @property
    def request_headers_to_remove(self) -> Sequence[str]:
        """Removed from requests."""

    @property
    def response_headers_to_add(self) -> Sequence[HeaderValueOption]:
        """Added to responses."""

    @property
    def response_headers_to_remove(self) -> Sequence[str]:
        """Removed from responses."""


@attrs.frozen(eq=False)
class _Change:
    """One header to add.

    Attributes:
        name: lower case.
        literal: the value when it has no operators; else None.
        render: the value.
        once: a second value is joined to the first.
        keep_empty: add it though it is empty.
    """

    name: bytes
    literal: bytes | None
    render: Render
    action: HeaderAppendAction
    once: bool
    keep_empty: bool


@attrs.frozen(eq=False)
class Level:
    """What one config message changes.

    Attributes:
        remove: names.
        changes: in config order.
        appends: (name, value) of all changes when all that is to be done is to append literals; else None.
        authority: a weighted cluster's host_rewrite_literal, set when the rest is done; None: left alone.
    """

    remove: tuple[bytes, ...] = ()
    changes: tuple[_Change, ...] = ()
    appends: tuple[tuple[bytes, bytes], ...] | None = None
    authority: bytes | None = None

    def apply(self, headers: Headers, context: LogContext) -> None:
        """Change the headers."""
        for name in self.remove:
            headers.remove(name)
        if self.appends is not None:
            for name, value in self.appends:
                headers.add(name, value)
        elif self.changes:
            _change(self.changes, headers, context)
        if self.authority is not None and context.request is not None:
            context.request.authority = self.authority


def _change(changes: Iterable[_Change], headers: Headers, context: LogContext) -> None:
    overwrites: list[tuple[_Change, bytes]] = []
    additions: list[tuple[_Change, bytes]] = []
    for change in changes:
        value = change.render(context) if change.literal is None else change.literal
        if not value and not change.keep_empty:
            continue
        action = change.action
        if action is HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD:
            additions.append((change, value))
        elif action is HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
            overwrites.append((change, value))
        elif action is HeaderAppendAction.ADD_IF_ABSENT:
            if change.name not in headers.first:
                additions.append((change, value))
        elif change.name in headers.first:
            overwrites.append((change, value))
    for change, value in overwrites:
        headers.remove(change.name)
        headers.add(change.name, value)
    for change, value in additions:
        append(headers, change.name, value, once=change.once)


def append(headers: Headers, name: bytes, value: bytes, *, once: bool) -> None:
    """Add a field; `once`: join it to the one that is there."""
    before = headers.first.get(name) if once else None
    if before is None:
        headers.add(name, value)
    else:
        headers.set(name, before + b"," + value)


@attrs.frozen(eq=False)
class HeaderOps:
    """Compiled changes of all levels of one route, in the order in which they are made."""

    levels: tuple[Level, ...]

    def apply(self, headers: Headers, context: LogContext) -> None:
        """Change the headers: those of context.request, or of the response."""
        for level in self.levels:
            level.apply(headers, context)


def combine(levels: Iterable[Level | None]) -> HeaderOps | None:
    """The operations of several levels in this order; None when there is nothing to do."""
    live = tuple(level for level in levels if level is not None)
    return HeaderOps(live) if live else None


def request_level(config: HeaderSource, authority: bytes | None = None) -> Level | None:
    """What a config message changes in requests; None: nothing.

    Raises:
        ConfigError: a header that may not be touched, a bad operator.
    """
    return _level(
        config,
        config.request_headers_to_add,
        config.request_headers_to_remove,
        _Side("request_headers_to_remove", REQUEST_ONCE),
        authority,
    )


def response_level(config: HeaderSource) -> Level | None:
    """What a config message changes in responses; None: nothing.

    Raises:
        ConfigError: a header that may not be touched, a bad operator.
    """
    return _level(
        config,
        config.response_headers_to_add,
        config.response_headers_to_remove,
        _Side("response_headers_to_remove", RESPONSE_ONCE),
        None,
    )


def request_additions(options: Sequence[HeaderValueOption]) -> Level | None:
    """What a list of headers to add changes in requests; None: nothing.

    Raises:
        ConfigError: a header that may not be touched, a bad operator.
    """
    return _level(options, options, (), _Side("", REQUEST_ONCE), None)


def response_additions(options: Sequence[HeaderValueOption]) -> Level | None:
    """What a list of headers to add changes in responses; None: nothing.

    Raises:
        ConfigError: a header that may not be touched, a bad operator.
    """
    return _level(options, options, (), _Side("", RESPONSE_ONCE), None)


@attrs.frozen
class _Side:
    remove_field: str
    once: frozenset[bytes]


def _level(
    config: object,
    to_add: Sequence[HeaderValueOption],
    to_remove: Sequence[str],
    side: _Side,
    authority: bytes | None,
) -> Level | None:
    if not to_add and not to_remove and authority is None:
        return None
    faults = Faults()
    remove, changes = [], []
    for index, name in enumerate(to_remove):
        with faults:
            remove.append(_removable(config, side.remove_field, index, name))
    for option in to_add:
        with faults:
            changes.append(_compile(option, side.once))
    faults.raise_all()
    simple = all(map(_is_plain_append, changes))
    appends = tuple((change.name, change.literal or b"") for change in changes) if simple else None
    return Level(tuple(remove), tuple(changes), appends, authority)


def _is_plain_append(change: _Change) -> bool:
    return (
        change.literal is not None
        and (change.literal != b"" or change.keep_empty)
        and change.action is HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD
        and not change.once
    )


def _removable(config: object, field: str, index: int, name: str) -> bytes:
    lower = name.lower().encode()
    if is_pseudo(lower):
        raise ConfigError(":-prefixed or host headers may not be removed", at=config, field=(field, index))
    return lower


_NOT_SET: Final = HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD


def _compile(option: HeaderValueOption, once: frozenset[bytes]) -> _Change:
    name = option.header.key.lower().encode()
    if is_pseudo(name):
        raise ConfigError(":-prefixed or host headers may not be modified", at=option.header, field="key")
    action = option.append_action
    if option.append is not None:
        if action is not _NOT_SET:
            raise ConfigError("Both append and append_action are set and it's not allowed", at=option)
        action = _NOT_SET if option.append else HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    field = "raw_value" if option.header.raw_value else "value"
    template = option.header.raw_value or option.header.value
    value = compile_text(template, missing=b"", at=option.header, field=field)
    return _Change(name, value.literal, value.render, action, name in once, option.keep_empty_value)
