"""Retries: when, how often, with which pauses, and what is sent again."""

from random import Random

import pytest
import trio

from tests.extensions.filters.http.router.routed import (
    OVERFLOW,
    REFUSED,
    TERMINATED,
    Routed,
    answer,
    retrying,
    with_retry_limit,
)
from tests.fakes import Pieces
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.net.address import IpAddress
from trio_envoy.routing.entry import VirtualHost
from trio_envoy.routing.retry import RetryOn
from trio_envoy.upstream.context import NoHealthyUpstream
from trio_envoy.upstream.host import Host
from trio_envoy.util.deadlines import Cause

EXPECTED = b"x-envoy-expected-rq-timeout-ms"


def retries_of(routed):
    """Counters about retries that are not 0."""
    return {name: value for name, value in routed.counts.items() if "retry" in name}


async def test_another_try_gives_the_answer(autojump_clock):
    routed = Routed(answer(503), answer(200), retry=retrying())

    response = await routed.run(path=b"/p")

    assert response.status == 200
    assert [sent[2] for sent in routed.cluster.sent] == [b"/p", b"/p"]
    assert routed.said == (200, "-", "via_upstream")
    assert routed.of_host == (1, 1, 0)
    assert retries_of(routed) == {
        "upstream_rq_retry": 1,
        "upstream_rq_retry_success": 1,
        "upstream_rq_retry_backoff_exponential": 1,
        "retry.upstream_rq_503": 1,
        "retry.upstream_rq_5xx": 1,
        "retry.upstream_rq_completed": 1,
    }
    assert routed.counts["upstream_rq_completed"] == 1
    assert routed.at_rest


async def test_the_last_answer_is_passed_on_when_the_limit_is_reached(autojump_clock):
    routed = Routed(*[answer(503)] * 2, answer(502, {"x": "last"}), retry=retrying(num_retries=2))

    response = await routed.run()

    assert (response.status, response.headers.get(b"x")) == (502, b"last")
    assert routed.said == (502, "URX", "via_upstream")
    assert (routed.counts["upstream_rq_retry"], routed.counts["upstream_rq_retry_limit_exceeded"]) == (2, 1)
    assert "upstream_rq_retry_success" not in routed.counts
    assert routed.of_host == (0, 3, 0)


async def test_without_retries_left_from_the_start(autojump_clock):
    routed = Routed(answer(503), retry=retrying(num_retries=0))

    await routed.run()

    assert routed.said == (503, "URX", "via_upstream")


async def test_a_connection_that_fails(autojump_clock):
    routed = Routed(REFUSED, answer(), retry=retrying(RetryOn.CONNECT_FAILURE))

    await routed.run()

    assert routed.said == (200, "-", "via_upstream")
    assert routed.info.upstream_transport_failure == ""
    assert routed.of_host == (1, 1, 0)


async def test_a_connection_that_keeps_failing(autojump_clock):
    routed = Routed(REFUSED, REFUSED, retry=retrying(RetryOn.CONNECT_FAILURE))

    reply = await routed.run()

    assert reply.text.endswith(b"retried and the latest reset reason: remote connection failure")
    assert routed.said[1] == "URX,UF"
    assert routed.info.upstream_attempts == 2
    assert routed.of_host == (0, 2, 0)
    assert routed.at_rest


@pytest.mark.parametrize("failure", [OVERFLOW, NoHealthyUpstream()])
async def test_what_another_try_would_not_help(failure, autojump_clock):
    routed = Routed(failure, answer(), retry=retrying(RetryOn.CONNECT_FAILURE | RetryOn.RETRIABLE_4XX))

    assert (await routed.run()).status == 503
    assert "upstream_rq_retry" not in routed.counts


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (answer(500), (500, "-", "via_upstream")),
        ([TERMINATED], (503, "UC", "upstream_reset_before_response_started{connection_termination}")),
    ],
)
async def test_whatever_the_policy_does_not_want_counts_as_a_success_of_the_retry(last, said, autojump_clock):
    routed = Routed(answer(503), last, retry=retrying(RetryOn.RETRIABLE_STATUS_CODES, status_codes=frozenset({503})))

    await routed.run()

    assert routed.said == said
    assert routed.counts["upstream_rq_retry_success"] == 1


