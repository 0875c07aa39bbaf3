"""What may ride on HTTP: upgrades (WebSocket and others) and CONNECT, by upgrade_configs of manager and route.

A request that asks for an upgrade, over HTTP/1 or as an extended CONNECT over HTTP/2, has the wanted protocol in
Request.protocol, and `connection` and `upgrade` among its headers. Its body is what the client sends from then on.

Source: Envoy, HttpConnectionManagerConfig::createUpgradeFilterChain and FilterManager::createFilterChain; measured on
1.40.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from trio_envoy.config.hcm import HttpFilter, UpgradeConfig
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.hcm.filter import HttpFilterChain
from trio_envoy.hcm.stats import HcmStats
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.message import LocalReply, Request
from trio_envoy.routing.entry import ForwardAction
from trio_envoy.routing.tunnels import CONNECT, CONNECT_UDP, upgrade_type

_REFUSED: Final = LocalReply(403, details="upgrade_failed")
_WRONG_PATH: Final = LocalReply(404, b"The path is incorrect for CONNECT-UDP", details="invalid_path")
_CONNECT_UDP: Final = CONNECT_UDP.encode()
_MASQUE: Final = b"/.well-known/masque/udp/"


@attrs.frozen(eq=False)
class _Upgrade:
    """One upgrade_config.

    Attributes:
        enabled: unless the route says otherwise.
        chain: filters of its own; None: those of the manager.
    """

    enabled: bool
    chain: HttpFilterChain | None


_UNKNOWN: Final = _Upgrade(enabled=False, chain=None)


class Upgrades:
    """The upgrades of one manager.

    Args:
        configs: its upgrade_configs.
        stats: of the manager.
        make_chain: compiles filters.

    Raises:
        ConfigError: a type that comes twice or is not supported, or filters that are no chain; all that is wrong.
    """

    def __init__(
        self,
        configs: Sequence[UpgradeConfig],
        stats: HcmStats,
        make_chain: Callable[[Sequence[HttpFilter]], HttpFilterChain],
    ) -> None:
        self._stats = stats
        self._by_type: dict[str, _Upgrade] = {}
        faults = Faults()
        for config in configs:
            with faults:
                kind = upgrade_type(config.upgrade_type, config)
                if kind in self._by_type:
                    text = f"Error: multiple upgrade configs with the same name: '{config.upgrade_type}'"
                    raise ConfigError(text, at=config, field="upgrade_type")
                self._by_type[kind] = _UNKNOWN
                chain = make_chain(config.filters) if config.filters else None
                self._by_type[kind] = _Upgrade(config.enabled is not False, chain)
        faults.raise_all()

    def misplaced(self, request: Request) -> LocalReply | None:
        """The answer to a CONNECT-UDP whose path says no target, before there is a route."""
        if request.protocol.lower() == _CONNECT_UDP and not request.path.startswith(_MASQUE):
            return _WRONG_PATH
        return None

    def admit(self, stream: HttpStream) -> LocalReply | None:
        """Count an upgrade or a CONNECT that is allowed, and give it its filters; else the answer to it.

        One without a route is allowed to find that out.
        """
        request, route = stream.request, stream.route
        kind = request.protocol.decode("latin-1").lower() if request.protocol else CONNECT
        upgrade = self._by_type.get(kind, _UNKNOWN)
        enabled = upgrade.enabled
        if route is not None and isinstance(route.action, ForwardAction) and route.action.tunnels is not None:
            enabled = route.action.tunnels.enabled.get(kind, enabled)
        if enabled:
            stream.chain = upgrade.chain
            self._stats.downstream_cx_upgrades_total += 1
            self._stats.downstream_cx_upgrades_active += 1
            stream.on_complete.append(self._ended)
        elif route is not None:
            self._stats.downstream_rq_ws_on_non_ws_route += 1
            stream.codec.close_after()  # what comes now may be meant for the other protocol
            return _REFUSED
        return None

    def _ended(self) -> None:
        self._stats.downstream_cx_upgrades_active -= 1
