"""envoy.http.early_header_mutation.header_mutation: headers are changed before anything looks at the request.

Config: envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation. Each mutation sees what the ones
before it did. Source: Envoy, http/header_mutation.cc; measured on 1.40 (headers/early_mutation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import attrs

from trio_envoy.config.mutation_rules import HeaderMutation as Mutation
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.formatter.context import Logged
from trio_envoy.http.message import Request
from trio_envoy.matching.strings import BytesTest, string_test
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.registry import Category, register
from trio_envoy.routing.header_ops import Level, request_additions

_SCHEME: Final = b":scheme"
_NEEDED: Final = frozenset({b":path", b":method", b":authority", b"host"})
_Change = Callable[[Request, StreamInfo], None]


@attrs.frozen(kw_only=True)
class HeaderMutation:
    """Changes of the request's headers.

    Attributes:
        mutations: one after the other; at least one.
    """

    __proto__: ClassVar[str] = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"

    mutations: tuple[Mutation, ...] = ()


class HeaderMutations:
    """Compiled changes."""

    def __init__(self, config: HeaderMutation, services: Services) -> None:
        """Compile.

        Raises:
            ConfigError: a header that may not be changed, a bad operator or regex.
        """
        faults, changes = Faults(), []
        for each in config.mutations:
            with faults:
                changes.append(_change(each, services))
        faults.raise_all()
        self._changes = tuple(changes)

    def mutate(self, request: Request, info: StreamInfo) -> None:
        """Change the request; see EarlyMutation."""
        for change in self._changes:
            change(request, info)


def _change(config: Mutation, services: Services) -> _Change:
    if config.append is not None:
        return _addition(request_additions((config.append,)))
    if config.remove is not None:
        return _removal(config, config.remove.lower().encode())
    if config.remove_on_match is not None:
        return _removal_of_matches(string_test(config.remove_on_match.key_matcher, services.runtime))
    raise ConfigError("a header mutation needs one of remove, append, remove_on_match", at=config)


def _addition(level: Level | None) -> _Change:
    assert level is not None, "there is one header to add"

    def add(request: Request, info: StreamInfo) -> None:
        level.apply(request.headers, Logged(info, request))

    return add


def _removal(config: Mutation, name: bytes) -> _Change:
    if name in _NEEDED:
        raise ConfigError(f"{name.decode()} is needed, it may not be removed", at=config, field="remove")

    def remove(request: Request, _: StreamInfo) -> None:
        if name == _SCHEME:
            request.scheme = b""
        else:
            request.headers.remove(name)

    return remove


def _removal_of_matches(fits: BytesTest) -> _Change:
    def remove(request: Request, _: StreamInfo) -> None:
        for name in [name for name in request.headers.first if fits(name)]:
            request.headers.remove(name)

    return remove


@register(Category.EARLY_HEADER_MUTATION, "envoy.http.early_header_mutation.header_mutation", config=HeaderMutation)
def make(config: HeaderMutation, services: Services) -> HeaderMutations:
    """The mutation.

    Raises:
        ConfigError: a header that may not be changed, a bad operator or regex.
    """
    return HeaderMutations(config, services)
