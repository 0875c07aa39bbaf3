"""One request on its way through a cluster: attempts, pauses between them, what is told and counted.

The order of header changes is Envoy's (measured): x-envoy-expected-rq-timeout-ms, x-envoy-attempt-count, the route's
operators, its rewrites; in the response x-envoy-upstream-service-time, then the route's operators.

Rules:
1. The route's timeout runs from the end of the request, over all attempts and pauses, to the end of the response; the
   guard of the stream keeps it. The limits of one attempt run from when it has a connection: per_try_timeout, once the
   request is complete, to the response headers; the cluster's max_stream_duration to the end of the response.
2. What is counted, and for whom, is Envoy's: a code for the cluster when an answer is given, a success or an error for
   the host for each attempt that ended by itself.
"""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.config.core import RoutingPriority
from trio_envoy.errors import UpstreamFailure
from trio_envoy.extensions.filters.http.router import replies, timing
from trio_envoy.extensions.filters.http.router.timing import Limited, settled
from trio_envoy.extensions.filters.http.router.upload import Upload, pulled
from trio_envoy.hcm.local_reply import finalize_response
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http import grpc
from trio_envoy.http.body import Body, BytesBody
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.stream_info import UO, URX
from trio_envoy.routing import retry, rewrite
from trio_envoy.routing.entry import ForwardAction, Route
from trio_envoy.routing.retry import RetryPolicy, for_request
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.context import DEFAULT, HIGH, LbContext, Source
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.responses import ResponseCounts
from trio_envoy.util.deadlines import Cause

if TYPE_CHECKING:
    from trio_envoy.extensions.filters.http.router import RouterFilter

_HIGH: Final = RoutingPriority.HIGH
_EXPECTED: Final = b"x-envoy-expected-rq-timeout-ms"
_ATTEMPT_COUNT: Final = b"x-envoy-attempt-count"
_IS_TIMEOUT_RETRY: Final = b"x-envoy-is-timeout-retry"
_SERVICE_TIME: Final = b"x-envoy-upstream-service-time"
_FAIL_HEALTH: Final = b"x-envoy-immediate-health-check-fail"
_ALTERNATIVE: Final = b"x-envoy-upstream-rq-timeout-alt-response"
_OTHER_NAME: Final = b"x-envoy-upstream-alt-stat-name"
# By which a request sets its limits, and how it is counted.
_STEERING: Final = frozenset({*timing.CONTROLS, *retry.CONTROLS, _ALTERNATIVE, _OTHER_NAME})
_INFORMATIONAL: Final = frozenset({100, 102, 103, 104})  # what Envoy knows of 1xx
_ROUTE_TIMEOUT: Final = int(Cause.ROUTE_TIMEOUT)
_UPSTREAM_DURATION: Final = Cause.UPSTREAM_DURATION
_NO_TRAILERS: Final = Headers()


