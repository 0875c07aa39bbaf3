"""One connection: from the codec to the access log."""

import logging

import pytest
import trio

from tests.fakes import FakeCodec, Pieces, counted, headers
from tests.hcm.served import Managed, Passing, ask, direct, table
from trio_envoy.config.hcm import ServerHeaderTransformation as Server
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.config.route import Route
from trio_envoy.config.route_action import RouteAction
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.hcm.connection import HcmConnection
from trio_envoy.http.body import BytesBody
from trio_envoy.http.message import LocalReply, Request, Response
from trio_envoy.net.address import PipeAddress
from trio_envoy.net.stream_info import UC, StreamInfo, TlsInfo, flags_short
from trio_envoy.util.deadlines import Cause, Guard


def answering(response):
    async def answer(stream):
        if isinstance(response, Exception):
            raise response
        return response

    return answer


async def forever(stream):
    await trio.sleep_forever()


class Exchange:
    """One request through HcmConnection, with a FakeCodec on its side."""

    def __init__(self, managed, method=b"GET", path=b"/", fields=(), body=None, **fields_of_request):
        self.managed = managed
        complete = fields_of_request.pop("complete", None)
        protocol = fields_of_request.pop("protocol_of_codec", "HTTP/1.1")
        connection, _ = managed.connection()
        self.hcm = HcmConnection(managed.manager, connection)
        request = Request(method, b"a.com", path, b"", headers(fields), body, **fields_of_request)
        info = StreamInfo(trio.current_time(), 0.0, connection.info)
        info.protocol = protocol
        self.codec = FakeCodec(request, info, Guard(managed.services.timers), complete=complete)

    async def run(self, then=None):
        """handle() under the guard, as codecs do; interrupted() if it fired. `then` runs beside it."""
        guard = self.codec.guard
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self.managed.services.timers.run)
            if then is not None:
                tasks.start_soon(then, self)
            with guard.open():
                await self.hcm.handle(self.codec)
            if guard.fired is not None:
                cause = guard.fired
                with guard.open():
                    await self.hcm.interrupted(self.codec, cause)
            tasks.cancel_scope.cancel()
        return self.codec

    @property
    def counts(self):
        return counted(self.managed.services, "http.ingress.downstream_rq_")

    @property
    def logged(self):
        """(status, flags, details) of the only entry."""
        (entry,) = self.managed.entries
        return entry.info.status, flags_short(entry.info.flags), entry.info.details


def fire(cause):
    async def then(exchange):
        await trio.testing.wait_all_tasks_blocked()
        exchange.codec.guard.fire(cause)

    return then


async def test_an_answer_is_written_counted_and_logged(autojump_clock):
    async def answer(stream):
        await trio.sleep(0.25)
        return Response(200, headers({"x": "y"}), BytesBody(b"hi"))

    exchange = Exchange(Managed(answer))

    codec = await exchange.run()

    assert (codec.response.status, codec.sent) == (200, b"hi")
    assert [name for name, _ in codec.response.headers] == [b"x", b"date", b"server"]
    assert codec.response.headers.get(b"server") == b"envoy"
    assert exchange.counts == {"total": 1, "http1_total": 1, "completed": 1, "2xx": 1}
    assert counted(exchange.managed.services, "listener.127.0.0.1_0.http.ingress.downstream_rq_") == {
        "completed": 1,
        "2xx": 1,
    }
    (entry,) = exchange.managed.entries
    assert (entry.info.route_name, entry.info.virtual_host) == ("", "v")
    assert entry.info.end - entry.info.start == pytest.approx(0.25)


@pytest.mark.parametrize(("status", "name"), [(302, "3xx"), (404, "4xx"), (503, "5xx"), (999, "5xx")])
async def test_classes_of_statuses(status, name):
    exchange = Exchange(Managed(answering(Response(status, headers()))))

    await exchange.run()

    assert exchange.counts[name] == 1
    assert counted(exchange.managed.services, "listener.127.0.0.1_0.http.ingress.downstream_rq_")[name] == 1


async def test_http2_is_counted_as_such():
    exchange = Exchange(Managed(), protocol_of_codec="HTTP/2")

    await exchange.run()

    assert exchange.counts["http2_total"] == 1


