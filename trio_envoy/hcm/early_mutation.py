"""early_header_mutation_extensions: what changes a request before anything looks at it.

Source: envoy/http/early_header_mutation.h; ConnectionManagerUtility::mutateRequestHeaders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from trio_envoy import registry
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.errors import ConfigError
from trio_envoy.http.message import Request
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import StreamInfo


class EarlyMutation(Protocol):
    """What a factory of the category envoy.http.early_header_mutation makes."""

    def mutate(self, request: Request, info: StreamInfo) -> None:
        """Change the request."""


def early_mutations(config: Iterable[TypedExtensionConfig], services: Services) -> tuple[EarlyMutation, ...]:
    """The extensions, in the order in which they run.

    Raises:
        ConfigError: one that isn't known, or what its factory finds.
    """
    return tuple(_mutation(each, services) for each in config)


def _mutation(config: TypedExtensionConfig, services: Services) -> EarlyMutation:
    extension = registry.extension_for(registry.Category.EARLY_HEADER_MUTATION, config.typed_config)
    if extension is None:
        raise ConfigError(f"Early header mutation extension not found: '{config.name}'", at=config)
    made: EarlyMutation = extension.factory(config.typed_config, services)
    return made
