"""envoy.filters.network.direct_response: send fixed bytes and close.

Config: envoy.extensions.filters.network.direct_response.v3.Config; docs:
configuration/listeners/network_filters/direct_response_filter.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.core import DataSource
from trio_envoy.hcm.context import FilterContext
from trio_envoy.net.channel import send_all
from trio_envoy.net.data_source import read
from trio_envoy.net.filter import Connection
from trio_envoy.registry import Category, register


@attrs.frozen(kw_only=True)
class Config:
    """What is sent.

    Attributes:
        response: None is nothing.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.network.direct_response.v3.Config"

    response: DataSource | None = None


class DirectResponseFilter:
    """Terminal: it reads nothing."""

    def __init__(self, response: bytes) -> None:
        self._response = response

    async def serve(self, connection: Connection) -> None:
        """Send and close."""
        try:
            await send_all(connection.channel, self._response)
        finally:
            connection.channel.close()


@register(Category.NETWORK_FILTER, "envoy.filters.network.direct_response", config=Config)
def make(config: Config, _context: FilterContext) -> DirectResponseFilter:
    """One for all connections.

    Raises:
        ConfigError: the file can't be read.
    """
    return DirectResponseFilter(read(config.response) if config.response is not None else b"")