@pytest.mark.parametrize(
    ("transformation", "sent", "expected"),
    [
        (Server.OVERWRITE, "upstream", b"me"),
        (Server.APPEND_IF_ABSENT, "upstream", b"upstream"),
        (Server.APPEND_IF_ABSENT, None, b"me"),
        (Server.PASS_THROUGH, "upstream", b"upstream"),
        (Server.PASS_THROUGH, None, None),
    ],
)
async def test_the_server_header(transformation, sent, expected):
    fields = {} if sent is None else {"server": sent}
    managed = Managed(
        answering(Response(200, headers(fields))), server_name="me", server_header_transformation=transformation
    )

    codec = await Exchange(managed).run()

    assert codec.response.headers.get(b"server") == expected


async def test_a_date_is_kept():
    codec = await Exchange(Managed(answering(Response(200, headers({"date": "then"}))))).run()

    assert codec.response.headers.get_all(b"date") == [b"then"]


@pytest.mark.parametrize(("before", "expected"), [({}, b"me"), ({"via": "1.1 x"}, b"1.1 x, me")])
async def test_via_is_added_both_ways(before, expected):
    seen = []

    async def answer(stream):
        seen.append(stream.request.headers.get(b"via"))
        return Response(200, headers(before))

    codec = await Exchange(Managed(answer, via="me"), fields=before).run()

    assert (seen, codec.response.headers.get(b"via")) == ([expected], expected)


@pytest.mark.parametrize(
    ("config", "internal", "fields", "told"),
    [
        ({"always_set_request_id_in_response": True}, False, {"x-request-id": "abc"}, b"abc"),
        ({}, False, {"x-request-id": "abc"}, None),
        ({}, True, {"x-request-id": "abc", "x-envoy-force-trace": "true"}, b"abc"),
        ({}, False, {"x-request-id": "abc", "x-envoy-force-trace": "true"}, None),
        ({"always_set_request_id_in_response": True, "generate_request_id": False}, False, {}, None),
    ],
)
async def test_the_request_id_is_told_on_demand(config, internal, fields, told):
    async def answer(stream):
        stream.info.internal = internal
        if internal:
            stream.request.headers.set(b"x-envoy-force-trace", b"true")
        return Response(200, headers())

    codec = await Exchange(Managed(answer, **config), fields=fields).run()

    assert codec.response.headers.get(b"x-request-id") == told


async def test_no_route_is_no_fault():
    async def answer(stream):
        assert stream.route is None
        return LocalReply(404, details="route_not_found")

    exchange = Exchange(Managed(answer, routes=table(direct("/other"))))

    await exchange.run()

    assert exchange.logged == (404, "-", "route_not_found")


async def test_a_target_that_is_refused_never_reaches_a_filter():
    exchange = Exchange(Managed(forever), host_missing=True)

    codec = await exchange.run()

    assert exchange.logged == (400, "-", "missing_host_header")
    assert codec.closes  # a bad request ends an HTTP/1 connection


async def test_an_upgrade_is_refused_and_names_the_cluster_of_its_route():
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster="up"))
    exchange = Exchange(
        Managed(forever, routes=table(route, validate_clusters=False)), protocol=b"websocket", complete=True
    )

    codec = await exchange.run()

    assert exchange.logged == (403, "-", "upgrade_failed")
    assert exchange.managed.entries[0].info.upstream_cluster == "up"
    assert codec.closes
    assert exchange.counts["ws_on_non_ws_route"] == exchange.counts["response_before_rq_complete"] == 1


async def test_an_upgrade_over_http2_leaves_the_connection():
    exchange = Exchange(Managed(forever), protocol=b"websocket", protocol_of_codec="HTTP/2")

    codec = await exchange.run()

    assert (codec.response.status, codec.closes) == (403, False)


async def test_after_connect_an_http1_connection_ends():
    codec = await Exchange(Managed(answering(LocalReply(404))), method=b"CONNECT", path=b"").run()

    assert codec.closes


async def test_a_response_before_the_end_of_the_request_is_counted():
    exchange = Exchange(Managed(), body=Pieces(b"abc", 1), complete=False)

    await exchange.run()

    assert exchange.counts["response_before_rq_complete"] == exchange.counts["rx_reset"] == 1
    assert "tx_reset" not in exchange.counts


async def test_an_upload_that_nobody_wants_any_more_ends_with_the_exchange(autojump_clock):
    async def answer(stream):
        stream.tasks.start_soon(trio.sleep_forever)
        return Response(200, headers())

    codec = await Exchange(Managed(answer), body=Pieces(b"abc", 1)).run()

    assert codec.finished


