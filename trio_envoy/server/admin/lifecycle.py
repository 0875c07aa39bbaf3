"""What moves the server: healthcheck/fail and ok, quitquitquit, drain_listeners, reopen_logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply
from trio_envoy.server.workers.messages import DrainListeners, HealthFailed, ReopenLogs

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoints of this file."""

    async def fail(_: Query) -> Reply:
        server.tell(HealthFailed(True))
        return Reply("OK\n")

    async def ok(_: Query) -> Reply:
        server.tell(HealthFailed(False))
        return Reply("OK\n")

    async def quit_server(_: Query) -> Reply:
        server.lifecycle.stop_soon()
        return Reply("OK\n")

    async def drain(query: Query) -> Reply:
        if query.has("skip_exit") and not query.has("graceful"):
            return Reply("skip_exit requires graceful\n", 400)
        server.tell(DrainListeners(query.has("inboundonly"), query.has("graceful"), query.has("skip_exit")))
        return Reply("OK\n")

    async def reopen(_: Query) -> Reply:
        server.tell(ReopenLogs())
        return Reply("OK\n")

    return (
        Endpoint(
            "/healthcheck/fail",
            "cause the server to fail health checks",
            fail,
            mutates=True,
            warning="Connections end with their next answer, and load balancers take this server out, until "
            "/healthcheck/ok.",
        ),
        Endpoint("/healthcheck/ok", "cause the server to pass health checks", ok, mutates=True),
        Endpoint(
            "/quitquitquit",
            "exit the server",
            quit_server,
            mutates=True,
            warning="The process ends at once, and all connections with it.",
        ),
        Endpoint(
            "/drain_listeners",
            "drain listeners",
            drain,
            mutates=True,
            params=(
                Param(
                    "graceful",
                    "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour "
                    "and duration is configurable via server options or CLI",
                    flag=True,
                ),
                Param(
                    "skip_exit",
                    "When draining listeners, drain the connections but never stop the listeners. The graceful "
                    "parameter has no effect when this is set, since the drain period only delays stopping the "
                    "listeners",
                    flag=True,
                ),
                Param(
                    "inboundonly",
                    "Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3."
                    "Listener is used to determine whether a listener is inbound or outbound.",
                    flag=True,
                ),
            ),
            group="Traffic",
            warning="Without graceful, the listeners close at once; nothing opens them again but a restart.",
        ),
        Endpoint("/reopen_logs", "reopen access logs", reopen, mutates=True),
    )