async def test_the_pauses_are_jittered_and_double(autojump_clock):
    """Half of 1, 2, 4, 8, 10, 10 seconds."""
    routed = Routed(*[answer(503)] * 6, answer(), retry=retrying(num_retries=6), timeout=None)

    await routed.run()

    assert routed.took == pytest.approx((1 + 2 + 4 + 8 + 10 + 10) / 2)
    assert routed.counts["upstream_rq_retry_backoff_exponential"] == 6


async def test_the_pauses_of_a_seeded_run(autojump_clock):
    routed = Routed(*[answer(503)] * 3, answer(), retry=retrying(num_retries=3))
    routed.router.random = Random(42)
    again = Random(42)

    await routed.run()

    assert routed.took == pytest.approx(sum(again.random() * 2**n for n in range(3)))


async def test_the_routes_timeout_runs_over_all_tries_and_pauses(autojump_clock):
    routed = Routed([1, *answer(503)], [1, *answer(503)], [1e6], retry=retrying(num_retries=5), timeout=4.0)

    await routed.run(finish=False)

    assert routed.cause is Cause.ROUTE_TIMEOUT
    assert routed.took == pytest.approx(4)
    assert [sent[3][EXPECTED] for sent in routed.cluster.sent] == [b"4000", b"2500", b"500"]


async def test_a_timeout_in_a_pause_is_nobodys_fault(autojump_clock):
    routed = Routed(answer(503), retry=retrying(base_interval=100.0, max_interval=100.0), timeout=4.0)

    await routed.run(finish=False)
    routed.complete("response_timeout")

    assert routed.took == pytest.approx(4)
    assert "upstream_rq_timeout" not in routed.counts
    assert "upstream_rq_completed" not in routed.counts
    assert routed.of_host == (0, 1, 0)
    assert routed.at_rest


async def test_a_timeout_of_one_try_is_a_reset(autojump_clock):
    routed = Routed([1e6], answer(), retry=retrying(per_try_timeout=2.0))

    await routed.run()

    assert routed.took == pytest.approx(2.5)
    assert routed.said == (200, "-", "via_upstream")
    assert routed.of_host == (1, 1, 1)


async def test_two_such_timeouts(autojump_clock):
    routed = Routed([1e6], [1e6], retry=retrying(per_try_timeout=2.0))

    await routed.run()

    assert routed.said == (504, "URX,UT", "upstream_per_try_timeout")
    assert routed.counts["upstream_rq_per_try_timeout"] == 2
    assert routed.of_host == (0, 2, 2)
    assert routed.at_rest


async def test_max_stream_duration_is_of_each_try(autojump_clock):
    options = {"common_http_protocol_options": HttpProtocolOptions(max_stream_duration=2.0)}
    routed = Routed([1e6], [1e6], retry=retrying(RetryOn.RESET), cluster=options)

    await routed.run()

    assert routed.took == pytest.approx(4.5)
    assert routed.said == (504, "URX,UMSDR", "upstream_max_stream_duration_reached")
    assert routed.counts["upstream_rq_max_duration_reached"] == 2
    assert routed.of_host == (0, 1, 0)


async def test_the_upstream_is_told_of_the_try(autojump_clock):
    host = VirtualHost("v", include_request_attempt_count=True, include_is_timeout_retry_header=True)
    routed = Routed([1e6], answer(503), answer(), host=host, retry=retrying(num_retries=2, per_try_timeout=2.0))

    await routed.run()

    told = [
        (sent[3].get(b"x-envoy-attempt-count"), sent[3].get(b"x-envoy-is-timeout-retry"), sent[3][EXPECTED])
        for sent in routed.cluster.sent
    ]
    assert told == [(b"1", None, b"2000"), (b"2", b"true", b"2000"), (b"3", b"false", b"2000")]


async def test_headers_of_the_request_ask_for_retries(autojump_clock):
    fields = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "2"}
    routed = Routed(answer(503), answer(503), answer())

    assert (await routed.run(fields=fields)).status == 200
    assert set(routed.cluster.sent[0][3]) == {EXPECTED}


@pytest.mark.parametrize(("body", "unread"), [(None, False), (b"no", True)])
async def test_a_body_that_is_not_wanted_is_not_read(body, unread, autojump_clock):
    routed = Routed(answer(503, body=body), answer(), retry=retrying())

    await routed.run()

    assert routed.cluster.released == [unread, False]


