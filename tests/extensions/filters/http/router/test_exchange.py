"""One request through the router: what is sent, told and counted; its timeouts are in test_exchange_timeouts.py."""

import pytest
import trio

from tests.cancelling import at_every_checkpoint
from tests.extensions.filters.http.router.routed import OVERFLOW, REFUSED, TERMINATED, Routed, answer, retrying
from tests.fakes import HOST, Pieces, counted, headers
from trio_envoy.config.core import RoutingPriority
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.net.stream_info import UPE
from trio_envoy.routing.entry import VirtualHost
from trio_envoy.upstream.context import HIGH, NoHealthyUpstream
from trio_envoy.upstream.host import Host

EXPECTED = b"x-envoy-expected-rq-timeout-ms"
SERVICE_TIME = b"x-envoy-upstream-service-time"
GRPC = {"content-type": "application/grpc"}


async def test_a_request_goes_up_and_its_answer_comes_down(autojump_clock):
    routed = Routed([0.25, *answer(200, {"x": "y"}, Pieces(1, b"hi"))])

    response = await routed.run(fields={"a": "b"})

    assert routed.cluster.sent == [[b"GET", b"a.com", b"/", {b"a": b"b", EXPECTED: b"15000"}, b""]]
    assert list(response.headers) == [(b"x", b"y"), (SERVICE_TIME, b"250")]
    assert routed.body == b"hi"
    assert routed.said == (200, "-", "via_upstream")
    assert routed.of_host == (1, 0, 0)
    assert routed.at_rest
    counts = routed.counts
    assert (counts["upstream_rq_200"], counts["external.upstream_rq_200"], counts["upstream_rq_completed"]) == (1, 1, 1)
    assert routed.cluster.released == [False]


async def test_a_connection_that_is_there_is_taken_at_once(autojump_clock):
    routed = Routed(answer(200))
    routed.cluster.idle = True

    await routed.run()

    assert routed.said == (200, "-", "via_upstream")
    assert routed.info.upstream_host is routed.cluster.host
    assert routed.at_rest


async def test_what_the_log_can_tell(autojump_clock):
    routed = Routed(answer())

    await routed.run(path=b"/p")

    info = routed.info
    assert (info.upstream_host, info.hosts_attempted) == (routed.cluster.host, (routed.cluster.host,))
    assert (info.upstream_protocol, info.upstream_attempts, info.original_path) == ("HTTP/1.1", 1, b"/p")
    assert info.upstream_connection.remote == HOST


@pytest.mark.parametrize("internal", [True, False])
async def test_the_time_it_took_is_recorded_from_the_end_of_the_request(internal, autojump_clock):
    routed = Routed([2.0, *answer(200, body=Pieces(0.5, b"x"))])
    recorded = []
    routed.cluster.charge_time = lambda *what: recorded.append(what)

    async def then(routed):
        await trio.testing.wait_all_tasks_blocked()
        routed.info.internal = internal

    await routed.run(then=then, body=Pieces(1, b"abc"), method=b"POST")

    assert recorded == [(routed.cluster.host, pytest.approx(1500), internal, False)]


async def test_suppressed_headers(autojump_clock):
    routed = Routed(answer(), config=Router(suppress_envoy_headers=True))

    response = await routed.run()

    assert routed.cluster.sent[0][3] == {}
    assert SERVICE_TIME not in response.headers


async def test_without_dynamic_stats_nothing_is_counted_by_code(autojump_clock):
    routed = Routed(answer(), config=Router(dynamic_stats=False))

    await routed.run()

    assert "upstream_rq_200" not in routed.counts


async def test_health_checks_are_not_counted_by_code(autojump_clock):
    routed = Routed(answer())
    routed.router.answer = health_check_first(routed.router.answer)

    await routed.run()

    assert "upstream_rq_200" not in routed.counts


def health_check_first(answer):
    async def answered(stream):
        stream.info.health_check = True
        return await answer(stream)

    return answered


@pytest.mark.parametrize(("priority", "index"), [(RoutingPriority.DEFAULT, 0), (RoutingPriority.HIGH, HIGH)])
async def test_the_route_settles_the_priority(priority, index, autojump_clock):
    routed = Routed(answer(), priority=priority)

    await routed.run()

    assert routed.cluster.priorities == [index]


async def test_the_number_of_attempts_is_told_both_ways(autojump_clock):
    host = VirtualHost("v", include_request_attempt_count=True, include_attempt_count_in_response=True)
    routed = Routed(answer(), host=host)

    response = await routed.run()

    assert routed.cluster.sent[0][3][b"x-envoy-attempt-count"] == b"1"
    assert response.headers.get(b"x-envoy-attempt-count") == b"1"


