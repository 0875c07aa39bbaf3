"""Upgrades and CONNECT in the router: what is held back, what a failed handshake gives, which timeouts run."""

import pytest
import trio

from tests.cancelling import at_every_checkpoint
from tests.extensions.filters.http.router.routed import TERMINATED, Routed, answer, retrying
from tests.fakes import Pieces, ScriptedStream
from trio_envoy.extensions.filters.http.router.tunnel import Payload
from trio_envoy.http.body import BytesBody
from trio_envoy.http.message import LocalReply
from trio_envoy.routing.entry import Tunnels
from trio_envoy.util.deadlines import Cause


def websocket(body=None, **fields):
    return {"upgrade": b"websocket", "body": body, "complete": False, **fields}


def accepted(body=None):
    return answer(101, [("upgrade", "websocket")], body or Pieces(5))


@pytest.mark.parametrize(
    ("fields", "script", "early"),
    [
        (websocket(), [1, *accepted()], b""),
        ({"upgrade": b"other", "complete": False}, [1, *accepted()], b"abc"),
        ({"method": b"CONNECT", "path": b"", "complete": False}, [1, *answer(200, body=Pieces(5))], b""),
    ],
)
async def test_a_payload_waits_until_the_upstream_has_accepted(autojump_clock, fields, script, early):
    routed = Routed(script)
    sent = []

    async def watch(_):
        await trio.sleep(0.5)
        sent.append(routed.cluster.sent[0][-1])

    await routed.run(then=watch, **{**fields, "body": Pieces(b"abc", 1, b"def")})

    assert sent == [early]
    assert routed.cluster.sent[0][-1] == b"abcdef"


@pytest.mark.parametrize(("status", "fails"), [(200, True), (204, True), (302, True), (400, False), (503, False)])
async def test_a_handshake_that_fails_gives_the_headers(autojump_clock, status, fails):
    fields = [("content-type", "text/html"), ("set-cookie", "a"), ("content-length", "2"), ("set-cookie", "b")]
    routed = Routed(answer(status, fields, b"no"))

    result = await routed.run(**websocket(Pieces(10)))

    assert isinstance(result, LocalReply) is fails
    assert result.status == status
    if fails:
        assert routed.info.details == "websocket_handshake_unsuccessful"
        assert result.headers == ((b"set-cookie", b"a"), (b"set-cookie", b"b"))
        assert routed.cluster.released == [True]
        assert f"upstream_rq_{status}" not in routed.counts
    else:
        assert routed.body == b"no"
        assert routed.counts[f"upstream_rq_{status}"] == 1


async def test_an_http2_upstream_may_answer_as_it_likes(autojump_clock, monkeypatch):
    monkeypatch.setattr(ScriptedStream, "protocol", "HTTP/2")
    routed = Routed(answer(201, body=b"ok"))

    result = await routed.run(**websocket(Pieces(b"abc", 10)))

    assert (result.status, routed.body, routed.info.details) == (201, b"ok", "via_upstream")


@pytest.mark.parametrize(
    ("fields", "script", "cause", "took"),
    [
        (websocket(Pieces(100)), [50], Cause.ROUTE_TIMEOUT, 2),
        (websocket(Pieces(100)), accepted(), None, 5),
        (websocket(Pieces(100)), [1, *answer(403, body=Pieces(9))], Cause.ROUTE_TIMEOUT, 2),
        ({**websocket(Pieces(20)), "upgrade": b"other"}, [15, *accepted()], None, 20),
        (websocket(Pieces(b"x")), [1, *answer(101, body=Pieces(4))], Cause.ROUTE_TIMEOUT, 3),
    ],
)
async def test_the_routes_timeout_runs_until_the_handshake_is_over(autojump_clock, fields, script, cause, took):
    routed = Routed(script, timeout=2.0)

    await routed.run(finish=False, **fields)

    assert routed.cause is cause
    assert routed.took == pytest.approx(took)


async def test_a_try_is_timed_though_the_request_has_no_end(autojump_clock):
    policy = retrying(num_retries=1, per_try_timeout=0.5)
    routed = Routed([50], accepted(), timeout=5.0, retry=policy)

    result = await routed.run(**websocket(Pieces(b"abc", 20)))

    assert result.status == 101
    assert routed.counts["upstream_rq_per_try_timeout"] == 1


async def test_what_was_held_back_goes_with_the_attempt_that_is_accepted(autojump_clock):
    routed = Routed(answer(503), [TERMINATED], accepted(), retry=retrying(num_retries=2))

    await routed.run(**websocket(Pieces(b"abc", 20)))

    assert [sent[-1] for sent in routed.cluster.sent] == [b"", b"", b"abc"]


async def test_a_request_timeout_ends_with_the_answer(autojump_clock):
    routed = Routed([1, *accepted()], timeout=None)

    async def arm(_):
        routed.stream.guard.arm(Cause.REQUEST, trio.current_time() + 2)

    await routed.run(then=arm, **websocket(Pieces(20)))

    assert routed.cause is None


@pytest.mark.parametrize(
    ("method", "upgrade", "terminated", "protocol"),
    [
        (b"CONNECT", b"", {b"CONNECT"}, "TCP"),
        (b"CONNECT", b"", (), "HTTP/1.1"),
        (b"POST", b"", {b"CONNECT", b"POST"}, "TCP"),
        (b"POST", b"", {b"CONNECT"}, "HTTP/1.1"),
        (b"GET", b"websocket", {b"CONNECT", b"POST"}, "HTTP/1.1"),
    ],
)
async def test_who_ends_a_connect(autojump_clock, method, upgrade, terminated, protocol):
    routed = Routed(accepted(), tunnels=Tunnels({}, frozenset(terminated)))

    await routed.run(method=method, upgrade=upgrade, body=Pieces(20), complete=False)

    assert routed.cluster.protocols == [protocol]


@pytest.mark.parametrize("policy", [None, retrying(num_retries=1)])
async def test_cancelled_anywhere_nothing_stays_taken(autojump_clock, policy):
    routed = None

    async def one():
        nonlocal routed
        scripts = [answer(503), accepted()] if policy else [accepted()]
        routed = Routed(*scripts, retry=policy)
        await routed.run(finish=False, **websocket(Pieces(b"abc", 1, b"def", 20)))

    def check():
        if routed.stream is not None:
            routed.complete("downstream_remote_disconnect")
        assert routed.at_rest

    assert await at_every_checkpoint(one, check) >= 4


async def test_the_end_of_a_payload_is_told(autojump_clock):
    ends = []
    payload = Payload(Pieces(b"abc", 1, b"def"), lambda: ends.append(1), held=True)
    assert payload.read_nowait() is None

    async with trio.open_nursery() as tasks:
        tasks.start_soon(trio.sleep, 1)
        payload.release()
        assert payload.read_nowait() == b"abc"
        assert await payload.read() == b"def"
        assert not ends
        assert await payload.read() == b""
    assert ends


async def test_an_empty_payload_is_no_wait(autojump_clock):
    payload = Payload(BytesBody(b""), list, held=True)
    payload.release()

    assert payload.read_nowait() == await payload.read() == b""
