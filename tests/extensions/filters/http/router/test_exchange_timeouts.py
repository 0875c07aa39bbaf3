"""Timeouts of a request, of its tries and of its stream, in virtual time."""

import pytest
import trio

from tests.extensions.filters.http.router.routed import Routed, answer
from tests.fakes import Pieces
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.util.deadlines import Cause

TIMEOUT = "x-envoy-upstream-rq-timeout-ms"
PER_TRY = "x-envoy-upstream-rq-per-try-timeout-ms"
ALTERNATIVE = "x-envoy-upstream-rq-timeout-alt-response"
EXPECTED = b"x-envoy-expected-rq-timeout-ms"


def with_duration(seconds):
    """A cluster with max_stream_duration."""
    return {"common_http_protocol_options": HttpProtocolOptions(max_stream_duration=seconds)}


async def test_the_routes_timeout(autojump_clock):
    routed = Routed([1e6], timeout=2.0)

    await routed.run(finish=False)

    assert routed.cause is Cause.ROUTE_TIMEOUT
    assert routed.took == pytest.approx(2)
    assert (routed.stream.timeout_reply.status, routed.stream.timeout_reply.details) == (504, "response_timeout")
    assert routed.counts["upstream_rq_timeout"] == routed.counts["upstream_rq_504"] == 1
    assert routed.of_host == (0, 1, 1)
    routed.complete("response_timeout")
    assert routed.counts["upstream_rq_timeout"] == 1
    assert routed.at_rest


async def test_it_runs_from_the_end_of_the_request(autojump_clock):
    routed = Routed([1e6], timeout=2.0)

    await routed.run(method=b"POST", body=Pieces(3, b"abc"), finish=False)

    assert routed.took == pytest.approx(5)


async def test_while_it_connects_nobody_is_to_blame(autojump_clock):
    routed = Routed(1e6, answer(), timeout=2.0)

    await routed.run(finish=False)

    assert routed.counts["upstream_rq_504"] == routed.counts["upstream_rq_timeout"] == 1
    assert routed.of_host == (0, 0, 0)


async def test_a_short_body_is_complete_before_there_is_a_connection(autojump_clock):
    routed = Routed(1e6, answer(), timeout=2.0)

    await routed.run(method=b"POST", body=Pieces(b"abc"), finish=False)

    assert routed.took == pytest.approx(2)


async def test_without_a_timeout_it_may_take_long(autojump_clock):
    routed = Routed([10_000, *answer()], timeout=None)

    assert (await routed.run()).status == 200
    assert EXPECTED not in routed.cluster.sent[0][3]


async def test_a_timeout_while_the_response_comes(autojump_clock):
    routed = Routed(answer(200, body=Pieces(b"a", 1e6)), timeout=2.0)

    await routed.run(finish=False)
    routed.complete("response_timeout")

    assert routed.cause is Cause.ROUTE_TIMEOUT
    assert routed.counts["upstream_rq_timeout"] == routed.counts["upstream_rq_200"] == 1
    assert routed.of_host == (1, 0, 1)
    assert routed.at_rest


async def test_a_client_asks_for_another_timeout_and_another_answer(autojump_clock):
    routed = Routed([1e6])

    await routed.run(fields={TIMEOUT: "500", ALTERNATIVE: "1"}, finish=False)

    assert routed.took == pytest.approx(0.5)
    assert routed.cluster.sent[0][3] == {EXPECTED: b"500"}
    assert routed.stream.timeout_reply.status == 204
    assert routed.counts["upstream_rq_204"] == 1
    assert routed.of_host == (0, 1, 1)


async def test_the_timeout_of_a_sidecar_is_respected_on_demand(autojump_clock):
    routed = Routed([1e6], config=Router(respect_expected_rq_timeout=True))

    await routed.run(fields={EXPECTED: b"700"}, finish=False)

    assert routed.took == pytest.approx(0.7)


async def test_a_timeout_of_one_try_begins_with_its_connection(autojump_clock):
    routed = Routed(3.0, [1e6])

    await routed.run(fields={PER_TRY: "500"})

    assert routed.took == pytest.approx(3.5)
    assert routed.said == (504, "UT", "upstream_per_try_timeout")
    assert routed.counts["upstream_rq_per_try_timeout"] == routed.counts["upstream_rq_504"] == 1
    assert routed.of_host == (0, 1, 1)
    assert routed.at_rest


async def test_and_with_the_end_of_the_request(autojump_clock):
    routed = Routed([1e6])

    await routed.run(fields={PER_TRY: "500"}, method=b"POST", body=Pieces(2, b"abc"))

    assert routed.took == pytest.approx(2.5)


async def test_it_ends_with_the_response_headers(autojump_clock):
    routed = Routed(answer(200, body=Pieces(9, b"late")))

    await routed.run(fields={PER_TRY: "500"})

    assert (routed.result.status, routed.body) == (200, b"late")


async def test_its_answer_may_be_204_too(autojump_clock):
    routed = Routed([1e6])

    await routed.run(fields={PER_TRY: "500", ALTERNATIVE: "1"})

    assert routed.said == (204, "UT", "upstream_per_try_timeout")


@pytest.mark.parametrize(("body", "status"), [(None, 504), (Pieces(b"a", 1e6), 408)])
async def test_max_stream_duration_of_the_cluster(body, status, autojump_clock):
    routed = Routed(1.0, [1e6], cluster=with_duration(2.0))

    await routed.run(body=body)

    assert routed.took == pytest.approx(3)
    assert routed.said == (status, "UMSDR", "upstream_max_stream_duration_reached")
    assert routed.counts["upstream_rq_max_duration_reached"] == 1
    assert "upstream_rq_completed" not in routed.counts
    assert routed.of_host == (0, 0, 0)
    assert routed.at_rest


async def test_it_holds_for_the_body_of_the_response(autojump_clock):
    routed = Routed([1, *answer(200, body=Pieces(b"a", 1e6))], cluster=with_duration(3.0))

    await routed.run(finish=False)
    routed.complete("upstream_max_stream_duration_reached")

    assert routed.cause is Cause.UPSTREAM_DURATION
    assert routed.took == pytest.approx(3)
    assert routed.counts["upstream_rq_max_duration_reached"] == 1
    assert routed.of_host == (1, 0, 0)


async def test_the_shorter_limit_counts(autojump_clock):
    routed = Routed([1e6], cluster=with_duration(2.0))

    await routed.run(fields={PER_TRY: "500"})

    assert routed.said[2] == "upstream_per_try_timeout"


@pytest.mark.parametrize(("seconds", "cause"), [(3.0, Cause.STREAM_IDLE), (0.0, None)])
async def test_a_route_has_its_own_idle_timeout(seconds, cause, autojump_clock):
    routed = Routed([100, *answer()], timeout=None, idle_timeout=seconds)

    async def activity(routed):
        routed.stream.guard.activity = trio.current_time()

    await routed.run(then=activity, finish=False)

    assert routed.cause is cause
