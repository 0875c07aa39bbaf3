"""Retry policies."""

from random import Random

import pytest

from tests.messages import a_request, a_response, a_runtime, from_yaml
from trio_envoy.config.route_action import RetryPolicy as Config
from trio_envoy.errors import ConfigError
from trio_envoy.routing.retry import (
    RetryOn,
    RetryPolicy,
    compile_retry,
    for_request,
    is_retry_grpc_on,
    is_retry_on,
    parse_retry_on,
    whole_number,
)


def policy(text, **runtime):
    return compile_retry(from_yaml(text, Config), a_runtime(**runtime))


@pytest.mark.parametrize(
    ("retry_on", "retried", "left"),
    [
        ("5xx", [500, 502, 599], [404, 200, 600]),
        ("gateway-error", [502, 503, 504], [500, 505, 404]),
        ("retriable-4xx", [409], [400, 429, 500]),
        ("retriable-status-codes", [418], [500, 419]),
        ("connect-failure,reset,refused-stream", [], [500, 503]),
        ("foo, 5xx ,bar", [500], [400]),
        ("", [], [500]),
    ],
)
def test_statuses(retry_on, retried, left):
    tried = policy(f"{{retry_on: '{retry_on}', retriable_status_codes: [418]}}")

    assert [status for status in retried if not tried.wants_response(a_response(status))] == []
    assert [status for status in left if tried.wants_response(a_response(status))] == []


@pytest.mark.parametrize(
    ("retry_on", "fields", "expected"),
    [
        ("5xx", [("x-envoy-ratelimited", "true")], False),
        ("5xx,envoy-ratelimited", [("x-envoy-ratelimited", "true")], True),
        ("envoy-ratelimited", [], False),
        ("retriable-headers", [("x-again", "yes")], True),
        ("retriable-headers", [("x-again", "no")], False),
        ("5xx", [("x-again", "yes")], True),
        ("unavailable", [("grpc-status", "14")], True),
        ("unavailable", [("grpc-status", "13")], False),
        ("cancelled,deadline-exceeded,internal,resource-exhausted", [("grpc-status", "8")], True),
        ("internal", [("grpc-status", "13")], True),
    ],
)
def test_response_headers(retry_on, fields, expected):
    text = f"{{retry_on: '{retry_on}', retriable_headers: [{{name: x-again, string_match: {{exact: 'yes'}}}}]}}"
    status = 503 if "5xx" in retry_on or "ratelimited" in retry_on else 200

    assert policy(text).wants_response(a_response(status, *fields)) is expected


@pytest.mark.parametrize(
    ("retry_on", "reason", "sent", "expected"),
    [
        ("5xx", "connection termination", True, True),
        ("gateway-error", "remote reset", True, True),
        ("reset", "protocol error", True, True),
        ("reset", "overflow", False, False),
        ("5xx", "overload manager reset", False, False),
        ("reset-before-request", "connection termination", False, True),
        ("reset-before-request", "connection termination", True, False),
        ("connect-failure", "remote connection failure", False, True),
        ("connect-failure", "local connection failure", False, True),
        ("connect-failure", "connection timeout", False, True),
        ("connect-failure", "connection termination", False, False),
        ("refused-stream", "remote refused stream reset", True, True),
        ("refused-stream", "remote reset", True, False),
        ("retriable-4xx", "remote reset", True, False),
    ],
)
def test_resets(retry_on, reason, sent, expected):
    assert policy(f"{{retry_on: '{retry_on}'}}").wants_reset(reason, sent=sent) is expected


def test_defaults():
    plain = policy("{retry_on: 5xx}")

    assert (plain.num_retries, plain.per_try_timeout) == (1, None)
    assert (plain.base_interval, plain.max_interval) == (0.025, 0.25)
    assert policy("{retry_on: 5xx, num_retries: 0, per_try_timeout: 0.2s}").num_retries == 0
    assert policy("{retry_on: 5xx, per_try_timeout: 0.2s}").per_try_timeout == 0.2
    assert policy("{retry_on: 5xx, per_try_timeout: 0s}").per_try_timeout is None


def test_the_runtime_has_the_base_interval():
    tried = policy("{retry_on: 5xx}", upstream__base_retry_backoff_ms=100)

    assert (tried.base_interval, tried.max_interval) == (0.1, 1.0)


@pytest.mark.parametrize(
    ("back_off", "base", "longest"),
    [
        ("{base_interval: 0.1s}", 0.1, 1.0),
        ("{base_interval: 0.1s, max_interval: 0.3s}", 0.1, 0.3),
        ("{base_interval: 0.0001s, max_interval: 0.0005s}", 0.001, 0.001),
    ],
)
def test_back_off_intervals(back_off, base, longest):
    tried = policy(f"{{retry_on: 5xx, retry_back_off: {back_off}}}")

    assert (tried.base_interval, tried.max_interval) == (base, longest)