class Exchange(LbContext):
    """The life of one request in the router; to balancers and pools it is what they know of each attempt."""

    timed_at_once = False  # per_try_timeout does not wait for the end of the request

    __slots__ = (
        "_action",
        "_attempt_scope",
        "_attempts",
        "_canary",
        "_charged",
        "_cluster",
        "_complete_at",
        "_count_codes",
        "_counts_too",
        "_grpc_body",
        "_informed",
        "_limited",
        "_policy",
        "_retries_left",
        "_retrying",
        "_route",
        "_router",
        "_source",
        "_stream",
        "_stream_ends",
        "_timed_out_before",
        "_timing",
        "_up",
        "_upload",
    )

    def __init__(
        self, router: RouterFilter, stream: HttpStream, route: Route, action: ForwardAction, cluster: Cluster
    ) -> None:
        self.request = stream.request
        self.priority = HIGH if action.priority is _HIGH else DEFAULT
        self.host = None
        self._router = router
        self._stream = stream
        stream.timeout_reply = replies.TIMEOUT
        self._route = route
        self._action = action
        self._cluster = cluster
        self._source: Source = cluster  # of streams
        self._count_codes = router.count_codes and not stream.info.health_check
        self._timing = router.timings.get(action) or router.timing(action)
        self._policy: RetryPolicy | None = action.retry
        self._retries_left = 0
        self._retrying = False  # there was a retry, and its place in the breaker is taken
        self._timed_out_before = False  # the attempt before met per_try_timeout
        self._upload: Upload | None = None
        self._up: ClientStream | None = None
        self._attempts = 0
        self._attempt_scope: trio.CancelScope | None = None
        self._stream_ends = inf  # trio time: max_stream_duration of the attempt
        self._complete_at = nan  # trio time: end of the request
        self._informed = False  # an informational response came
        self._canary = False  # the upstream says that it is one
        self._counts_too: ResponseCounts | None = None  # responses count there, too
        self._charged = False  # a response of the upstream is on its way down
        self._grpc_body: Body | None = None  # of a gRPC response: its trailers will tell whether the host did well

    async def run(self) -> Response | LocalReply:
        """Try until there is an answer.

        Cancelled: the upstream stream is reset; a fired ROUTE_TIMEOUT has been counted.
        """
        self._prepare()
        self._limited = self._timing.per_try is not None or self._cluster.options.max_stream_duration is not None
        stream, source = self._stream, self._source
        info = stream.info
        answer: Response | LocalReply | None
        while True:
            self._attempts += 1
            info.upstream_attempts = self._attempts
            try:
                try:
                    up = source.take(self, info.protocol)
                    if up is None:
                        up = await source.wait(self, info.protocol)
                    self._up = up
                finally:
                    info.upstream_host = self.host
                self._opened(up)
                if self._limited:
                    response = await self._exchange_within_limits(up)
                else:
                    response = await up.exchange(stream.request, stream.tasks, self._inform)
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
        if route.request_headers is not None or action.rewrite is not None:
            route.finalize_request(request, stream, tell)
        if self._router.upstream_scheme:
            request.scheme = self._cluster.options.scheme
        if action.idle_timeout is not None:
            self._arm_idle(action.idle_timeout)
        if request.body is None:
            self._request_complete()
        else:
            self._take_body(request.body)
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
        name = request.headers.get(_OTHER_NAME)
        if name is not None:
            request.headers.remove(_OTHER_NAME)
            if self._count_codes:
                self._counts_too = self._cluster.counts_as(name.decode("latin-1"), internal=stream.info.internal)
        if request.headers.remove(_ALTERNATIVE):
            stream.timeout_reply = replies.alternative(replies.TIMEOUT)

    def _take_body(self, body: Body) -> None:
        """What is here of it is pulled now, while there is no connection yet: a short one is then complete."""
        limit: int | None = None
        if self._policy is None:  # one attempt: what is here as a whole need not be kept
            body = self._stream.request.body = pulled(body)
            if isinstance(body, BytesBody):
                self._request_complete()
                return
        else:
            limit = self._route.body_buffer_limit
            if limit is None:
                limit = self._router.buffer_limit
        self._upload = Upload(body, limit, self._request_complete, self._abandon_retries)
        self._upload.fetch_nowait()

    def _arm_idle(self, timeout: float) -> None:
        if timeout:
            self._stream.guard.arm_idle(timeout)
        else:
            self._stream.guard.disarm(Cause.STREAM_IDLE)

    def _request_complete(self) -> None:
        """The last byte of the request is here: the timeouts run."""
        look = self._stream.now  # called as a method it would be looked up in the class first
        now = self._complete_at = look()
        if self._timing.total is not None:
            guard = self._stream.guard
            at = guard.at[_ROUTE_TIMEOUT] = now + self._timing.total
            if at < guard.planned:
                guard.plan(at)
        if self._attempt_scope is not None:
            self._limit_try(self._attempt_scope, now)

    def _abandon_retries(self) -> None:
        """The body has outgrown what may be kept."""
        self._cluster.stats.retry_or_shadow_abandoned += 1

    async def _exchange_within_limits(self, up: ClientStream) -> Response:
        now = trio.current_time()
        duration = self._cluster.options.max_stream_duration
        self._stream_ends = inf if duration is None else now + duration
        with trio.CancelScope(deadline=self._stream_ends) as scope:
            if self._complete_at == self._complete_at or self.timed_at_once:
                self._limit_try(scope, now)
            self._attempt_scope = scope
            try:
                return await up.exchange(self._stream.request, self._stream.tasks, self._inform)
            finally:
                self._attempt_scope = None
        raise self._met_limit(by_try=scope.deadline < self._stream_ends)

    def _limit_try(self, scope: trio.CancelScope, now: float) -> None:
        per_try = self._timing.per_try
        if per_try is not None:
            scope.deadline = min(scope.deadline, now + per_try)

    def _met_limit(self, *, by_try: bool) -> Limited:
        stats = self._cluster.stats
        if not by_try:
            stats.upstream_rq_max_duration_reached += 1
        else:
            stats.upstream_rq_per_try_timeout += 1
            assert self.host is not None, "it has a connection"
            self.host.rq_timeout += 1
        return Limited(by_try=by_try)

    def _opened(self, up: ClientStream) -> None:
        """There is a stream for this attempt: make the request ready for its host."""
        stream, action, host = self._stream, self._action, self.host
        info = stream.info
        up.info = info
        info.upstream_connection = up.connection
        info.upstream_protocol = up.protocol
        attempted = info.hosts_attempted
        if not attempted:
            info.hosts_attempted = (host,)
        elif host not in attempted:
            info.hosts_attempted = (*attempted, host)
        if action.auto_host_rewrite and host is not None and host.hostname:
            rewrite.set_host(
                stream.request,
                host.hostname.encode(),
                keep_original=self._router.tell,
                append_forwarded=action.append_x_forwarded_host,
            )
        if self._upload is not None:
            stream.request.body = self._upload.begin()

    async def _inform(self, status: int, headers: Headers) -> None:
        """An informational response: the first one counts, and is passed on if the HCM wants it."""
        if self._informed or status not in _INFORMATIONAL:
            return
        self._informed = True
        self._policy = None  # the response has begun: no other try
        if self._count_codes:
            self._count_unjudged(None, status)
        inform = self._stream.inform
        if inform is not None:
            await inform(status, headers)

    def _release(self, *, unread: bool = False) -> None:
        up, self._up = self._up, None
        if unread and up is not None:
            up.release(unread=True)
        elif up is not None:
            up.release()

    def _failed(self, failure: UpstreamFailure) -> LocalReply | None:
        """No response headers came."""
        info, host = self._stream.info, self.host
        self._release()
        info.upstream_transport_failure = failure.transport
        by_try = isinstance(failure, Limited) and failure.by_try
        policy = self._policy
        if policy is not None and self._retries(policy.wants_reset(failure.reason, sent=failure.sent)):
            self._timed_out_before = by_try
            _blame(host)
            return None
        if isinstance(failure, Limited) and not by_try:
            return replies.MAX_DURATION if self._complete_at == self._complete_at else replies.MAX_DURATION_EARLY
        if by_try:
            timeout_reply = self._stream.timeout_reply
            reply = replies.PER_TRY_TIMEOUT
            if timeout_reply is not replies.TIMEOUT:
                reply = replies.alternative(reply)
        else:
            reply = replies.failed(
                failure, attempts=self._attempts, late=self._informed, suppress=not self._router.tell
            )
        self._charge_abort(host, reply)
        return reply

    def _charge_abort(self, host: Host | None, reply: LocalReply) -> None:
        """An answer of ours because an attempt failed, which counts as an error of the host whatever its status."""
        _blame(host)
        if self._count_codes:
            self._count_unjudged(host, reply.status)

    def _count_unjudged(self, host: Host | None, status: int) -> None:
        """Count a response that says nothing of how the host does."""
        self._cluster.charge_response(host, status, internal=self._stream.info.internal, judged=False)
        if self._counts_too is not None:
            self._counts_too.count(status)

    def _responded(self, response: Response) -> Response | LocalReply | None:
        """Response headers are here."""
        stream, route, cluster = self._stream, self._route, self._cluster
        info, headers, host = stream.info, response.headers, self.host
        first = headers.first
        if _FAIL_HEALTH in first and host is not None:
            cluster.fail_health(host)
        policy = self._policy
        if policy is not None and self._retries(policy.wants_response(response)):
            if self._count_codes:
                cluster.charge_retry(response.status)
            _blame(host)
            self._timed_out_before = False
            self._release(unread=response.body is not None)
            return None
        if self._upload is not None:
            self._upload.stop_keeping()
        if self._limited and self._stream_ends != inf:
            stream.guard.arm(_UPSTREAM_DURATION, self._stream_ends)
        status = info.status = response.status
        info.details = "via_upstream"
        if self._attempts > 1:
            info.upstream_transport_failure = ""
        if self._router.tell:
            waited = info.upstream_first_byte_received - self._complete_at
            if waited == waited:  # the request is complete
                headers.set(_SERVICE_TIME, timing.milliseconds(waited))
        if self._count_codes:
            called = stream.request.headers.first.get(b"content-type")
            judged = called is None or not grpc.is_grpc(called)
            canary = self._canary = first.get(b"x-envoy-upstream-canary") == b"true"
            cluster.charge_response(host, status, info.internal, canary, judged)
            if self._counts_too is not None:
                self._counts_too.count(status)
            if not judged:
                self._judge_grpc(response)
        self._charged = True
        stream.response = response
        if route.response_headers is not None or route.virtual_host.include_attempt_count_in_response:
            finalize_response(stream, headers)
        return response

    def _judge_grpc(self, response: Response) -> None:
        """Whether the host did well, as far as the headers of a gRPC response tell."""
        host = self.host
        assert host is not None, "a response came from somewhere"
        if response.status >= 500:
            host.rq_error += 1
        elif response.body is None:
            self._count_grpc_status(response.headers.first.get(b"grpc-status"))
        else:
            self._grpc_body = response.body

    def _count_grpc_status(self, status: bytes | None) -> None:
        assert self.host is not None, "see _judge_grpc"
        if grpc.is_server_fault(status):
            _blame(self.host)
        else:
            self.host.rq_success += 1

    def _retries(self, wanted: bool) -> bool:
        """Whether there will be one more attempt: the policy wants it, and the limits allow it."""
        stats, info = self._cluster.stats, self._stream.info
        if not wanted:
            if self._retrying:  # whatever it gave, as in Envoy
                stats.upstream_rq_retry_success += 1
            return False
        if self._upload is not None and not self._upload.repeatable:
            return False
        if self._retries_left <= 0:
            stats.upstream_rq_retry_limit_exceeded += 1
            info.flags |= URX
            return False
        retries = self._cluster.breakers[self.priority].retries
        if not self._retrying:
            if not retries.free:
                stats.upstream_rq_retry_overflow += 1
                info.flags |= UO
                return False
            retries.take()
            self._retrying = True
        self._retries_left -= 1
        stats.upstream_rq_retry += 1
        return True

    async def _pause(self) -> None:
        """Wait as the back-off says, then prepare the next attempt."""
        policy, host_route = self._policy, self._route.virtual_host
        assert policy is not None, "only a policy asks for another attempt"
        self._cluster.stats.upstream_rq_retry_backoff_exponential += 1
        await trio.sleep(policy.back_off(self._attempts, self._router.random))
        headers = self._stream.request.headers
        if self._router.tell:
            complete_at = self._complete_at
            elapsed = trio.current_time() - complete_at if complete_at == complete_at else 0.0
            expected = self._timing.expected_header(elapsed)
            if expected is not None:
                headers.set(_EXPECTED, expected)
        if host_route.include_request_attempt_count:
            headers.set(_ATTEMPT_COUNT, b"%d" % (self._attempts + 1))
        if host_route.include_is_timeout_retry_header:
            headers.set(_IS_TIMEOUT_RETRY, b"true" if self._timed_out_before else b"false")

    def _cut_short(self) -> None:
        """Cancelled in an attempt: by the route's timeout, or because nobody waits any more."""
        if self._stream.guard.fired is Cause.ROUTE_TIMEOUT:
            host = self.host if self._up is not None else None  # while it connects nobody is to blame
            self._timed_out(host)
            assert self._stream.timeout_reply is not None, "set at the beginning"
            self._charge_abort(host, self._stream.timeout_reply)
        self._release()

    def _timed_out(self, host: Host | None) -> None:
        self._cluster.stats.upstream_rq_timeout += 1
        if host is not None:
            host.rq_timeout += 1

    def _completed(self) -> None:
        """The stream is over, well or badly."""
        self._upload = None  # refers to this
        if self._charged:
            self._charge_end()
        up, self._up = self._up, None  # as _release(), without the call
        if up is not None:
            up.release()
        if self._retrying:
            self._cluster.breakers[self.priority].retries.give()

    def _charge_end(self) -> None:
        """The response had begun: count how long it took, or why it broke off."""
        info, host = self._stream.info, self.host
        details, body = info.details, self._grpc_body
        if details == "via_upstream":
            if body is not None:
                self._count_grpc_status((body.trailers or _NO_TRAILERS).first.get(b"grpc-status"))
            if self._count_codes and self._complete_at == self._complete_at:
                elapsed = (info.end - self._complete_at) * 1000
                self._cluster.charge_time(host, elapsed, info.internal, self._canary)
                if self._counts_too is not None:
                    self._counts_too.time(elapsed)
        elif details == replies.TIMEOUT.details:
            self._timed_out(host)
        elif details == replies.MAX_DURATION.details:
            self._cluster.stats.upstream_rq_max_duration_reached += 1
        elif body is not None and details.startswith(replies.LATE):
            self._router.stats.rq_reset_after_downstream_response_started += 1
            _blame(host)


def _blame(host: Host | None) -> None:
    if host is not None:
        host.rq_error += 1
