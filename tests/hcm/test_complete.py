"""The end of a stream."""

import pytest
import trio

from tests.fakes import a_stream, counted, headers
from tests.hcm.served import Managed
from trio_envoy.hcm.complete import complete, count_informational, count_rejected
from trio_envoy.http.body import BytesBody
from trio_envoy.http.message import Response
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo

RQ = "http.ingress.downstream_rq_"


def ended(managed, status=200, **fields):
    stream = a_stream(**fields)
    stream.info.status = status
    managed.stats.downstream_rq_active += 1
    stream.info.end = trio.current_time()
    complete(managed.manager, stream)
    return stream


async def test_callbacks_run_in_order_before_the_log_and_once():
    managed, seen = Managed(), []
    stream = a_stream()
    stream.on_complete += [lambda: seen.append(("a", len(managed.entries))), lambda: seen.append("b")]

    stream.info.end = trio.current_time()
    complete(managed.manager, stream)

    assert seen == [("a", 0), "b"]
    assert managed.entries == [stream]
    assert stream.on_complete == []


async def test_what_had_no_answer_is_not_completed():
    managed = Managed()

    ended(managed, 0)

    assert counted(managed.services, RQ) == {}


@pytest.mark.parametrize(("status", "name"), [(200, "2xx"), (304, "3xx"), (499, "4xx"), (500, "5xx")])
async def test_answers_are_counted_by_class(status, name):
    managed = Managed()

    ended(managed, status)

    assert counted(managed.services, RQ) == {"completed": 1, name: 1}


async def test_trailers_are_kept_for_the_log():
    managed, trailers = Managed(), headers({"grpc-status": "0"})
    stream = a_stream()
    stream.response = Response(200, headers(), BytesBody(b"", trailers))

    stream.info.end = trio.current_time()
    complete(managed.manager, stream)

    assert stream.info.response_trailers is trailers


async def test_informational_responses():
    managed = Managed()

    count_informational(managed.manager)

    assert counted(managed.services, RQ) == {"completed": 1, "1xx": 1}


@pytest.mark.parametrize(("protocol", "name"), [("HTTP/1.1", "http1_total"), ("HTTP/2", "http2_total")])
async def test_what_the_codec_refused_has_neither_request_nor_response(protocol, name):
    managed, info = Managed(), StreamInfo(0.0, 0.0, ConnectionInfo(1, None, None))
    info.protocol, info.status = protocol, 400

    count_rejected(managed.manager, info)

    assert counted(managed.services, RQ) == {"total": 1, name: 1, "completed": 1, "4xx": 1}
    (entry,) = managed.entries
    assert (entry.request, entry.response, entry.route, entry.info) == (None, None, None, info)


async def test_without_a_status_it_is_counted_but_not_completed():
    managed = Managed()

    count_rejected(managed.manager, StreamInfo(0.0, 0.0, ConnectionInfo(1, None, None)))

    assert counted(managed.services, RQ) == {"total": 1, "http1_total": 1}
