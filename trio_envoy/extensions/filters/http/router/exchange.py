"""One request on its way through a cluster: attempts, pauses between them, what is told and counted.

The order of header changes is Envoy's (measured): x-envoy-expected-rq-timeout-ms, x-envoy-attempt-count, the route's
operators, its rewrites; in the response x-envoy-upstream-service-time, then the route's operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.config.core import RoutingPriority
from trio_envoy.errors import UpstreamFailure
from trio_envoy.extensions.filters.http.router import replies, timing
from trio_envoy.extensions.filters.http.router.timing import settled
from trio_envoy.extensions.filters.http.router.upload import Upload
from trio_envoy.hcm.local_reply import finalize_response
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.stream_info import LR, URX
from trio_envoy.routing import retry, rewrite
from trio_envoy.routing.entry import ForwardAction, Route
from trio_envoy.routing.retry import RetryPolicy, for_request
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.context import DEFAULT, HIGH, LbContext
from trio_envoy.util.deadlines import Cause

if TYPE_CHECKING:
    from trio_envoy.extensions.filters.http.router import RouterFilter

_HIGH: Final = RoutingPriority.HIGH
_EXPECTED: Final = b"x-envoy-expected-rq-timeout-ms"
_ATTEMPT_COUNT: Final = b"x-envoy-attempt-count"
_SERVICE_TIME: Final = b"x-envoy-upstream-service-time"
_ALTERNATIVE: Final = b"x-envoy-upstream-rq-timeout-alt-response"
_STEERING: Final = frozenset({*timing.CONTROLS, *retry.CONTROLS, _ALTERNATIVE})  # by which a request sets its limits
_ROUTE_TIMEOUT: Final = Cause.ROUTE_TIMEOUT


class _PerTryTimeout(UpstreamFailure):
    """An attempt took longer than per_try_timeout; for retries it is a local reset."""

    def __init__(self) -> None:
        super().__init__("local reset", LR)


class Exchange:
    """The life of one request in the router."""

    __slots__ = (
        "_action",
        "_attempts",
        "_charged",
        "_cluster",
        "_context",
        "_policy",
        "_retries_left",
        "_retrying",
        "_route",
        "_router",
        "_stream",
        "_timing",
        "_up",
        "_upload",
    )

    def __init__(
        self, router: RouterFilter, stream: HttpStream, route: Route, action: ForwardAction, cluster: Cluster
    ) -> None:
        self._router = router
        self._stream = stream
        stream.timeout_reply = replies.TIMEOUT
        self._route = route
        self._action = action
        self._cluster = cluster
        self._context = LbContext(stream.request, HIGH if action.priority is _HIGH else DEFAULT)
        self._timing = router.timing(action)
        self._policy: RetryPolicy | None = action.retry
        self._retries_left = 0
        self._retrying = False
        self._upload: Upload | None = None
        self._up: ClientStream | None = None
        self._attempts = 0
        self._charged = False

    async def run(self) -> Response | LocalReply:
        """Try until there is an answer.

        Cancelled: the upstream stream is reset; a fired ROUTE_TIMEOUT has been counted.
        """
        self._prepare()
        per_try = self._timing.per_try
        answer: Response | LocalReply | None
        while True:
            self._attempts += 1
            self._stream.info.upstream_attempts = self._attempts
            try:
                response = await (self._exchange() if per_try is None else self._exchange_within(per_try))
            except UpstreamFailure as failure:
                answer = self._failed(failure)
            except trio.Cancelled:
                self._cut_short()
                raise
            else:
                answer = self._responded(response)
            if answer is not None:
                return answer
            await self._pause()

    def _prepare(self) -> None:
        """All that comes before the first attempt."""
        stream, route, action, tell = self._stream, self._route, self._action, self._router.tell
        request = stream.request
        headers = request.headers
        if self._policy is not None or not _STEERING.isdisjoint(headers.first):
            self._steer()
        if tell and self._timing.expected is not None:
            headers.set(_EXPECTED, self._timing.expected)
        if route.virtual_host.include_request_attempt_count:
            headers.set(_ATTEMPT_COUNT, b"1")
        stream.info.original_path = request.path
        route.finalize_request(request, stream, keep_original=tell)
        if action.idle_timeout is not None:
            self._arm_idle(action.idle_timeout)
        if request.body is None:
            self._request_sent()
        else:
            limit = self._body_limit() if self._policy is not None else 0
            self._upload = Upload(request.body, limit, self._request_sent, self._abandon_retries)
        stream.on_complete.append(self._completed)

    def _steer(self) -> None:
        """Take what the request itself says of timeouts and retries."""
        stream, action = self._stream, self._action
        request = stream.request
        total = self._router.steered(request, action)
        policy = self._policy = for_request(action.retry, request)
        if total is not action.timeout or policy is not action.retry:
            self._timing = settled(total, policy)
        if policy is not None:
            self._retries_left = policy.num_retries
        if request.headers.remove(_ALTERNATIVE):
            stream.timeout_reply = replies.alternative(replies.TIMEOUT)

    def _body_limit(self) -> int:
        limit = self._route.body_buffer_limit
        return self._router.buffer_limit if limit is None else limit

    def _arm_idle(self, timeout: float) -> None:
        if timeout:
            self._stream.guard.arm_idle(timeout)
        else:
            self._stream.guard.disarm(Cause.STREAM_IDLE)

    def _request_sent(self) -> None:
        """The request is complete: the route's timeout runs."""
        now = trio.current_time()
        self._stream.info.request_end = now
        if self._timing.total is not None:
            self._stream.guard.arm(_ROUTE_TIMEOUT, now + self._timing.total)

    def _abandon_retries(self) -> None:
        """The body has outgrown what may be kept."""
        self._retries_left = 0
        self._cluster.stats.retry_or_shadow_abandoned += 1

    async def _exchange(self) -> Response:
        stream, context, action = self._stream, self._context, self._action
        info, request = stream.info, stream.request
        try:
            up = self._up = await self._cluster.open(context, info.protocol)
        finally:
            info.upstream_host = context.host
        up.info = info
        info.upstream_connection = up.connection
        info.upstream_protocol = up.protocol
        if action.auto_host_rewrite and context.host is not None and context.host.hostname:
            rewrite.set_host(
                request,
                context.host.hostname.encode(),
                keep_original=self._router.tell,
                append_forwarded=action.append_x_forwarded_host,
            )
        if self._upload is not None:
            request.body = self._upload.begin()
        return await up.exchange(request, stream.tasks, stream.codec.inform)

    async def _exchange_within(self, seconds: float) -> Response:
        with trio.move_on_after(seconds):
            return await self._exchange()
        self._cluster.stats.upstream_rq_per_try_timeout += 1
        if self._context.host is not None:
            self._context.host.rq_timeout += 1
        raise _PerTryTimeout

    def _release(self) -> None:
        up, self._up = self._up, None
        if up is not None:
            up.release()

    def _failed(self, failure: UpstreamFailure) -> LocalReply | None:
        """No response headers came."""
        info, cluster = self._stream.info, self._cluster
        self._release()
        info.upstream_transport_failure = failure.transport
        policy = self._policy
        if policy is not None and policy.wants_reset(failure.reason, sent=failure.sent) and self._may_retry():
            return None
        if isinstance(failure, _PerTryTimeout):
            reply = replies.PER_TRY_TIMEOUT
        else:
            reply = replies.failed(failure, attempts=self._attempts, suppress=not self._router.tell)
        if self._router.count_codes:
            cluster.charge_response(self._context.host, reply.status, internal=info.internal)
        return reply

    def _responded(self, response: Response) -> Response | None:
        """Response headers are here."""
        stream, router, route, cluster = self._stream, self._router, self._route, self._cluster
        info = stream.info
        headers = response.headers
        policy = self._policy
        if policy is not None and policy.wants_response(response) and self._may_retry():
            if router.count_codes:
                cluster.charge_retry(response.status)
            self._release()
            return None
        if self._retrying:
            cluster.stats.upstream_rq_retry_success += response.status < 500
        if self._upload is not None:
            self._upload.stop_keeping()
        info.details = "via_upstream"
        if router.tell:
            waited = info.upstream_first_byte_received - info.request_end
            if waited == waited:
                headers.set(_SERVICE_TIME, b"%d" % (waited * 1000 if waited > 0.0 else 0))
        if router.count_codes:
            canary = headers.first.get(b"x-envoy-upstream-canary") == b"true"
            cluster.charge_response(self._context.host, response.status, internal=info.internal, canary=canary)
            self._charged = True
        if b"x-envoy-immediate-health-check-fail" in headers.first and self._context.host is not None:
            cluster.fail_health(self._context.host)
        stream.response = response
        if route.response_headers is not None or route.virtual_host.include_attempt_count_in_response:
            finalize_response(stream, headers)
        return response

    def _may_retry(self) -> bool:
        """Whether limits allow one more attempt; counts why not."""
        stats = self._cluster.stats
        if self._upload is not None and not self._upload.repeatable:
            return False
        if self._retries_left <= 0:
            stats.upstream_rq_retry_limit_exceeded += 1
            self._stream.info.flags |= URX
            return False
        retries = self._cluster.breakers[self._context.priority].retries
        if not self._retrying:
            if not retries.free:
                stats.upstream_rq_retry_overflow += 1
                return False
            retries.take()
            self._retrying = True
        self._retries_left -= 1
        stats.upstream_rq_retry += 1
        return True

    async def _pause(self) -> None:
        """Wait as the back-off says, then prepare the next attempt."""
        policy, stream = self._policy, self._stream
        assert policy is not None, "only a policy asks for another attempt"
        self._cluster.stats.upstream_rq_retry_backoff_exponential += 1
        await trio.sleep(policy.back_off(self._attempts, self._router.random))
        headers = stream.request.headers
        if self._router.tell:
            ended = stream.info.request_end
            elapsed = trio.current_time() - ended if ended == ended else 0.0
            expected = self._timing.expected_header(elapsed)
            if expected is not None:
                headers.set(_EXPECTED, expected)
        if self._route.virtual_host.include_request_attempt_count:
            headers.set(_ATTEMPT_COUNT, b"%d" % (self._attempts + 1))

    def _cut_short(self) -> None:
        """Cancelled before response headers: by the route's timeout, or because nobody waits any more."""
        host, cluster = self._context.host, self._cluster
        if self._stream.guard.fired is _ROUTE_TIMEOUT:
            self._timed_out()
            reply = self._stream.timeout_reply
            if self._router.count_codes and reply is not None:
                cluster.charge_response(host, reply.status, internal=self._stream.info.internal)
        self._release()

    def _timed_out(self) -> None:
        self._cluster.stats.upstream_rq_timeout += 1
        if self._context.host is not None:
            self._context.host.rq_timeout += 1

    def _completed(self) -> None:
        """The stream is over, well or badly."""
        if self._charged:
            self._charge_end(self._stream.info.end)
        self._release()
        if self._retrying:
            self._cluster.breakers[self._context.priority].retries.give()

    def _charge_end(self, end: float) -> None:
        """The response had begun: count how long it took, or why it broke off."""
        info = self._stream.info
        if self._stream.guard.fired is _ROUTE_TIMEOUT:
            self._timed_out()
        if info.details != "via_upstream":
            self._router.stats.rq_reset_after_downstream_response_started += 1
            return
        ended = info.request_end
        started = ended if ended == ended else info.start
        self._cluster.charge_time(self._context.host, (end - started) * 1000, internal=info.internal)
