"""What the router answers itself; bodies, flags and details are measured on Envoy 1.40."""

import pytest

from trio_envoy.errors import UpstreamFailure
from trio_envoy.extensions.filters.http.router import replies
from trio_envoy.net.stream_info import UC, UF, UH, UO, UPE, UT
from trio_envoy.upstream.context import NoHealthyUpstream

BEFORE = b"upstream connect error or disconnect/reset before headers. "
REFUSED = UpstreamFailure(
    "remote connection failure", UF, transport="delayed connect error: Connection refused", sent=False
)


@pytest.mark.parametrize(
    ("failure", "attempts", "status", "text", "details"),
    [
        (NoHealthyUpstream(), 1, 503, b"no healthy upstream", "no_healthy_upstream"),
        (
            REFUSED,
            1,
            503,
            BEFORE + b"reset reason: remote connection failure",
            "upstream_reset_before_response_started"
            "{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
        (
            UpstreamFailure("connection termination", UC),
            2,
            503,
            BEFORE + b"retried and the latest reset reason: connection termination",
            "upstream_reset_before_response_started{connection_termination}",
        ),
        (
            UpstreamFailure("protocol error", UPE),
            1,
            502,
            BEFORE + b"reset reason: protocol error",
            "upstream_reset_before_response_started{protocol_error}",
        ),
    ],
)
def test_failures_before_a_response(failure, attempts, status, text, details):
    reply = replies.failed(failure, attempts=attempts, late=False, suppress=False)

    assert (reply.status, reply.text, reply.details, reply.flag) == (status, text, details, failure.flag)
    assert reply.headers == ()


def test_after_a_1xx_a_response_had_begun():
    reply = replies.failed(UpstreamFailure("connection termination", UC), attempts=1, late=True, suppress=False)

    assert reply.details == "upstream_reset_after_response_started{connection_termination}"


@pytest.mark.parametrize(("suppress", "told"), [(False, ((b"x-envoy-overloaded", b"true"),)), (True, ())])
def test_an_overflow_is_told_unless_suppressed(suppress, told):
    failure = UpstreamFailure("overflow", UO, sent=False)

    assert replies.failed(failure, attempts=1, late=False, suppress=suppress).headers == told


def test_a_timeout_may_be_told_as_204():
    reply = replies.alternative(replies.TIMEOUT)

    assert (reply.status, reply.text, reply.details, reply.flag) == (204, b"", "response_timeout", UT)


@pytest.mark.parametrize("status", [503, 404, 500])
def test_a_cluster_that_is_not_there(status):
    assert replies.no_cluster(status).status == status


def test_no_host_has_its_flag():
    assert replies.failed(NoHealthyUpstream(), attempts=1, late=False, suppress=False).flag == UH
