"""gRPC of grpcio on both sides of the proxy: plain and TLS, streams that go on at once, endings, many at a time."""

import gzip
import queue
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trustme

from tests.waiting import eventually

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

from tests import grpc_peer  # noqa: E402 - it needs grpcio

TYPE = "type.googleapis.com/envoy.extensions"
HTTP2 = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    f"{{'@type': {TYPE}.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}"
)
GAUGES = (
    "http2.streams_active",
    "cluster.origin.http2.streams_active",
    "http.ingress.downstream_rq_active",
    "cluster.origin.upstream_rq_active",
    "cluster.origin.upstream_rq_pending_active",
)
MIB = 1 << 20


def tls_config(config, directory, leaf):
    """The same configuration, with TLS on both sides."""
    key, chain = directory / "key.pem", directory / "chain.pem"
    leaf.private_key_pem.write_to_path(str(key))
    chain.write_bytes(leaf.cert_chain_pems[0].bytes())
    down = (
        "transport_socket: {name: tls, typed_config: "
        f"{{'@type': {TYPE}.transport_sockets.tls.v3.DownstreamTlsContext, "
        f"common_tls_context: {{alpn_protocols: [h2], tls_certificates: [{{certificate_chain: {{filename: {chain}}}, "
        f"private_key: {{filename: {key}}}}}]}}}}}}"
    )
    up = (
        f"transport_socket: {{name: tls, typed_config: {{'@type': {TYPE}.transport_sockets.tls.v3.UpstreamTlsContext, "
        "sni: localhost}}"
    )
    config = config.replace("        - filters:\n", f"        - {down}\n          filters:\n")
    return config.replace("      - name: origin\n        ", f"      - name: origin\n        {up}\n        ")


@asynccontextmanager
async def through(live, tmp_path, *, tls=False, threads=8, compression=None, **options):
    """A gRPC server, ours in front of it, and a channel through ours; at the end nothing is under way."""
    service = grpc_peer.Service()
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()) if tls else None
    with grpc_peer.serving(service, threads=threads, certificate=pair) as port:
        config = live.proxy_config(port, cluster=HTTP2, **options)
        async with live.serving(tls_config(config, tmp_path, leaf) if tls else config) as world:
            more = {} if compression is None else {"compression": compression}
            pem = authority.cert_pem.bytes() if tls else None
            channel = await trio.to_thread.run_sync(lambda: grpc_peer.channel(world.port, pem, **more))
            try:
                yield SimpleNamespace(world=world, channel=channel, service=service)
                await eventually(lambda: not any(map(world.stat, GAUGES)), within=30)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(channel.close)


async def in_thread(function, *arguments):
    with trio.fail_after(50):
        return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


