"""Extensions by type URL: the URL is the module path, the module is imported on first need.

`envoy.extensions.filters.http.buffer.v3.Buffer` lives in `trio_envoy.extensions.filters.http.buffer`, whose import runs
`@register`. A few config messages lie on a lower floor (HCM, TLS contexts), because more than one floor reads them;
they are registered by their extension all the same.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs

PACKAGE: Final = "trio_envoy.extensions"
_PREFIX: Final = "envoy.extensions."

F = TypeVar("F", bound=Callable[..., Any])


class Category(StrEnum):
    """Extension points, named as in Envoy's extensions_metadata.yaml; the comment: what a factory gets and gives."""

    HTTP_FILTER = "envoy.filters.http"  # (config, hcm.context.FilterContext) -> hcm.filter.HttpFilter or terminal
    NETWORK_FILTER = "envoy.filters.network"  # (config, hcm.context.FilterContext) -> NetworkFilter | TerminalFilter
    LISTENER_FILTER = "envoy.filters.listener"  # (config, net.services.Services) -> ListenerFilter
    ACCESS_LOGGER = "envoy.access_loggers"  # (config, net.services.Services) -> accesslog.log.Sink
    CLUSTER = "envoy.clusters"  # (config, upstream.context.ClusterContext) -> upstream.cluster.Discovery
    LOAD_BALANCING_POLICY = "envoy.load_balancing_policies"  # (config, ...) -> upstream.balance.Policy
    HEALTH_CHECKER = "envoy.health_checkers"  # (config, upstream.context.ClusterContext) -> upstream.health.Checker
    TRANSPORT_SOCKET_DOWNSTREAM = (
        "envoy.transport_sockets.downstream"  # (config, net.filter.TransportContext) -> Accepting
    )
    TRANSPORT_SOCKET_UPSTREAM = (
        "envoy.transport_sockets.upstream"  # (config, net.filter.TransportContext) -> Connecting
    )
    ORIGINAL_IP_DETECTION = "envoy.http.original_ip_detection"  # (config, Services) -> hcm.client_address.Detector
    EARLY_HEADER_MUTATION = "envoy.http.early_header_mutation"  # (config, Services) -> hcm.early_mutation.EarlyMutation
    HEADER_FORMATTER = "envoy.http.stateful_header_formatters"  # (config) -> http.spelling.Remember
    REQUEST_ID = "envoy.request_id"  # (config, Services) -> hcm.request_id.NewId
    UPSTREAM_OPTIONS = "envoy.upstream_options"  # config only, read by upstream


@attrs.frozen
class Extension:
    """One registered extension.

    Attributes:
        category: extension point.
        name: canonical name, as `envoy.filters.http.router`.
        config: attrs class of its message (with __proto__); None for one that has none.
        per_route: attrs class of its per-route message, if it takes one.
        factory: builds the live object.
    """

    category: Category
    name: str
    config: type[Any] | None
    per_route: type[Any] | None
    factory: Callable[..., Any]


_by_name: dict[tuple[Category, str], Extension] = {}
_by_config: dict[tuple[Category, type[Any]], Extension] = {}
_messages: dict[str, type[Any]] = {}


class AlreadyRegisteredError(Exception):
    """Two modules claim one name; a bug, found at import."""


def register(
    category: Category, name: str, *, config: type[Any] | None = None, per_route: type[Any] | None = None
) -> Callable[[F], F]:
    """Class or function decorator: make this factory known under its name and its messages' type URLs."""

    def decorate(factory: F) -> F:
        if (category, name) in _by_name:
            raise AlreadyRegisteredError(f"{category}: {name}")
        extension = Extension(category, name, config, per_route, factory)
        _by_name[category, name] = extension
        if config is not None:
            _by_config[category, config] = extension
        for message in (config, per_route):
            if message is not None:
                _messages[message.__proto__] = message
        return factory

    return decorate


def message_class(message: type[Any]) -> type[Any]:
    """Class decorator: a message that belongs to an extension but is neither its config nor its per-route message."""
    _messages[message.__proto__] = message
    return message


def module_of(type_name: str) -> str | None:
    """The module that a message's full name stands for, if it exists; None outside envoy.extensions."""
    if not type_name.startswith(_PREFIX):
        return None
    steps = type_name.removeprefix(_PREFIX).split(".")[:-1]
    if steps and steps[-1].startswith("v") and steps[-1][1:2].isdigit():
        steps.pop()
    return ".".join((PACKAGE, *steps))


def config_class(type_name: str) -> type[Any] | None:
    """The attrs class for a message's full name (no `type.googleapis.com/`); None if no extension here takes it."""
    found = _messages.get(type_name)
    if found is None:
        module = module_of(type_name)
        while module is not None and module != PACKAGE:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as missing:
                if not (missing.name or "").startswith(PACKAGE):
                    raise
            else:
                found = _messages.get(type_name)
                if found is not None:
                    return found
            module = module.rpartition(".")[0]
    return found


def extension_for(category: Category, config: object) -> Extension | None:
    """The extension of this category whose config this object is."""
    return _by_config.get((category, type(config)))


def by_name(category: Category, name: str) -> Extension | None:
    """The extension with this canonical name, if its module is imported."""
    return _by_name.get((category, name))


def built_in(category: Category, name: str, module: str) -> Extension:
    """An extension that configurations name without a type URL (`type: STRICT_DNS`, `http_health_check`).

    Args:
        category: its extension point.
        name: its canonical name.
        module: below trio_envoy.extensions; imported on first need.
    """
    if (category, name) not in _by_name:
        importlib.import_module(f"{PACKAGE}.{module}")
    return _by_name[category, name]


def registered() -> tuple[Extension, ...]:
    """All that is registered so far, for /server_info and tests."""
    return tuple(_by_name.values())