@pytest.mark.parametrize(
    ("cause", "complete", "status", "flags", "details", "stat"),
    [
        (Cause.STREAM_IDLE, True, 504, "SI", "stream_idle_timeout", "idle_timeout"),
        (Cause.STREAM_IDLE, False, 408, "SI", "stream_idle_timeout", "idle_timeout"),
        (Cause.REQUEST, False, 408, "-", "request_overall_timeout", "timeout"),
        (Cause.MAX_STREAM_DURATION, True, 504, "-", "max_duration_timeout", "max_duration_reached"),
        (Cause.MAX_STREAM_DURATION, False, 408, "-", "max_duration_timeout", "max_duration_reached"),
        (Cause.ROUTE_TIMEOUT, True, 599, "-", "routers", "completed"),
        (Cause.UPSTREAM_DURATION, True, 504, "UMSDR", "upstream_max_stream_duration_reached", "completed"),
    ],
)
async def test_deadlines_are_answered(cause, complete, status, flags, details, stat):
    async def answer(stream):
        stream.timeout_reply = LocalReply(599, details="routers")
        await trio.sleep_forever()

    passed = []
    managed = Managed(answer, passing=[Passing(encode=lambda stream: passed.append(stream.response.status))])
    exchange = Exchange(managed, complete=complete)

    codec = await exchange.run(fire(cause))

    assert codec.response.status == status
    assert exchange.logged == (status, flags, details)
    assert exchange.counts[stat] == 1
    assert passed == [status]


async def test_a_grpc_client_is_told_that_the_deadline_passed():
    exchange = Exchange(Managed(forever), fields={"content-type": "application/grpc"})

    codec = await exchange.run(fire(Cause.MAX_STREAM_DURATION))

    assert codec.response.headers.get(b"grpc-status") == b"4"


async def test_a_deadline_after_the_response_has_begun_resets():
    exchange = Exchange(Managed(answering(Response(200, headers(), Pieces(b"abc", 1e9)))))

    codec = await exchange.run(fire(Cause.STREAM_IDLE))

    assert codec.was_reset
    assert codec.sent == b"abc"
    assert exchange.logged == (200, "SI", "stream_idle_timeout")
    assert exchange.counts["tx_reset"] == exchange.counts["rx_reset"] == 1


@pytest.mark.parametrize("cause", [Cause.CONNECTION_IDLE, Cause.DRAIN])
async def test_a_cause_that_says_nothing_of_the_exchange_ends_it_quietly(cause):
    exchange = Exchange(Managed(forever))

    codec = await exchange.run(fire(cause))

    assert codec.was_reset
    assert exchange.logged == (0, "-", "downstream_local_disconnect")


@pytest.mark.parametrize(
    ("cause", "flags", "details"),
    [
        (Cause.PEER_GONE, "DC", "downstream_remote_disconnect"),
        (Cause.PEER_RESET, "DR", "http2.remote_reset"),
    ],
)
async def test_a_client_that_leaves(cause, flags, details):
    exchange = Exchange(Managed(forever))

    codec = await exchange.run(fire(cause))

    assert codec.was_reset
    assert codec.response is None
    assert exchange.logged == (0, flags, details)
    assert exchange.counts["rx_reset"] == 1
    assert "tx_reset" not in exchange.counts
    assert "active" not in exchange.counts


async def test_a_stream_that_the_codec_gave_up_keeps_its_flag():
    async def then(exchange):
        await trio.testing.wait_all_tasks_blocked()
        exchange.codec.info.flags |= flags_of("DPE")
        exchange.codec.guard.fire(Cause.PEER_RESET)

    exchange = Exchange(Managed(forever))

    await exchange.run(then)

    assert exchange.logged == (0, "DPE", "http2.remote_reset")


def flags_of(short):
    return next(1 << bit for bit in range(40) if flags_short(1 << bit) == short)


async def test_interrupted_before_handle_has_begun_resets():
    exchange = Exchange(Managed())

    await exchange.hcm.interrupted(exchange.codec, Cause.PEER_GONE)

    assert exchange.codec.was_reset
    assert not exchange.managed.entries


async def test_the_upstream_breaks_off_after_its_headers():
    failure = UpstreamFailure("connection termination", UC, started=True)
    exchange = Exchange(Managed(answering(Response(200, headers(), Pieces(b"abc", failure)))))

    codec = await exchange.run()

    assert codec.was_reset
    assert exchange.logged == (200, "UC", "upstream_reset_after_response_started{connection_termination}")
    assert exchange.counts["tx_reset"] == exchange.counts["rx_reset"] == 1


