"""Timeouts of a request; expectations are Envoy's finalTimeout and setTimeoutHeaders."""

import pytest

from tests.fakes import headers
from trio_envoy.extensions.filters.http.router.timing import Timing, asked_total, milliseconds, of_route, settled
from trio_envoy.routing.entry import ForwardAction
from trio_envoy.routing.retry import RetryPolicy

TIMEOUT, EXPECTED = "x-envoy-upstream-rq-timeout-ms", "x-envoy-expected-rq-timeout-ms"


@pytest.mark.parametrize(
    ("total", "per_try", "expected"),
    [
        (15.0, None, (15.0, None)),
        (None, None, (None, None)),
        (15.0, 3.0, (15.0, 3.0)),
        (15.0, 15.0, (15.0, None)),  # counts for nothing when the total is no longer
        (15.0, 20.0, (15.0, None)),
        (None, 20.0, (None, 20.0)),
    ],
)
def test_both_timeouts(total, per_try, expected):
    timing = settled(total, RetryPolicy(per_try_timeout=per_try))

    assert (timing.total, timing.per_try) == expected


def test_what_a_route_says():
    assert of_route(ForwardAction("c", timeout=2.0)).total == 2.0
    assert of_route(ForwardAction("c")).per_try is None


@pytest.mark.parametrize(
    ("total", "per_try", "elapsed", "told"),
    [
        (15.0, None, 0.0, b"15000"),
        (15.0, None, 0.0249, b"14976"),
        (15.0, None, 15.0, b"1"),  # 0 would be no timeout at all
        (15.0, None, 99.0, b"1"),
        (None, None, 0.0, None),
        (15.0, 3.0, 0.0, b"3000"),
        (15.0, 3.0, 13.0, b"2000"),
        (None, 3.0, 99.0, b"3000"),
        (0.07, None, 0.0, b"70"),
    ],
)
def test_what_the_upstream_is_told(total, per_try, elapsed, told):
    timing = Timing(total, per_try)

    assert timing.expected_header(elapsed) == told
    assert timing.expected == timing.expected_header(0.0)


@pytest.mark.parametrize(
    ("fields", "respect", "total"),
    [
        ({}, False, 15.0),
        ({TIMEOUT: "99"}, False, 0.099),
        ({TIMEOUT: "0"}, False, None),
        ({TIMEOUT: "soon"}, False, 15.0),
        ({TIMEOUT: "-1"}, False, 15.0),
        ({TIMEOUT: "9" * 20}, False, 15.0),
        ({TIMEOUT: "99", EXPECTED: "50"}, False, 0.099),
        ({TIMEOUT: "99", EXPECTED: "50"}, True, 0.050),
        ({TIMEOUT: "99", EXPECTED: "x"}, True, 0.099),
    ],
)
def test_what_a_client_asks_for(fields, respect, total):
    found = headers(fields)

    assert asked_total(15.0, found, respect_expected=respect) == total
    assert (TIMEOUT.encode() in found) is (total == 0.050)  # left alone where it was not looked at


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, b"0"), (-0.5, b"0"), (0.0129, b"12"), (0.9999, b"999"), (1.0, b"1000"), (75.5, b"75500")],
)
def test_milliseconds(seconds, told):
    assert milliseconds(seconds) == told
