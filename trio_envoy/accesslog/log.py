"""Access logs: what is written when a request, or a TCP session, is over.

Proto: envoy.config.accesslog.v3.AccessLog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trio_envoy import registry
from trio_envoy.accesslog.filters import compile_filter
from trio_envoy.config.accesslog import AccessLog as Config
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.context import LogContext
from trio_envoy.net.services import Services


class Sink(Protocol):
    """Where entries go; what a factory of the category envoy.access_loggers makes."""

    def log(self, context: LogContext) -> None:
        """Write one entry. Never blocks, never raises."""


class AccessLog:
    """One entry of `access_log`: a sink, and the filter before it.

    Attributes:
        log: write an entry for this context, if the filter lets it pass. Never blocks.
    """

    log: Callable[[LogContext], None]

    def __init__(self, config: Config, services: Services) -> None:
        """Open it.

        Raises:
            ConfigError: an unknown logger, a bad format or filter, a file that can't be opened.
        """
        typed = config.typed_config
        extension = registry.extension_for(registry.Category.ACCESS_LOGGER, typed) if typed is not None else None
        if extension is None:
            raise ConfigError(
                f"Didn't find a registered implementation for '{config.name}' with type URL: ''",
                at=config,
                field="typed_config",
            )
        sink: Sink = extension.factory(typed, services)
        if config.filter is None:
            self.log = sink.log
            return
        passes = compile_filter(config.filter, services)

        def log(context: LogContext) -> None:
            if passes(context):
                sink.log(context)

        self.log = log
