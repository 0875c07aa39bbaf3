"""envoy.filters.network.http_connection_manager: HTTP on the connections of a filter chain.

Config: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager; the work is done in hcm/.
"""

from __future__ import annotations

from trio_envoy.config.hcm import HttpConnectionManager as Config
from trio_envoy.hcm.context import FilterContext
from trio_envoy.hcm.manager import HttpConnectionManager
from trio_envoy.registry import Category, register


@register(Category.NETWORK_FILTER, "envoy.filters.network.http_connection_manager", config=Config)
def make(config: Config, context: FilterContext) -> HttpConnectionManager:
    """Build the filter from its config."""
    return HttpConnectionManager(config, context)
