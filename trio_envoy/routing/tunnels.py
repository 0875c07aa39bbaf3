"""upgrade_configs of a route.

Source: Envoy, router/config_impl.cc (RouteEntryImplBase); what is refused, and its words, measured on 1.40.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trio_envoy.config.route_action import RouteUpgradeConfig
from trio_envoy.errors import ConfigError
from trio_envoy.routing.entry import Tunnels

CONNECT: Final = "connect"
CONNECT_UDP: Final = "connect-udp"


def compile_tunnels(configs: Sequence[RouteUpgradeConfig]) -> Tunnels:
    """What these say together.

    Raises:
        ConfigError: a type that comes twice, connect_config of something else than CONNECT, or CONNECT-UDP.
    """
    enabled: dict[str, bool] = {}
    terminated: set[bytes] = set()
    for config in configs:
        kind = upgrade_type(config.upgrade_type, config)
        if kind in enabled:
            raise ConfigError(f"Duplicate upgrade {config.upgrade_type}", at=config, field="upgrade_type")
        enabled[kind] = config.enabled is not False
        if config.connect_config is not None:
            if kind != CONNECT:
                text = f"Non-CONNECT upgrade type {config.upgrade_type} has ConnectConfig"
                raise ConfigError(text, at=config, field="connect_config")
            terminated.add(b"CONNECT")
            if config.connect_config.allow_post:
                terminated.add(b"POST")
    return Tunnels(enabled, frozenset(terminated))


def upgrade_type(name: str, at: object) -> str:
    """The key of an upgrade type.

    Raises:
        ConfigError: CONNECT-UDP.
    """
    kind = name.lower()
    if kind == CONNECT_UDP:
        raise ConfigError("upgrade_type: CONNECT-UDP is not supported here", at=at, field="upgrade_type")
    return kind