def method(call, kind, name):
    return getattr(call.channel, kind)(f"/{grpc_peer.NAME}/{name}")


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "TLS"])
async def test_every_kind_of_call(live, tmp_path, tls):
    async with through(live, tmp_path, tls=tls) as call:

        def run():
            assert method(call, "unary_unary", "Echo")(b"one", timeout=30) == b"one"
            assert list(method(call, "unary_stream", "Count")(b"5", timeout=30)) == [b"0", b"1", b"2", b"3", b"4"]
            assert method(call, "stream_unary", "Collect")(iter([b"a", b"b"]), timeout=30) == b"ab"
            assert list(method(call, "stream_stream", "Chat")(iter([b"a", b"b"]), timeout=30)) == [b"A", b"B"]
            with pytest.raises(grpc.RpcError) as refused:
                method(call, "unary_unary", "Refuse")(b"", timeout=30)
            return refused.value

        refused = await in_thread(run)

        assert (refused.code(), refused.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not like this: %")
        assert call.world.stat("http.ingress.downstream_cx_http2_total") == 1
        assert call.world.stat("cluster.origin.upstream_rq_200") == 5


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "TLS"])
async def test_each_message_of_a_stream_goes_on_before_the_next_is_sent(live, tmp_path, tls):
    async with through(live, tmp_path, tls=tls) as call:
        messages = queue.Queue()

        def run():
            answers = method(call, "stream_stream", "Chat")(iter(messages.get, None), timeout=30)
            for number in range(5):
                messages.put(b"n%d" % number)
                assert next(answers) == b"N%d" % number
            messages.put(None)
            return list(answers), answers.code()

        assert await in_thread(run) == ([], grpc.StatusCode.OK)


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "TLS"])
@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip], ids=["plain", "gzip"])
async def test_messages_of_four_mebibytes(live, tmp_path, tls, compression):
    async with through(live, tmp_path, tls=tls, compression=compression) as call:
        message = bytes(range(256)) * (4 * MIB // 256)

        assert await in_thread(lambda: method(call, "unary_unary", "Echo")(message, timeout=40)) == message
        assert len(gzip.compress(message)) < 100_000  # what would have gone up if it was compressed
        sent = call.world.stat("cluster.origin.upstream_cx_tx_bytes_total")
        assert (sent < 200_000) is (compression is not None)


async def test_metadata_of_text_and_bytes(live, tmp_path):
    asked = (("x-asked", "yes, please"), ("x-asked", "twice"), ("x-asked-bin", bytes(range(256))), ("x-asked-bin", b""))
    async with through(live, tmp_path) as call:
        _, done = await in_thread(
            lambda: method(call, "unary_unary", "Echo").with_call(b"", metadata=asked, timeout=30)
        )

        assert [(key, value) for key, value in done.initial_metadata() if key.startswith("x-asked")] == list(asked)
        assert [(key, value) for key, value in done.trailing_metadata() if key.startswith("x-asked")] == list(asked)


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "TLS"])
@pytest.mark.parametrize("deadline", [None, 0.5], ids=["called off", "deadline"])
async def test_the_server_sees_that_a_call_was_ended(live, tmp_path, tls, deadline):
    async with through(live, tmp_path, tls=tls) as call:

        def run():
            answers = method(call, "unary_stream", "Hang")(b"x", timeout=deadline)
            assert call.service.hanging.acquire(timeout=30)
            if deadline is None:
                assert next(answers) == b"x"
                answers.cancel()
            with pytest.raises(grpc.RpcError):
                list(answers)
            return answers.code()

        code = await in_thread(run)

        assert code is (grpc.StatusCode.CANCELLED if deadline is None else grpc.StatusCode.DEADLINE_EXCEEDED)
        await eventually(lambda: call.service.ended == 1)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INTERNAL"), (401, "UNAUTHENTICATED"), (404, "UNIMPLEMENTED"), (503, "UNAVAILABLE")]
)
async def test_what_the_proxy_answers_itself_is_a_grpc_status(live, status, code):
    config = live.proxy_config(1).replace(
        "route: {cluster: origin}", f"direct_response: {{status: {status}, body: {{inline_string: 'no, not %'}}}}"
    )
    async with live.serving(config) as world:

        def run():
            with grpc_peer.channel(world.port) as channel, pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/a/b")(b"", timeout=30)
            return refused.value

        refused = await in_thread(run)

        assert (refused.code(), refused.details()) == (grpc.StatusCode[code], "no, not %")


async def test_statuses_are_counted_for_the_host(live, tmp_path):
    """The statuses which stand for a 5xx are errors of the host, though its answers are all 200."""
    async with through(live, tmp_path) as call:

        def run():
            for _ in range(3):
                method(call, "unary_unary", "Echo")(b"", timeout=30)
            for name, code in (("Refuse", "FAILED_PRECONDITION"), ("Nobody", "UNIMPLEMENTED")):
                with pytest.raises(grpc.RpcError) as refused:
                    method(call, "unary_unary", name)(b"", timeout=30)
                assert refused.value.code() is grpc.StatusCode[code]

        await in_thread(run)

        (host,) = call.world.server.clusters.clusters["origin"].hosts.hosts
        assert (host.rq_success, host.rq_error) == (4, 1)
        assert call.world.stat("cluster.origin.upstream_rq_200") == 5


async def test_a_thousand_streams_at_once_on_one_connection(live, tmp_path):
    """They are all open at the same time: a call that hangs keeps the only thread of the server until they are."""
    options = {
        "hcm": "http2_protocol_options: {max_concurrent_streams: 1000}",
        "threads": 1,
    }
    async with through(live, tmp_path, **options) as call:
        echo = method(call, "unary_unary", "Echo")

        def run():
            slow = method(call, "unary_stream", "Hang")(b"x", timeout=40)  # it keeps the only thread of the server
            assert next(slow) == b"x"
            futures = [echo.future(b"%d" % number, timeout=40) for number in range(999)]
            return slow, futures

        slow, futures = await in_thread(run)
        await eventually(lambda: call.world.stat("http2.streams_active") == 1000, within=30)
        slow.cancel()

        answers = await in_thread(lambda: [future.result() for future in futures])
        assert answers == [b"%d" % number for number in range(999)]
        assert call.world.stat("http.ingress.downstream_cx_http2_total") == 1
        assert call.world.stat("cluster.origin.upstream_cx_http2_total") == 1
        assert call.world.stat("http2.tx_reset") == 0