class Status:
    """Response header operations that tell %RESPONSE_CODE%."""

    def apply(self, headers, context):
        headers.set(b"x-code", b"%d" % context.info.status)


async def test_headers_of_the_route_know_the_status(autojump_clock):
    routed = Routed(answer(201), route={"response_headers": Status()})

    assert (await routed.run()).headers.get(b"x-code") == b"201"


@pytest.mark.parametrize(
    ("hostname", "append", "authority", "forwarded"),
    [
        ("up.example", False, b"up.example", None),
        ("up.example", True, b"up.example", b"a.com"),
        ("", True, b"a.com", None),
    ],
)
async def test_auto_host_rewrite(hostname, append, authority, forwarded, autojump_clock):
    routed = Routed(answer(), auto_host_rewrite=True, append_x_forwarded_host=append)
    routed.cluster.host = Host(HOST, hostname=hostname)

    await routed.run()

    assert routed.cluster.sent[0][1] == authority
    assert routed.cluster.sent[0][3].get(b"x-forwarded-host") == forwarded


async def test_a_host_that_says_so_is_out(autojump_clock):
    failed = []
    routed = Routed(answer(200, {"x-envoy-immediate-health-check-fail": "1"}))
    routed.cluster.fail_health = failed.append

    await routed.run()

    assert failed == [routed.cluster.host]


async def test_canaries_are_counted_apart(autojump_clock):
    routed = Routed(answer(200, {"x-envoy-upstream-canary": "true"}))

    await routed.run()

    assert routed.counts["canary.upstream_rq_200"] == 1
    assert "cluster.c.canary.upstream_rq_time" in {name for name, _, _ in routed.services.stats}


@pytest.mark.parametrize(
    ("script", "config", "counts"),
    [
        (answer(), Router(), {"200": 1, "2xx": 1, "completed": 1}),
        ([TERMINATED], Router(), {"503": 1, "5xx": 1, "completed": 1}),
        (answer(), Router(dynamic_stats=False), {}),
    ],
)
async def test_a_client_may_want_its_own_name_in_the_stats(script, config, counts, autojump_clock):
    routed = Routed(script, config=config)

    await routed.run(fields={"x-envoy-upstream-alt-stat-name": "mine"})

    assert set(routed.cluster.sent[0][3]) == {EXPECTED}
    for prefix in ("cluster.c.mine.", "cluster.c.mine.external."):
        found = counted(routed.services, prefix)
        assert {n.removeprefix("upstream_rq_"): v for n, v in found.items() if not n.startswith("ext")} == counts


async def test_a_body_goes_up_while_we_wait(autojump_clock):
    routed = Routed([5, *answer()])

    response = await routed.run(method=b"POST", body=Pieces(b"a", 1, b"b"))

    assert routed.cluster.sent[0][4] == b"ab"
    assert response.headers.get(SERVICE_TIME) == b"4000"  # from the end of the request


async def test_an_answer_before_the_end_of_the_request_has_no_service_time(autojump_clock):
    routed = Routed(answer(413))

    response = await routed.run(method=b"POST", body=Pieces(b"a", 1e6, b"b"))

    assert SERVICE_TIME not in response.headers
    assert routed.counts["upstream_rq_413"] == 1


async def test_a_fault_of_the_clients_is_not_the_routers_to_answer(autojump_clock):
    routed = Routed([RemoteProtocolError("http1.codec_error")])

    with pytest.raises(ExceptionGroup) as caught:
        await routed.run()

    assert caught.group_contains(RemoteProtocolError)


@pytest.mark.parametrize(
    ("failure", "said", "of_host", "code"),
    [
        (
            REFUSED,
            (503, "UF", "upstream_reset_before_response_started{remote_connection_failure|refused}"),
            (0, 1, 0),
            "503",
        ),
        (OVERFLOW, (503, "UO", "upstream_reset_before_response_started{overflow}"), (0, 1, 0), "503"),
        (NoHealthyUpstream(), (503, "UH", "no_healthy_upstream"), (0, 0, 0), "503"),
        ([TERMINATED], (503, "UC", "upstream_reset_before_response_started{connection_termination}"), (0, 1, 0), "503"),
        (
            [UpstreamFailure("protocol error", UPE)],
            (502, "UPE", "upstream_reset_before_response_started{protocol_error}"),
            (0, 1, 0),
            "502",
        ),
    ],
)
async def test_failures(failure, said, of_host, code, autojump_clock):
    routed = Routed(failure)

    await routed.run()

    assert routed.said == said
    assert routed.of_host == of_host
    assert routed.counts[f"upstream_rq_{code}"] == 1
    assert routed.at_rest


