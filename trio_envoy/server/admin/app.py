"""The admin interface: a small HTTP endpoint on trio streams, under our own HTTP/1 codec and connection manager.

As in Envoy it is an HTTP connection manager like any other (stats `http.admin.`, access log, headers), whose terminal
filter looks the path up in a table. Source: Envoy, operations/admin; formats measured on 1.40.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from trio_envoy.hcm.filter import TerminalFilter
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.body import read_all
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.server.admin import (
    certs,
    clusters,
    config_dump,
    info,
    lifecycle,
    listeners,
    logging,
    page,
    runtime,
    stats,
)
from trio_envoy.server.admin.endpoint import Query, Reply, parse_query
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.server.server import Server

_LOG: Final = logger("admin")
_MAX_FORM_BYTES: Final = 64 * 1024
_PARTS: Final = (certs, clusters, config_dump, info, lifecycle, listeners, logging, page, runtime, stats)


class AdminApp(TerminalFilter):
    """The table of endpoints, as the terminal filter of the admin's connection manager."""

    def __init__(self, server: Server, allowed: Callable[[str], bool]) -> None:
        """Collect the endpoints.

        Args:
            server: what they look at.
            allowed: Admin.allow_paths.
        """
        found = [endpoint for part in _PARTS for endpoint in part.endpoints(server, self)]
        self.endpoints = tuple(sorted(found, key=lambda endpoint: endpoint.path))
        self._by_path = {endpoint.path: endpoint for endpoint in self.endpoints}
        self._allowed = allowed

    async def answer(self, stream: HttpStream) -> Response | LocalReply:
        request = stream.request
        form = b""
        if request.body is not None:
            data = await read_all(request.body, _MAX_FORM_BYTES)
            if data is None:
                return LocalReply(413, b"Payload Too Large", details="request_payload_too_large")
            if (request.headers.get(b"content-type") or b"").startswith(b"application/x-www-form-urlencoded"):
                form = data
        stream.info.details = "admin_filter_response"
        query = parse_query(request.path, request.method.decode("latin-1"), form)
        if request.headers.get(b"sec-fetch-site") == b"cross-site" and self.mutates(query.path):
            reply = Reply("a page of another site may not do this", 403)
        else:
            reply = await self.reply(query)
        headers = Headers(
            [
                (b"content-type", reply.content_type.encode()),
                (b"cache-control", b"no-cache, max-age=0"),
                (b"x-content-type-options", b"nosniff"),
                *reply.headers,
            ]
        )
        return Response(reply.status, headers, None if request.method == b"HEAD" else reply.body)

    def mutates(self, path: str) -> bool:
        """Whether this endpoint changes something; a page of another site must not make a browser call it."""
        endpoint = self._by_path.get(path)
        return endpoint is not None and endpoint.mutates

    async def reply(self, query: Query) -> Reply:
        """Answer one query. A fault of an endpoint is answered 500 and logged; it harms nobody else."""
        if not self._allowed(query.path):
            return Reply(f"request to path {query.path} not allowed", 403)
        endpoint = self._by_path.get(query.path)
        if endpoint is None:
            return Reply("invalid path. " + self.help_text(), 404)
        if endpoint.mutates and query.method != "POST":
            _LOG.error('admin path "%s" mutates state, method=%s rather than POST', query.path, query.method)
            return Reply(f"Method {query.method} not allowed, POST required.", 405)
        try:
            reply: Reply = await endpoint.handler(query)
        except Exception:
            _LOG.exception("admin endpoint %s met a bug", query.path)
            return Reply("internal error; see the log\n", 500)
        return reply

    def help_text(self) -> str:
        """The text of /help."""
        lines = ["admin commands are:"]
        for endpoint in self.endpoints:
            post = " (POST)" if endpoint.mutates else ""
            lines.append(f"  {endpoint.path}{post}: {endpoint.help}")
            for param in endpoint.params:
                one_of = f"; One of ({', '.join(param.choices)})" if param.choices else ""
                lines.append(f"      {param.name}: {param.help}{one_of}")
        return "\n".join(lines) + "\n"
