"""`python aiohttp_proxy.py port origin`: a reverse proxy as one writes it with aiohttp."""

import sys
from collections.abc import AsyncIterator

from aiohttp import ClientSession, TCPConnector, web

_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_PORT, _ORIGIN = int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}"
_SESSION = web.AppKey("session", ClientSession)


async def proxy(request: web.Request) -> web.StreamResponse:
    """Pass a request on, and its answer back, as they come."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
    body = request.content if request.can_read_body else None
    async with request.app[_SESSION].request(
        request.method, _ORIGIN + request.raw_path, headers=headers, data=body, allow_redirects=False
    ) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def session(app: web.Application) -> AsyncIterator[None]:
    """One pool of connections for all requests."""
    async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=False) as app[_SESSION]:
        yield


application = web.Application(client_max_size=0)
application.router.add_route("*", "/{path:.*}", proxy)
application.cleanup_ctx.append(session)
web.run_app(application, host="127.0.0.1", port=_PORT, access_log=None, print=None)
