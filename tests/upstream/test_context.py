from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.stream_info import UH
from trio_envoy.upstream.context import DEFAULT, HIGH, LbContext, NoHealthyUpstream


def test_a_context_begins_without_a_host():
    context = LbContext()

    assert (context.request, context.priority, context.host) == (None, DEFAULT, None)
    assert LbContext(priority=HIGH).priority == HIGH


def test_no_healthy_upstream_is_a_failure_before_anything_was_sent():
    failure = NoHealthyUpstream()

    assert isinstance(failure, UpstreamFailure)
    assert (str(failure), failure.flag, failure.sent, failure.started) == ("no healthy upstream", UH, False, False)
