"""What the fuzzer takes for a known difference: the difference itself, not only an input that could make it."""

import pytest

from tests.fuzz import known
from tests.fuzz.inputs import Input, Script
from tests.fuzz.origin import Seen
from tests.fuzz.outcome import Outcome

REFUSED = (502, "upstream_reset_before_response_started{protocol_error}")
PASSED_ON = "via_upstream"


def outcome(*log: tuple[int, str]) -> Outcome:
    """What is logged as these codes and details."""
    return Outcome([], "alive", [], [{"code": code, "details": details, "flags": "-"} for code, details in log])


def answered(data: bytes) -> Input:
    """A request that the origin answers so."""
    return Input("default", (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",), script=Script((data,)), method="GET")


@pytest.mark.parametrize(
    ("case", "envoy", "ours", "reason"),
    [
        (answered(b"HTTP/1.1 99 x\r\n\r\n"), (99, PASSED_ON), REFUSED, "a status that is not three digits"),
        (answered(b"HTTP/1.1 304\r\ncontent-length: x\r\n\r\n"), (304, PASSED_ON), REFUSED, "a 304 with"),
        (
            answered(b"HTTP/1.1 200\r\ntransfer-encoding: chunked\r\ntransfer-encoding:\r\n\r\n0\r\n\r\n"),
            (200, PASSED_ON),
            REFUSED,
            "two fields `transfer-encoding`",
        ),
        (
            Input("default", (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",)),
            (200, PASSED_ON),
            (400, "http1.codec_error"),
            "Bytes between the end of a chunk and its line end",
        ),
    ],
)
def test_a_known_difference_is_known_by_what_became_of_it(case, envoy, ours, reason):
    assert (known.explanation(case, outcome(envoy), outcome(ours)) or "").startswith(reason)
    assert known.explanation(case, outcome(ours), outcome(ours)) is None, "both refuse"
    assert known.explanation(case, outcome(ours), outcome(envoy)) is None, "Envoy alone refuses"
    assert known.explanation(case, outcome(ours, (200, PASSED_ON)), outcome(ours, (0, "other"))) is None, "what follows"


def test_a_101_is_known_by_the_connection_that_comes_after_it():
    envoy, ours, same = (outcome((101, PASSED_ON), (200, PASSED_ON)) for _ in range(3))
    for side, then in ((envoy, 1), (ours, 2), (same, 1)):
        side.seen += [Seen(1, b"GET /r HTTP/1.1", []), Seen(then, b"GET /after HTTP/1.1", [])]
    case = answered(b"HTTP/1.1 101 x\r\n\r\n")

    assert (known.explanation(case, envoy, ours) or "").startswith("A 101 that no request asked for")
    same.fate = "open"
    assert known.explanation(case, envoy, same) is None, "that is another difference"


def test_every_reason_stands_in_the_ledger():
    assert known.check() == []
