"""/stats, /stats/prometheus, /reset_counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply
from trio_envoy.stats.query import QueryError, parse
from trio_envoy.stats.render import RenderedBody, render

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_USED: Final = Param("usedonly", "Only include stats that have been written by system since restart", flag=True)
_FILTER: Final = Param("filter", "Regular expression (Google re2) for filtering stats")
_INVERT: Final = Param("invert_filter", "Invert the filter regex", flag=True)


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoints of this file."""

    async def answer(query: Query, *, prometheus: bool) -> Reply:
        try:
            wanted = parse(query.params, prometheus=prometheus)
        except QueryError as error:
            return Reply(str(error), 400)
        await server.collect()
        if server.flush_on_admin:
            server.flush()
        else:
            server.refresh_stats()
        rendered = render(server.services.stats, wanted)
        return Reply(RenderedBody(rendered.pieces), content_type=rendered.content_type)

    async def stats(query: Query) -> Reply:
        return await answer(query, prometheus=False)

    async def prometheus(query: Query) -> Reply:
        return await answer(query, prometheus=True)

    async def reset_counters(_: Query) -> Reply:
        await server.collect()  # what workers have counted until now is to be reset, too
        server.services.stats.reset_counters()
        return Reply("OK\n")

    return (
        Endpoint(
            "/stats",
            "print server stats",
            stats,
            params=(
                _USED,
                _FILTER,
                _INVERT,
                Param("format", "Format to use", ("html", "active-html", "text", "json")),
                Param("type", "Stat types to include.", ("All", "Counters", "Histograms", "Gauges", "TextReadouts")),
                Param(
                    "histogram_buckets",
                    "Histogram bucket display mode",
                    ("cumulative", "disjoint", "detailed", "summary"),
                ),
            ),
            group="Stats",
        ),
        Endpoint(
            "/stats/prometheus",
            "print server stats in prometheus format",
            prometheus,
            params=(
                _USED,
                Param(
                    "text_readouts",
                    "Render text_readouts as new gaugues with value 0 (increases Prometheus data size)",
                    flag=True,
                ),
                _FILTER,
                _INVERT,
                Param("histogram_buckets", "Histogram bucket display mode", ("cumulative", "summary")),
            ),
            group="Stats",
        ),
        Endpoint("/reset_counters", "reset all counters to zero", reset_counters, mutates=True, group="Stats"),
    )
