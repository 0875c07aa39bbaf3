"""Upgrades and CONNECT over HTTP/2 (RFC 8441, RFC 9113 s8.5): what becomes of them between the two forms."""

import pytest

from tests.fakes import Pieces
from tests.http.h2.events import Reset
from tests.http.h2.fakes import serving
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.client_stream import tunnel_fields
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.http.options import CodecOptions
from trio_envoy.net.stream_info import UC, UF

EXTENDED = CodecOptions(http2=Http2Options(allow_connect=True))
UPGRADE = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
ASK = [(b":method", b"CONNECT"), (b":authority", b"a:80")]


def accepting(seen, status=101, fields=UPGRADE):
    async def answer(stream):
        seen.append(stream.request)
        await stream.respond(Response(status, Headers(fields), stream.request.body))

    return answer


async def talk(world, request, *pieces):
    """What comes back for these pieces, and the response."""
    stream = world.client.open()
    request.body = Pieces(*pieces)
    response = await stream.exchange(request, world.tasks, None)
    said = b""
    while data := await response.body.read():
        said += data
    stream.release()
    return response, said


async def test_an_upgrade_goes_through_as_an_extended_connect(http2, autojump_clock):
    seen = []
    async with http2.connected(accepting(seen), options=EXTENDED) as world:
        request = http2.a_request(path=b"/chat", fields=[(b"connection", b"Upgrade"), (b"upgrade", b"websocket")])
        request.protocol = b"websocket"

        response, said = await talk(world, request, b"abc", 1, b"def")

        assert (response.status, response.headers.items, said) == (101, UPGRADE, b"abcdef")
        assert (seen[0].method, seen[0].path, seen[0].protocol) == (b"GET", b"/chat", b"websocket")
        assert seen[0].headers.items == UPGRADE


async def test_a_refused_upgrade_stays_what_it_is(http2, autojump_clock):
    async with http2.connected(accepting([], 403, ()), options=EXTENDED) as world:
        request = http2.a_request()
        request.protocol = b"websocket"

        response, _ = await talk(world, request, b"abc")

        assert (response.status, response.headers.items) == (403, [])


async def test_connect_has_neither_scheme_nor_path(http2, autojump_clock):
    seen = []
    async with http2.connected(accepting(seen, 200, ())) as world:
        response, said = await talk(world, http2.a_request(b"CONNECT", b""), b"abc")

        assert (response.status, said) == (200, b"abc")
        assert (seen[0].method, seen[0].path, seen[0].protocol) == (b"CONNECT", b"", b"")


@pytest.mark.parametrize(
    ("protocol", "fields", "expected"),
    [
        (b"", [(b"x", b"y")], [*ASK, (b"x", b"y")]),
        (
            b"foo",
            [(b"connection", b"upgrade"), (b"upgrade", b"foo"), (b"http2-settings", b"x"), (b"content-length", b"0")],
            [*ASK, (b":scheme", b"http"), (b":path", b"/p"), (b":protocol", b"foo")],
        ),
        (
            b"foo",
            [(b"content-length", b"3")],
            [*ASK, (b":scheme", b"http"), (b":path", b"/p"), (b":protocol", b"foo"), (b"content-length", b"3")],
        ),
    ],
)
def test_fields_of_a_tunnel(protocol, fields, expected):
    method, path = (b"GET", b"/p") if protocol else (b"CONNECT", b"")
    request = Request(method, b"a:80", path, b"http", Headers(fields), protocol=protocol)

    assert tunnel_fields(request) == expected


@pytest.mark.parametrize(
    ("flag", "code"), [(UC, frames.CONNECT_ERROR), (UF, frames.CONNECT_ERROR), (0, frames.INTERNAL_ERROR)]
)
async def test_the_loss_of_the_other_end_is_told(http2, autojump_clock, flag, code):
    async def answer(stream):
        try:
            await stream.respond(Response(200, Headers(), Pieces(b"bye", UpstreamFailure("gone", flag))))
        except UpstreamFailure:
            stream.info.flags |= flag
            stream.reset()

    async with serving(http2, answer) as world:
        stream_id = await world.peer.ask(ASK, body=b"x")

        assert world.peer.of(stream_id)[-1] == Reset(stream_id, code)
