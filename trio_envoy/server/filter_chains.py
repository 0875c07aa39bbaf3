"""Filter chains of a listener, compiled: transport socket, network filters in order, and the one that serves."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any, cast

import attrs

from trio_envoy import registry
from trio_envoy.config.core import TransportSocket
from trio_envoy.config.listener import Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.filter import (
    Accepting,
    CountsHandshakes,
    HandshakeFailed,
    NetworkFilter,
    TerminalFilter,
    TransportContext,
)
from trio_envoy.net.filter import ListenerFilter as LiveListenerFilter
from trio_envoy.net.match import ChainMatcher
from trio_envoy.registry import Category, Extension


@attrs.frozen(eq=False)
class Chain:
    """What is done with a connection.

    Attributes:
        name: of the chain.
        transport: shakes hands; None for plain TCP.
        connect_timeout: seconds for that, inf for no limit.
        filters: run in order.
        terminal: serves; None (no filters at all) closes the connection at once, as Envoy does.
        handshake_failed: of a terminal filter that wants to know.
    """

    name: str
    transport: Accepting | None
    connect_timeout: float
    filters: tuple[NetworkFilter, ...]
    terminal: TerminalFilter | None
    handshake_failed: HandshakeFailed | None


def compile_chains(config: Listener, context: FilterContext) -> ChainMatcher[Chain]:
    """All filter chains of a listener.

    Raises:
        ConfigError: a chain can't be, or two of them ask for the same connections; all that is wrong, at once.
    """
    faults = Faults()
    default = config.default_filter_chain
    if not config.filter_chains and default is None:
        raise ConfigError("no filter chains specified", at=config)
    otherwise: Chain | None = None
    if default is not None:
        with faults:
            otherwise = _compile(default, context)
    matcher = ChainMatcher(otherwise)
    for chain in config.filter_chains:
        with faults:
            matcher.add(chain.filter_chain_match or FilterChainMatch(), _compile(chain, context), chain.name, at=chain)
    faults.raise_all()
    if matcher.needs_tls_inspector:
        raise ConfigError(
            "a filter chain that matches on server_names, application_protocols or transport_protocol 'tls' needs "
            "'envoy.filters.listener.tls_inspector', which is not supported here",
            at=config,
            field="filter_chains",
        )
    return matcher


def compile_listener_filters(
    configs: Iterable[ListenerFilter], context: FilterContext
) -> tuple[LiveListenerFilter, ...]:
    """The listener filters, in order.

    Raises:
        ConfigError: one is not there.
    """
    return tuple(
        _extension(Category.LISTENER_FILTER, config).factory(config.typed_config, context.services)
        for config in configs
    )


def _compile(config: FilterChain, context: FilterContext) -> Chain:
    faults = Faults()
    filters = []
    for entry in config.filters:
        with faults:
            filters.append(_network_filter(entry, context))
    transport: Accepting | None = None
    with faults:
        transport = _transport(config.transport_socket, context)
    faults.raise_all()
    for position, (entry, (extension, made)) in enumerate(zip(config.filters, filters, strict=True)):
        terminal, last = isinstance(made, TerminalFilter), position == len(filters) - 1
        if terminal and not last:
            raise ConfigError(
                f"terminal filter named {entry.name} of type {extension.name} must be the last filter in a network "
                "filter chain",
                at=entry,
            )
        if last and not terminal:
            raise ConfigError(
                f"non-terminal filter named {entry.name} of type {extension.name} is the last filter in a network "
                "filter chain",
                at=entry,
            )
    *before, serving = [made for _, made in filters] or [None]
    return Chain(
        name=config.name,
        transport=transport,
        connect_timeout=config.transport_socket_connect_timeout or inf,
        filters=tuple(before),
        terminal=serving,
        handshake_failed=serving.handshake_failed if isinstance(serving, CountsHandshakes) else None,
    )


def _network_filter(entry: Filter, context: FilterContext) -> tuple[Extension, Any]:
    extension = _extension(Category.NETWORK_FILTER, entry)
    return extension, extension.factory(entry.typed_config, context)


def _transport(socket: TransportSocket | None, context: FilterContext) -> Accepting | None:
    if socket is None:
        return None
    extension = _extension(Category.TRANSPORT_SOCKET_DOWNSTREAM, socket)
    return cast(
        Accepting, extension.factory(socket.typed_config, TransportContext(context.services, context.listener_scope))
    )


def _extension(category: Category, entry: Filter | ListenerFilter | TransportSocket) -> Extension:
    extension = registry.extension_for(category, entry.typed_config)
    if extension is None:
        message = getattr(entry.typed_config, "__proto__", "")
        raise ConfigError(
            f"didn't find a registered implementation for '{entry.name}' with type URL: '{message}'", at=entry
        )
    return extension
