"""How a response is written, and how a request's body is read."""

import pytest
from trio.testing import wait_all_tasks_blocked

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.net.stream_info import UPE

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def responding(make):
    async def answer(stream):
        await stream.respond(make())

    return answer


@pytest.mark.parametrize("taken", [True, False])
async def test_a_body_that_is_here_as_a_whole(autojump_clock, h1, taken):
    seen = []

    async def answer(stream):
        seen.append((stream.request_here, stream.request_complete, stream.info.bytes_received))
        if taken:
            body = stream.request.body
            seen.extend([body.read_nowait(), body.read_nowait(), await body.read(), body.trailers])
            seen.append((stream.request_here, stream.request_complete, stream.info.bytes_received))
            assert stream.info.request_end == stream.guard.activity
        await stream.respond(Response(200, Headers()))

    async with h1.serving(answer) as world:
        await world.peer.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd")

        said = b"" if taken else b"connection: close\r\n"  # an answer to what nobody has read is the last one
        assert await world.peer.receive() == b"HTTP/1.1 200 OK\r\n" + said + b"content-length: 0\r\n\r\n"
        before, after = (True, False, 0), (True, True, 4)
        assert seen == ([before, b"abcd", b"", b"", None, after] if taken else [before])


@pytest.mark.parametrize(
    ("chunks", "length", "reply"),
    [
        ([b"abcd", b""], 4, b"content-length: 4\r\n\r\nabcd"),
        ([b"ab", b"cd", b""], 4, b"content-length: 4\r\n\r\nabcd"),
        ([b"a", b"b", b"c", b"d", b""], 4, b"content-length: 4\r\n\r\nabcd"),
        ([b"ab", None, b"cd", b""], 4, b"content-length: 4\r\n\r\nabcd"),
        ([None, b"ab", b"cd", None, b""], 4, b"content-length: 4\r\n\r\nabcd"),
        ([b"abcd", b""], None, b"transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"),
        ([b""], None, b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ([None, b""], None, b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ([b"ab", b"c", b"d", b""], None, b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n"),
        ([b"ab", None, b"cd", b""], None, b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"),
    ],
)
async def test_bodies(autojump_clock, h1, chunks, length, reply):
    body = h1.SlowBody()

    def make():
        fields = [(b"content-length", b"%d" % length)] if length is not None else []
        return Response(200, Headers(fields), body)

    async with h1.serving(responding(make)) as world:
        await world.peer.send(GET)
        for chunk in chunks:
            if chunk is None:
                await wait_all_tasks_blocked()
                assert not world.handler.streams[0].finished
            else:
                body.put(chunk)
        await wait_all_tasks_blocked()

        assert await world.peer.receive() == b"HTTP/1.1 200 OK\r\n" + reply
        stream = world.handler.streams[0]
        assert stream.responded
        assert stream.finished
        assert stream.info.bytes_sent == sum(map(len, filter(None, chunks)))
        assert stream.info.wire_bytes_sent == len(b"HTTP/1.1 200 OK\r\n" + reply)


async def test_what_is_here_rides_with_the_head(autojump_clock, h1):
    sent = []
    async with h1.serving() as world:
        send = world.channel.send
        world.channel.send = lambda data: (sent.append(bytes(data)), send(data))[1]
        await world.peer.send(GET)

    assert sent == [b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /x "]


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize("late", [False, True])
async def test_trailers(autojump_clock, h1, trailers, late):
    body = h1.SlowBody(trailers=Headers([(b"x-t", b"1")]))

    async with h1.serving(responding(lambda: Response(200, Headers(), body)), http1={"trailers": trailers}) as world:
        if not late:
            body.put(b"a")
            body.put(b"")
        await world.peer.send(GET)
        body.put(b"a")
        body.put(b"")

        end = b"0\r\nx-t: 1\r\n\r\n" if trailers else b"0\r\n\r\n"
        assert (await world.peer.receive_until(end)).endswith(b"1\r\na\r\n" + end)


@pytest.mark.parametrize(("trailers", "seen"), [(False, b""), (True, b" [(b'x-t', b'1')]")])
async def test_trailers_of_the_request(autojump_clock, h1, trailers, seen):
    async with h1.serving(http1={"trailers": trailers}) as world:
        await world.peer.send(CHUNKED + b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n")

        assert (await world.peer.receive()).endswith(b"\r\n\r\nPOST /x a" + seen)


async def test_head_gets_no_body(autojump_clock, h1):
    async with h1.serving(responding(lambda: h1.a_response(200, b"abcd"))) as world:
        await world.peer.send(GET.replace(b"GET", b"HEAD") * 2)

        head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
        assert await world.peer.receive() == head * 2


async def test_a_changed_method_does_not_change_the_framing(autojump_clock, h1):
    async def answer(stream):
        stream.request.method = b"GET"
        await stream.respond(h1.a_response(200, b"abcd"))

    async with h1.serving(answer) as world:
        await world.peer.send(GET.replace(b"GET", b"HEAD"))

        assert (await world.peer.receive()).endswith(b"\r\n\r\n")


async def test_an_upstream_that_breaks_off_reaches_the_handler(autojump_clock, h1):
    failures = []
    body = h1.SlowBody()

    async def answer(stream):
        try:
            await stream.respond(Response(200, Headers(), body))
        except UpstreamFailure as failure:
            failures.append(failure)
            stream.reset()

    async with h1.serving(answer) as world:
        await world.peer.send(GET)
        body.put(b"a")
        body.put(UpstreamFailure("protocol error", UPE))

        assert (await world.peer.receive_all()).endswith(b"1\r\na\r\n")
        await world.done.wait()
    assert len(failures) == 1
    assert not world.handler.streams[0].finished


async def test_a_client_that_does_not_read_holds_the_body_back(autojump_clock, h1):
    body = h1.SlowBody()
    async with h1.serving(responding(lambda: Response(200, Headers(), body)), limit_bytes=100) as world:
        await world.peer.send(GET)
        for _ in range(50):
            body.put(b"x" * 50)
        await wait_all_tasks_blocked()

        assert body.reads <= 2

        body.put(b"")
        assert (await world.peer.receive_until(b"0\r\n\r\n")).count(b"x") == 2500


async def test_a_client_that_resets_breaks_the_response(autojump_clock, h1):
    errors = []
    body = h1.SlowBody()

    async def answer(stream):
        try:
            await stream.respond(Response(200, Headers(), body))
        except OSError as error:
            errors.append(error)
            stream.reset()

    async with h1.serving(answer, limit_bytes=100) as world:
        await world.peer.send(GET)
        body.put(b"x" * 500)
        await wait_all_tasks_blocked()
        world.peer.channel.reset()
        await world.done.wait()

    assert len(errors) == 1 or world.handler.interruptions


async def test_a_broken_request_body(autojump_clock, h1):
    details = []

    async def read(stream):
        with pytest.raises(RemoteProtocolError):
            stream.request.body.read_nowait()
        try:
            await stream.request.body.read()
        except RemoteProtocolError as error:
            details.append(error.details)
        await stream.respond(h1.a_response(400))

    async with h1.serving(read) as world:
        await world.peer.send(CHUNKED + b"2\r\nab\r\nzz\r\n")

        assert b"connection: close" in await world.peer.receive()
    assert details == ["http1.codec_error"]


async def test_read_nowait_takes_what_is_here(autojump_clock, h1):
    async def read(stream):
        body = stream.request.body
        assert body.read_nowait() == b"ab"
        assert body.read_nowait() is None
        assert not stream.request_complete
        assert await body.read() == b"cd"
        assert body.read_nowait() == b""
        assert await body.read() == b""
        assert stream.request_complete
        await stream.respond(h1.a_response(200, b"ok"))

    async with h1.serving(read) as world:
        await world.peer.send(CHUNKED + b"2\r\nab\r\n")
        await world.peer.send(b"2\r\ncd\r\n0\r\n\r\n")

        assert await world.peer.receive() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        assert world.handler.streams[0].info.bytes_received == 4
        assert world.handler.streams[0].info.wire_bytes_received == len(CHUNKED) + 19


async def test_informational_responses(autojump_clock, h1):
    async def inform(stream):
        await stream.inform(103, Headers([(b"link", b"a")]))
        await stream.inform(100, Headers())
        await stream.respond(h1.a_response(200))
        await stream.inform(100, Headers())

    async with h1.serving(inform, proxy_100_continue=True) as world:
        await world.peer.send(GET)

        hint = b"HTTP/1.1 103 Unknown\r\nlink: a\r\n\r\n"
        assert await world.peer.receive() == hint + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        assert world.handler.streams[0].info.header_bytes_sent == 9 + 19


async def test_informational_responses_in_http10(autojump_clock, h1):
    async def inform(stream):
        await stream.inform(103, Headers([(b"link", b"a")]))
        await stream.respond(h1.a_response(200))

    async with h1.serving(inform, proxy_100_continue=True, http1={"accept_http_10": True}) as world:
        await world.peer.send(b"GET /x HTTP/1.0\r\n\r\n")

        assert (await world.peer.receive()).startswith(b"HTTP/1.0 103 Unknown\r\nlink: a\r\n\r\nHTTP/1.0 200 OK\r\n")


async def test_informational_responses_that_nobody_wants(autojump_clock, h1):
    async def inform(stream):
        await stream.inform(103, Headers([(b"link", b"a")]))
        await stream.respond(h1.a_response(200))

    async with h1.serving(inform) as world:
        await world.peer.send(GET)

        assert b"103" not in await world.peer.receive()


async def test_close_after_says_so(autojump_clock, h1):
    async def answer(stream):
        stream.close_after()
        await stream.respond(h1.a_response(200))

    async with h1.serving(answer) as world:
        await world.peer.send(GET)

        assert await world.peer.receive_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def test_proper_case(autojump_clock, h1):
    async with h1.serving(http1={"proper_case": True}) as world:
        await world.peer.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        assert b"\r\nContent-Length: 7\r\nConnection: close\r\n" in await world.peer.receive()


@pytest.mark.parametrize("step", range(3))
async def test_cancelled_at_every_wait(autojump_clock, h1, step):
    """Reading the body, waiting for the response's body, sending to a full client: the channel is closed, no more."""
    body = h1.SlowBody()

    async def answer(stream):
        while await stream.request.body.read():
            pass
        await stream.respond(Response(200, Headers(), body))

    async with h1.serving(answer, limit_bytes=300) as world:
        actions = [
            lambda: world.peer.send(CHUNKED + b"1\r\na\r\n"),
            lambda: world.peer.send(b"0\r\n\r\n"),
        ]
        for action in actions[: step + 1]:
            await action()
        if step >= 2:
            body.put(b"x" * 1000)
        await wait_all_tasks_blocked()
        world.nursery.cancel_scope.cancel()
    assert world.channel.closed


async def test_many_chunks_both_ways(autojump_clock, h1):
    body = h1.SlowBody()

    async def answer(stream):
        total = 0
        while data := await stream.request.body.read():
            total += len(data)
        assert total == 20
        await stream.respond(Response(200, Headers(), body))

    async with h1.serving(answer) as world:
        await world.peer.send(CHUNKED)
        for _ in range(20):
            await world.peer.send(b"1\r\na\r\n")
        await world.peer.send(b"0\r\n\r\n")
        for _ in range(20):
            body.put(b"b")
        body.put(b"")

        assert (await world.peer.receive_until(b"0\r\n\r\n")).count(b"1\r\nb\r\n") == 20


async def test_a_client_that_takes_the_head_in_parts(autojump_clock, h1):
    async with h1.serving(responding(lambda: h1.a_response(200, b"x" * 500)), limit_bytes=100) as world:
        await world.peer.send(GET)

        assert (await world.peer.receive_until(b"x" * 20)).startswith(b"HTTP/1.1 200 OK\r\n")
