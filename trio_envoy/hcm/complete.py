"""The end of a stream: counters, histograms, callbacks of filters, access logs. All of it is synchronous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from trio_envoy.hcm.stats import HcmStats, ListenerHttpStats
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.net.stream_info import StreamInfo

if TYPE_CHECKING:
    from trio_envoy.hcm.manager import HttpConnectionManager


def complete(manager: HttpConnectionManager, stream: HttpStream) -> None:
    """Account for a stream that has ended, however it ended, at `info.end`."""
    info = stream.info
    stats = manager.stats
    stats.downstream_rq_active -= 1
    status = info.status
    if 200 <= status < 300:  # most of all, and a call less
        listener = manager.listener_stats
        stats.downstream_rq_completed += 1
        stats.downstream_rq_2xx += 1
        listener.downstream_rq_completed += 1
        listener.downstream_rq_2xx += 1
    elif status:
        _count_status(stats, manager.listener_stats, status)
    stats.downstream_rq_time.record((info.end - info.start) * 1000)
    if manager.resolution is not None:
        manager.resolution.record(info, 1)
    for callback in stream.on_complete:
        callback()
    response = stream.response
    if response is not None and response.body is not None and (trailers := response.body.trailers) is not None:
        info.response_trailers = trailers
    stream.on_complete.clear()  # these refer to the stream: without the circles its memory is free at once
    stream.request.body = None
    for log in manager.access_logs:
        write = log.log
        write(stream)


def count_informational(manager: HttpConnectionManager) -> None:
    """An informational response goes to the client."""
    for stats in (manager.stats, manager.listener_stats):
        stats.downstream_rq_completed += 1
        stats.downstream_rq_1xx += 1


class _Rejected:
    """What a log sees of a request that the codec refused: no headers, only what the connection knows."""

    request = None
    response = None
    route = None

    def __init__(self, info: StreamInfo) -> None:
        self.info = info


def count_rejected(manager: HttpConnectionManager, info: StreamInfo) -> None:
    """Account for a request that never became one."""
    info.end = trio.current_time()
    stats = manager.stats
    stats.downstream_rq_total += 1
    if info.protocol == "HTTP/2":
        stats.downstream_rq_http2_total += 1
    else:
        stats.downstream_rq_http1_total += 1
    if info.status:
        _count_status(stats, manager.listener_stats, info.status)
    if manager.resolution is not None:
        manager.resolution.record(info, 0)
    rejected: Any = _Rejected(info)
    for log in manager.access_logs:
        log.log(rejected)


def _count_status(stats: HcmStats, listener: ListenerHttpStats, status: int) -> None:
    stats.downstream_rq_completed += 1
    listener.downstream_rq_completed += 1
    if status < 100:  # an upstream may say so, and the like; no class counts it
        return
    if status < 200:  # an upgrade
        stats.downstream_rq_1xx += 1
        listener.downstream_rq_1xx += 1
    elif status < 300:
        stats.downstream_rq_2xx += 1
        listener.downstream_rq_2xx += 1
    elif status < 400:
        stats.downstream_rq_3xx += 1
        listener.downstream_rq_3xx += 1
    elif status < 500:
        stats.downstream_rq_4xx += 1
        listener.downstream_rq_4xx += 1
    elif status < 600:
        stats.downstream_rq_5xx += 1
        listener.downstream_rq_5xx += 1