async def test_no_more_retries_at_a_time_than_the_breaker_allows(autojump_clock):
    routed = Routed(answer(503), retry=retrying(), cluster={"circuit_breakers": with_retry_limit(0)})

    await routed.run()

    assert routed.said == (503, "UO", "via_upstream")
    assert routed.counts["upstream_rq_retry_overflow"] == 1


async def test_a_request_takes_one_place_for_all_its_retries(autojump_clock):
    routed = Routed(
        *[answer(503)] * 3,
        answer(200, body=Pieces(1, b"x")),
        retry=retrying(num_retries=3),
        cluster={"circuit_breakers": with_retry_limit(1)},
    )
    taken = []

    async def then(routed):
        while True:
            await trio.sleep(0.2)
            taken.append(routed.cluster.breakers[0].retries.count)

    await routed.run(then=then, finish=False)

    assert set(taken) == {1}
    routed.complete()
    assert routed.at_rest


async def test_the_body_is_sent_again(autojump_clock):
    routed = Routed([3, *answer(503)], answer(), retry=retrying())

    await routed.run(method=b"POST", body=Pieces(b"a", 1, b"b"))

    assert [sent[4] for sent in routed.cluster.sent] == [b"ab", b"ab"]


async def test_a_body_that_was_half_sent_goes_on_from_there(autojump_clock):
    routed = Routed([0.5, *answer(503)], [5, *answer()], retry=retrying())

    await routed.run(method=b"POST", body=Pieces(b"a", 2, b"b"))

    assert [sent[4] for sent in routed.cluster.sent] == [b"a", b"ab"]


async def test_a_body_over_the_limit_is_sent_once(autojump_clock):
    routed = Routed([3, *answer(503)], answer(), retry=retrying(), route={"body_buffer_limit": 3})

    await routed.run(method=b"POST", body=Pieces(b"ab", 1, b"cd"))

    assert routed.said == (503, "-", "via_upstream")
    assert [sent[4] for sent in routed.cluster.sent] == [b"abcd"]
    assert retries_of(routed) == {"retry_or_shadow_abandoned": 1}


async def test_the_listeners_limit_holds_where_the_route_says_nothing(autojump_clock):
    routed = Routed([3, *answer(503)], retry=retrying())
    routed.router.buffer_limit = 3

    await routed.run(method=b"POST", body=Pieces(b"abcd", 1))

    assert routed.said[0] == 503
    assert routed.counts["retry_or_shadow_abandoned"] == 1


async def test_once_headers_are_here_there_is_no_other_try(autojump_clock):
    routed = Routed(answer(200, body=Pieces(b"a", TERMINATED)), answer(), retry=retrying(RetryOn.RESET))

    await routed.run()

    assert len(routed.cluster.sent) == 1
    assert routed.body == b"a"
    assert "upstream_rq_retry" not in routed.counts


async def test_a_host_that_fails_its_health_check_by_header_does_so_for_a_retried_answer_too(autojump_clock):
    failed = []
    routed = Routed(answer(503, {"x-envoy-immediate-health-check-fail": "1"}), answer(), retry=retrying())
    routed.cluster.fail_health = failed.append

    await routed.run()

    assert failed == [routed.cluster.host]


async def test_the_hosts_that_were_tried_are_known(autojump_clock):
    other = Host(IpAddress("10.0.0.2", 80))
    scripts = [answer(503), other, answer(503), answer(503), other, answer()]
    routed = Routed(*scripts, retry=retrying(num_retries=3))

    await routed.run()

    assert routed.info.hosts_attempted == (routed.cluster.host, other)
    assert routed.info.upstream_host is other


async def test_nothing_is_told_or_counted_by_code_where_that_is_off(autojump_clock):
    config = Router(suppress_envoy_headers=True, dynamic_stats=False)
    routed = Routed(answer(503), [(103, {}), TERMINATED], retry=retrying(), config=config)

    await routed.run()

    assert [sent[3] for sent in routed.cluster.sent] == [{}, {}]
    assert not {name for name in routed.counts if "503" in name or "103" in name}
    assert routed.of_host == (0, 2, 0)