async def test_a_connection_that_failed_is_in_the_log_but_no_host_was_tried(autojump_clock):
    routed = Routed(REFUSED)

    await routed.run()

    assert routed.info.upstream_host is routed.cluster.host
    assert routed.info.hosts_attempted == ()
    assert routed.info.upstream_transport_failure == "refused"


@pytest.mark.parametrize(
    ("script", "of_host"),
    [
        (answer(200, {"grpc-status": "0"}), (1, 0, 0)),
        (answer(200, {"grpc-status": "5"}), (1, 0, 0)),
        (answer(200, {"grpc-status": "14"}), (0, 1, 0)),
        (answer(200), (0, 1, 0)),
        (answer(503), (0, 1, 0)),
        (answer(200, body=Pieces(b"a", trailers=None)), (0, 1, 0)),
    ],
)
async def test_a_grpc_host_is_judged_by_the_status_of_the_call(script, of_host, autojump_clock):
    routed = Routed(script)

    await routed.run(fields=GRPC)

    assert routed.of_host == of_host


@pytest.mark.parametrize(("status", "of_host"), [(b"0", (1, 0, 0)), (b"13", (0, 1, 0))])
async def test_or_by_its_trailers(status, of_host, autojump_clock):
    routed = Routed(answer(200, body=Pieces(b"a", trailers=headers({b"grpc-status": status}))))

    await routed.run(fields=GRPC)

    assert routed.of_host == of_host


async def test_a_grpc_response_that_breaks_off_is_an_error_of_the_host(autojump_clock):
    routed = Routed(answer(200, body=Pieces(b"a", TERMINATED)))

    await routed.run(fields=GRPC)

    assert routed.of_host == (0, 1, 0)
    assert routed.router.stats.rq_reset_after_downstream_response_started == 1


async def test_any_other_that_breaks_off_was_a_success(autojump_clock):
    routed = Routed(answer(200, body=Pieces(b"a", TERMINATED)))

    await routed.run()

    assert routed.of_host == (1, 0, 0)
    assert routed.router.stats.rq_reset_after_downstream_response_started == 0


async def test_the_first_informational_response_counts_and_is_passed_on(autojump_clock):
    routed = Routed([(103, {"link": "x"}), (103, {}), *answer()])

    await routed.run()

    assert routed.stream.codec.informed == [(103, [(b"link", b"x")])]
    assert (routed.counts["upstream_rq_103"], routed.counts["upstream_rq_completed"]) == (1, 2)
    assert routed.of_host == (1, 0, 0)


async def test_one_that_nobody_wants_counts_all_the_same(autojump_clock):
    routed = Routed([0.5, (100, {}), *answer()])

    async def then(routed):
        routed.stream.inform = None

    await routed.run(then=then)

    assert routed.counts["upstream_rq_100"] == 1


async def test_one_that_nobody_knows_is_dropped(autojump_clock):
    routed = Routed([(105, {}), *answer()])

    await routed.run()

    assert routed.stream.codec.informed == []
    assert routed.counts["upstream_rq_completed"] == 1


@pytest.mark.parametrize("policy", [None, "retries"])
async def test_cancelled_anywhere_nothing_stays_taken(policy, autojump_clock):
    """The client leaves at any moment: connecting, waiting, in a pause, while the body comes."""
    routed = None

    async def one():
        nonlocal routed
        retry = retrying(num_retries=2) if policy else None
        failing = [answer(503), REFUSED] if policy else []
        routed = Routed(*failing, 0.5, [0.5, *answer(200, body=Pieces(b"a", 1, b"b"))], retry=retry)
        await routed.run(method=b"POST", body=Pieces(b"x", 0.1, b"y"), finish=False)

    def check():
        if routed.stream is not None and routed.stream.on_complete:
            routed.complete("downstream_remote_disconnect")
        assert routed.at_rest

    cuts = await at_every_checkpoint(one, check)

    assert cuts >= (9 if policy else 5)


@pytest.mark.parametrize(("wanted", "scheme"), [(False, b"https"), (True, b"http")])
async def test_a_request_may_take_the_scheme_of_the_transport(wanted, scheme, autojump_clock):
    routed = Routed(answer())
    routed.router.upstream_scheme = wanted

    await routed.run(scheme=b"https")

    assert routed.stream.request.scheme == scheme