async def test_the_client_breaks_off_while_we_write():
    exchange = Exchange(Managed())
    exchange.codec.fault = ConnectionResetError()

    codec = await exchange.run()

    assert codec.was_reset
    assert exchange.logged == (200, "DC", "downstream_remote_disconnect")


async def test_the_client_breaks_off_while_a_timeout_is_told():
    exchange = Exchange(Managed(forever))
    exchange.codec.fault = BrokenPipeError()

    await exchange.run(fire(Cause.STREAM_IDLE))

    assert exchange.logged == (504, "DC,SI", "downstream_remote_disconnect")


async def test_a_broken_request_body_is_answered_400():
    error = RemoteProtocolError("http1.codec_error")
    exchange = Exchange(Managed(answering(error)), body=Pieces(b"a", error), complete=False)

    codec = await exchange.run()

    assert (codec.response.status, codec.sent, codec.closes) == (400, b"Bad Request", True)
    assert exchange.logged == (400, "DPE", "http1.codec_error")
    assert exchange.counts["response_before_rq_complete"] == exchange.counts["rx_reset"] == 1
    assert exchange.managed.stats.downstream_cx_protocol_error == 1


async def test_a_broken_request_body_after_the_response_has_begun_resets():
    error = RemoteProtocolError("http1.codec_error")
    exchange = Exchange(
        Managed(answering(Response(200, headers(), Pieces(b"abc", error)))), body=Pieces(b"a", error), complete=False
    )

    codec = await exchange.run()

    assert codec.was_reset
    assert exchange.logged == (200, "DPE", "http1.codec_error")
    assert exchange.counts["rx_reset"] == 1
    assert "tx_reset" not in exchange.counts


async def test_a_bug_is_one_error_and_a_500(caplog):
    exchange = Exchange(Managed(answering(ZeroDivisionError("oops"))))

    codec = await exchange.run()

    assert (codec.response.status, codec.sent) == (500, b"Internal Server Error")
    assert exchange.logged == (500, "-", "internal_error")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_bug_after_the_response_has_begun_resets():
    exchange = Exchange(Managed(answering(Response(200, headers(), Pieces(b"abc", ZeroDivisionError())))))

    codec = await exchange.run()

    assert codec.was_reset
    assert exchange.logged == (200, "-", "internal_error")


async def test_a_bug_whose_answer_cannot_be_written():
    exchange = Exchange(Managed(answering(ZeroDivisionError())))
    exchange.codec.fault = BrokenPipeError()

    await exchange.run()

    assert exchange.logged == (500, "DC", "downstream_remote_disconnect")


async def test_a_bug_in_an_encoder_that_sees_a_timeout(caplog):
    def encode(stream):
        raise ZeroDivisionError

    exchange = Exchange(Managed(forever, passing=[Passing(encode=encode)]))

    codec = await exchange.run(fire(Cause.STREAM_IDLE))

    assert codec.response.status == 500
    assert exchange.logged == (500, "SI", "internal_error")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("where", "fault", "flags"),
    [("handle", None, "DC"), ("encoder", Cause.STREAM_IDLE, "DC,SI"), ("writing", Cause.STREAM_IDLE, "DC,SI")],
)
async def test_the_server_stops(where, fault, flags):
    """Cancelled from outside: in handle(), in an encoder that sees a timeout, while the timeout is being written."""

    async def encode(stream):
        if where == "encoder":
            await trio.sleep_forever()

    async def slowly(response):
        await trio.sleep_forever()

    exchange = Exchange(Managed(forever, passing=[Passing(encode=encode)]))
    if where == "writing":
        exchange.codec.respond = slowly
    with trio.CancelScope() as scope:

        async def then(exchange):
            if fault is not None:
                await fire(fault)(exchange)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()

        await exchange.run(then)

    assert scope.cancelled_caught
    assert exchange.logged[1:] == (flags, "downstream_local_disconnect")
    assert "active" not in exchange.counts


async def test_deadlines_of_the_configuration_are_armed(autojump_clock):
    managed = Managed(forever, stream_idle_timeout=3.0)
    exchange = Exchange(managed)

    await exchange.run()

    assert exchange.logged[2] == "stream_idle_timeout"
    assert trio.current_time() - exchange.codec.info.start == pytest.approx(3)


