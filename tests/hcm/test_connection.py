"""One connection: answers on their way to the client, and what is counted and logged."""

import pytest
import trio

from tests.fakes import Pieces, counted, headers
from tests.hcm.served import Exchange, Managed, answering, ask, direct, flags_of, forever, table
from trio_envoy.config.hcm import ServerHeaderTransformation as Server
from trio_envoy.config.route import Route
from trio_envoy.config.route_action import RouteAction
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.hcm.connection import HcmConnection
from trio_envoy.http.body import BytesBody
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.address import PipeAddress
from trio_envoy.net.stream_info import TlsInfo


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


@pytest.mark.parametrize(("status", "name"), [(302, "3xx"), (404, "4xx"), (503, "5xx"), (599, "5xx")])
async def test_classes_of_statuses(status, name):
    exchange = Exchange(Managed(answering(Response(status, headers()))))

    await exchange.run()

    assert exchange.counts[name] == 1
    assert counted(exchange.managed.services, "listener.127.0.0.1_0.http.ingress.downstream_rq_")[name] == 1


@pytest.mark.parametrize("status", [99, 600, 999])
async def test_what_is_in_no_class_is_counted_in_none(status):
    exchange = Exchange(Managed(answering(Response(status, headers()))))

    await exchange.run()

    assert exchange.counts["completed"] == 1
    assert not [name for name in exchange.counts if name.endswith("xx")]


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


@pytest.mark.parametrize(("before", "expected"), [({}, b"me"), ({"via": ""}, b"me"), ({"via": "1.1 x"}, b"1.1 x, me")])
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
        Managed(forever, routes=table(route, validate_clusters=False)),
        protocol=b"websocket",
        body=Pieces(b"x", 1),
        complete=False,
    )

    codec = await exchange.run()

    assert exchange.logged == (403, "-", "upgrade_failed")
    assert exchange.managed.entries[0].info.upstream_cluster == "up"
    assert codec.closes
    assert exchange.counts["ws_on_non_ws_route"] == exchange.counts["response_before_rq_complete"] == 1


async def test_an_upgrade_without_a_route_finds_that_out():
    nowhere = table(Route(match=RouteMatch(prefix="/x"), route=RouteAction(cluster="up")), validate_clusters=False)
    exchange = Exchange(Managed(answering(LocalReply(404)), routes=nowhere), protocol=b"websocket")

    codec = await exchange.run()

    assert (codec.response.status, codec.closes) == (404, False)
    assert "ws_on_non_ws_route" not in exchange.counts


async def test_a_request_counts_as_reset_only_if_it_is_not_complete_in_the_end():
    async def answer(stream):
        return Response(200, headers(), stream.request.body)

    exchange = Exchange(Managed(answer), body=Pieces(b"abc", 1))

    await exchange.run()

    assert exchange.counts["response_before_rq_complete"] == 1
    assert "rx_reset" not in exchange.counts


async def test_a_100_of_the_codec_is_counted():
    exchange = Exchange(Managed())

    exchange.hcm.continued()

    assert exchange.counts["1xx"] == exchange.counts["completed"] == 1


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
    assert exchange.hcm._connection.info.flags == (flags_of("DPE") if protocol_errors else 0)
    assert exchange.counts["total"] == 1
    assert exchange.counts.get("completed", 0) == exchange.counts.get("response_before_rq_complete", 0) == bool(status)
    assert exchange.counts["rx_reset"] == 1


async def test_a_connection_is_counted_from_its_beginning_to_its_end(autojump_clock):
    managed = Managed()
    async with managed.serving() as far:
        answer = await ask(far, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert managed.stats.downstream_cx_active == 1
        assert counted(managed.services, "http.ingress.")["downstream_cx_rx_bytes_total"] == 27
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