def test_waits_double_up_to_the_longest():
    tried = policy("{retry_on: 5xx, retry_back_off: {base_interval: 0.1s, max_interval: 0.5s}}")
    random = Random(1)
    longest = [max(tried.back_off(retry, random) for _ in range(2000)) for retry in (1, 2, 3, 4, 5000)]

    assert longest == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5], rel=0.01)
    assert min(tried.back_off(3, random) for _ in range(2000)) < 0.004


def test_a_longest_wait_below_the_first_is_refused():
    with pytest.raises(ConfigError, match=r"retry_policy\.max_interval must greater than or equal to the base_interv"):
        policy("{retry_on: 5xx, retry_back_off: {base_interval: 1s, max_interval: 0.5s}}")


def test_words():
    assert parse_retry_on("5xx,unavailable") == RetryOn.FIVE_XX | RetryOn.UNAVAILABLE
    assert parse_retry_on("http3-post-connect-failure") == RetryOn(0)


def test_a_request_without_wishes_has_the_routes_policy():
    tried = policy("{retry_on: 5xx}")

    assert for_request(tried, a_request("/")) is tried
    assert for_request(None, a_request("/")) is None


def test_a_request_may_ask_for_more():
    request = a_request(
        "/", ("x-envoy-retry-on", "reset, 5xx"), ("x-envoy-retry-grpc-on", "unavailable,nope"),
        ("x-envoy-max-retries", "7"), ("x-envoy-retriable-status-codes", "418, 419,x"),
        ("x-envoy-retriable-header-names", "X-Again, "), ("x-envoy-upstream-rq-per-try-timeout-ms", "250"),
        ("x-envoy-hedge-on-per-try-timeout", "true"), ("x-other", "1"),
    )  # fmt: skip

    tried = for_request(policy("{retry_on: 'retriable-headers', retriable_status_codes: [400]}"), request)

    assert tried.on == RetryOn.RESET | RetryOn.FIVE_XX | RetryOn.UNAVAILABLE | RetryOn.RETRIABLE_HEADERS
    assert (tried.num_retries, tried.per_try_timeout) == (7, 0.25)
    assert tried.status_codes == {400, 418, 419}
    assert tried.wants_response(a_response(200, ("x-again", "1")))
    assert not tried.wants_response(a_response(200))
    assert [name for name, _ in request.headers] == [b"x-other"]


@pytest.mark.parametrize(
    ("name", "value", "on", "retries", "per_try"),
    [
        ("x-envoy-retry-on", "5xx", RetryOn.FIVE_XX, 1, None),
        ("x-envoy-retry-grpc-on", "internal", RetryOn.INTERNAL, 1, None),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "5", RetryOn(0), 1, 0.005),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "0", RetryOn(0), 1, None),
    ],
)
def test_a_request_may_ask_where_the_route_has_no_policy(name, value, on, retries, per_try):
    tried = for_request(None, a_request("/", (name, value)))

    assert (tried.on, tried.num_retries, tried.per_try_timeout) == (on, retries, per_try)


def test_a_number_of_retries_alone_asks_for_none():
    request = a_request("/", ("x-envoy-max-retries", "3"))

    assert for_request(None, request) is None
    assert len(request.headers) == 0


def test_only_some_requests_may_be_retried():
    tried = policy("{retry_on: 5xx, per_try_timeout: 1s, retriable_request_headers: [{name: x-may}, {name: x-can}]}")

    assert for_request(tried, a_request("/", ("x-can", "1"))) is tried
    for request in (a_request("/"), a_request("/", ("x-envoy-retry-on", "reset"))):
        refused = for_request(tried, request)
        assert refused.on == RetryOn(0)
        assert refused.per_try_timeout == 1.0
        assert not refused.wants_reset("remote reset", sent=False)


def test_an_empty_policy_wants_nothing():
    assert not RetryPolicy().wants_reset("remote reset", sent=False)
    assert not RetryPolicy().wants_response(a_response(503))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"3", 3),
        (b" +003 ", 3),
        (b"18446744073709551615", (1 << 64) - 1),
        (b"18446744073709551616", None),
        (b"-1", None),
        (b"1.5", None),
        (b"", None),
        (None, None),
    ],
)
def test_numbers_of_fields_are_read_as_envoy_reads_them(value, number):
    assert whole_number(value) == number


@pytest.mark.parametrize(
    ("value", "http", "grpc"),
    [
        (b"5xx, reset", True, False),
        (b"cancelled,internal", False, True),
        (b"5xx,,", True, False),
        (b"", True, True),
        (b"nope", False, False),
    ],
)
def test_words_of_fields(value, http, grpc):
    assert (is_retry_on(value), is_retry_grpc_on(value)) == (http, grpc)
