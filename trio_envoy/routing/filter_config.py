"""typed_per_filter_config of all levels, gathered into Overrides.

Rules, as in Envoy's PerFilterConfigs (router/config_impl.cc):
1. What is said closest to the route decides whether a filter runs: FilterConfig.disabled turns it off, any config turns
   it on, also one that HttpFilter.disabled has turned off.
2. The messages themselves are all handed to the filter, least specific first; a level that disables has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trio_envoy import registry
from trio_envoy.config.route import FilterConfig
from trio_envoy.errors import ConfigError
from trio_envoy.routing.overrides import NO_OVERRIDES, Override, Overrides


class FilterConfigSource(Protocol):
    """A config message with per-filter config: RouteConfiguration, VirtualHost, Route or ClusterWeight."""

    @property
    def typed_per_filter_config(self) -> Mapping[str, object]:
        """By filter name."""


class OverridesGatherer:
    """Gathers the overrides of many routes; equal ones are one object."""

    def __init__(self) -> None:
        self._shared: dict[tuple[tuple[str, bool | None, tuple[int, ...]], ...], Overrides] = {}

    def gather(self, levels: Sequence[FilterConfigSource]) -> Overrides:
        """What these levels, least specific first, say together.

        Raises:
            ConfigError: a filter that takes no per-route config, a FilterConfig with nothing in it.
        """
        speaking = [level for level in levels if level.typed_per_filter_config]
        if not speaking:
            return NO_OVERRIDES
        disabled: dict[str, bool] = {}
        configs: dict[str, list[object]] = {}
        for level in speaking:
            for name, entry in level.typed_per_filter_config.items():
                off, config = _read(name, entry, level)
                disabled[name] = off
                configs.setdefault(name, []).extend(() if config is None else (config,))
        by_name = {name: Override(disabled[name], tuple(configs[name])) for name in sorted(disabled)}
        key = tuple((name, said.disabled, tuple(map(id, said.configs))) for name, said in by_name.items())
        return self._shared.setdefault(key, Overrides(by_name))


def _read(name: str, entry: object, level: FilterConfigSource) -> tuple[bool, object | None]:
    """(disabled, message) of one entry."""
    if isinstance(entry, FilterConfig):
        if entry.disabled:
            return True, None
        if entry.config is None:
            if entry.is_optional:  # its message isn't known here and was left out
                return False, None
            raise ConfigError(f"Empty route/virtual host per filter configuration for {name} filter", at=entry)
        entry = entry.config
    if not _is_per_route(entry):
        raise ConfigError(
            f"The filter {name} doesn't support virtual host or route specific configurations",
            at=level,
            field=("typed_per_filter_config", name),
        )
    return False, entry


def _is_per_route(config: object) -> bool:
    return any(extension.per_route is type(config) for extension in registry.registered())
