"""One connection: exchanges that end badly."""

import logging

import h2.connection
import pytest
import trio

from tests.cancelling import at_every_checkpoint
from tests.fakes import Pieces, headers, receive_all
from tests.hcm.served import Exchange, Managed, Passing, answering, fire, flags_of, forever
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.stream_info import UC
from trio_envoy.util.deadlines import Cause


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
    assert exchange.hcm._connection.info.flags == flags_of("DPE")


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
        await trio.sleep(50_000)
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


async def test_cancelled_anywhere_no_gauge_stays_up(autojump_clock):
    """The server stops at any moment of a connection with three requests."""

    async def answer(stream):
        await trio.sleep(1)
        return Response(200, headers(), Pieces(b"a", 1, b"b"))

    managed = Managed(answer)
    raw = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 2 + b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc"

    async def one():
        connection, far = managed.connection()
        far.send(raw)
        async with trio.open_nursery() as tasks:
            tasks.start_soon(managed.services.timers.run)
            tasks.start_soon(receive_all, far)
            await managed.serve(connection)
            tasks.cancel_scope.cancel()

    def check():
        assert managed.stats.downstream_cx_active == managed.stats.downstream_rq_active == 0
        assert managed.stats.downstream_cx_http1_active == 0
        assert managed.stats.downstream_cx_total == managed.stats.downstream_cx_destroy

    cuts = await at_every_checkpoint(one, check)
    check()

    assert cuts > 6
    assert managed.stats.downstream_rq_total == len(managed.entries)


def a_get_over_http2():
    """Bytes of a client's connection with one request."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    client.send_headers(1, fields, end_stream=True)
    return client.data_to_send()


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", a_get_over_http2()], ids=["HTTP/1", "HTTP/2"])
async def test_the_server_stops_just_when_a_deadline_fires(raw, autojump_clock):
    """The codec can't tell of the deadline any more: the exchange is ended and logged all the same."""
    streams, ended = [], []

    async def answer(stream):
        streams.append(stream)
        stream.on_complete.append(lambda: ended.append(True))
        return Response(200, headers(), Pieces(b"a", 1e9))

    managed = Managed(answer)
    connection, far = managed.connection()
    far.send(raw)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(receive_all, far)
        tasks.start_soon(managed.serve, connection)
        await trio.testing.wait_all_tasks_blocked()
        streams[0].guard.fire(Cause.STREAM_IDLE)
        tasks.cancel_scope.cancel()

    assert ended == [True]
    assert [entry.info.details for entry in managed.entries] == ["downstream_local_disconnect"]
    assert managed.stats.downstream_rq_active == managed.stats.downstream_cx_active == 0


async def test_a_client_that_does_not_take_the_rest_in_time_is_logged_as_if_it_had():
    exchange = Exchange(Managed(answering(Response(200, headers(), Pieces(b"abc", 1e9)))))
    exchange.codec.info.details = "via_upstream"

    codec = await exchange.run(fire(Cause.STREAM_FLUSH))

    assert codec.was_reset
    assert exchange.logged == (200, "-", "via_upstream")
    assert "tx_reset" not in exchange.counts
    assert "rx_reset" not in exchange.counts