async def test_no_idle_timeout_when_it_is_off(autojump_clock):
    async def answer(stream):
        await trio.sleep(1e6)
        return Response(200, headers())

    codec = await Exchange(Managed(answer, stream_idle_timeout=0.0)).run()

    assert codec.finished


async def test_request_timeout_holds_for_requests_with_a_body_alone(autojump_clock):
    async def answer(stream):
        await trio.sleep(2)
        return Response(200, headers())

    managed = Managed(answer, request_timeout=1.0)
    without, having = Exchange(managed), Exchange(managed, body=Pieces(1e9), complete=False)

    assert (await without.run()).response.status == 200
    assert (await having.run()).response.status == 408


async def test_max_stream_duration(autojump_clock):
    options = HttpProtocolOptions(max_stream_duration=1.5)
    exchange = Exchange(Managed(forever, common_http_protocol_options=options))

    await exchange.run()

    assert exchange.logged[2] == "max_duration_timeout"
    assert trio.current_time() - exchange.codec.info.start == pytest.approx(1.5)


async def test_draining_ends_the_connection_and_is_counted_once():
    managed = Managed(context={"draining": lambda: True})
    exchange = Exchange(managed)
    await exchange.run()
    exchange.codec.responded = False
    await exchange.run()

    assert exchange.codec.closes
    assert managed.stats.downstream_cx_drain_close == 1


async def inform(stream):
    if stream.inform is not None:
        await stream.inform(103, headers({"link": "x"}))
    return Response(200, headers())


@pytest.mark.parametrize("wanted", [True, False])
async def test_informational_responses_pass_where_they_are_wanted(wanted):
    exchange = Exchange(Managed(inform, proxy_100_continue=wanted))

    codec = await exchange.run()

    assert codec.informed == ([(103, [(b"link", b"x")])] if wanted else [])
    assert exchange.counts.get("1xx", 0) == wanted
    assert exchange.counts["completed"] == 1 + wanted
    of_listener = counted(exchange.managed.services, "listener.127.0.0.1_0.http.ingress.downstream_rq_")
    assert of_listener.get("1xx", 0) == wanted


async def test_an_informational_response_after_the_response_is_dropped():
    async def answer(stream):
        stream.codec.responded = True
        return await inform(stream)

    assert (await Exchange(Managed(answer, proxy_100_continue=True)).run()).informed == []


@pytest.mark.parametrize(
    ("status", "flags", "logged", "protocol_errors"), [(400, "", "DPE", 1), (408, "", "-", 0), (0, "DC", "DC", 0)]
)
async def test_a_request_that_never_became_one_is_counted_and_logged(status, flags, logged, protocol_errors):
    exchange = Exchange(Managed())
    info = exchange.codec.info
    if flags:
        info.flags |= flags_of(flags)

    exchange.hcm.protocol_error(info, "why", status)

    assert exchange.logged == (status, logged, "why")
    assert exchange.managed.stats.downstream_cx_protocol_error == protocol_errors
    assert exchange.counts["total"] == 1
    assert exchange.counts.get("completed", 0) == bool(status)


async def test_a_connection_is_counted_from_its_beginning_to_its_end(autojump_clock):
    managed = Managed()
    async with managed.serving() as far:
        answer = await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert managed.stats.downstream_cx_active == 1
        far.close()
        await trio.testing.wait_all_tasks_blocked()

    counts = counted(managed.services, "http.ingress.downstream_cx_")
    assert counts == {
        "total": 1,
        "destroy": 1,
        "destroy_remote": 1,
        "http1_total": 1,
        "rx_bytes_total": 27,
        "tx_bytes_total": len(answer),
    }


async def test_tls_connections_are_counted_as_such():
    managed = Managed()
    connection, far = managed.connection()
    connection.info.tls = TlsInfo()
    far.close()

    await managed.serve(connection)

    assert managed.stats.downstream_cx_ssl_total == 1
    assert managed.stats.downstream_cx_ssl_active == 0


async def test_a_connection_can_be_drained(autojump_clock):
    managed = Managed()
    connection, far = managed.connection()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(managed.services.timers.run)
        tasks.start_soon(managed.serve, connection)
        await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

        connection.drain()
        await far.peer_closed.wait()
        tasks.cancel_scope.cancel()

    assert managed.stats.downstream_cx_active == 0


async def test_a_connection_over_a_pipe_has_no_port():
    managed = Managed(strip_matching_host_port=True)
    connection, _ = managed.connection()
    connection.info.local = PipeAddress("/x")

    HcmConnection(managed.manager, connection)
