"""Real HTTP/2 clients and servers: h2load, and grpcio on both sides of an h2c listener and an h2c upstream."""

import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

HTTP2 = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': "
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}"
)


needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")


async def h2load(*arguments):
    with trio.fail_after(30):
        done = await trio.run_process(["h2load", *arguments], capture_stdout=True, stderr=subprocess.STDOUT)
    return done.stdout.decode()


async def at_rest(world, *gauges):
    """What the other end does is on its way; give it a little time."""
    for _ in range(300):
        if not any(map(world.stat, gauges)):
            return
        await trio.sleep(0.01)
    pytest.fail(str({gauge: world.stat(gauge) for gauge in gauges}))


@needs_h2load
@pytest.mark.parametrize("upload", [False, True])
async def test_h2load_many_streams_on_some_connections(live, tmp_path, upload):
    body = tmp_path / "body"
    body.write_bytes(b"x" * 50_000)
    arguments = ["-n400", "-c3", "-m20", *(["-d", str(body)] if upload else [])]

    async def origin(stream):
        while head := await live.read_head(stream):
            length = re.search(rb"content-length: (\d+)", head)
            rest = int(length[1]) - (len(head) - head.index(b"\r\n\r\n") - 4) if length else 0
            while rest > 0:
                rest -= len(await stream.receive_some())
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"y" * 2000)

    async with live.origin(origin) as port, live.serving(live.proxy_config(port)) as world:
        said = await h2load(*arguments, f"http://127.0.0.1:{world.port}/")

        assert "400 succeeded, 0 failed, 0 errored" in said
        assert world.stat("http.ingress.downstream_cx_http2_total") == 3
        assert world.stat("http.ingress.downstream_rq_2xx") == 400
        await at_rest(world, "http.ingress.downstream_cx_active", "http2.streams_active")
        assert world.stat("http2.tx_reset") == 0


class Service:
    """A gRPC service of bytes, without generated code; its methods run in threads.

    Attributes:
        hanging: set when a call has come that nobody answers.
        cancelled: set when a call was cancelled from the other side.
        gate: what `watch` waits for between its messages.
    """

    def __init__(self):
        self.hanging = threading.Event()
        self.cancelled = threading.Event()
        self.gate = threading.Semaphore(0)

    def echo(self, request, context):
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", dict(context.invocation_metadata()).get("x-asked", "")),))
        return request

    def watch(self, request, context):
        for number in range(3):
            yield b"%s %d" % (request, number)
            self.gate.acquire()

    def collect(self, requests, context):
        return b"".join(requests)

    def chat(self, requests, context):
        for request in requests:
            yield request.upper()

    def refuse(self, request, context):
        import grpc

        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this: %")

    def hang(self, request, context):
        context.add_callback(self.cancelled.set)
        self.hanging.set()
        self.cancelled.wait(10)
        return b""


@asynccontextmanager
async def grpc_through(live, **options):
    """A gRPC server, ours in front of it, and a channel through ours."""
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    service = Service()
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(service.echo),
        "Watch": grpc.unary_stream_rpc_method_handler(service.watch),
        "Collect": grpc.stream_unary_rpc_method_handler(service.collect),
        "Chat": grpc.stream_stream_rpc_method_handler(service.chat),
        "Refuse": grpc.unary_unary_rpc_method_handler(service.refuse),
        "Hang": grpc.unary_unary_rpc_method_handler(service.hang),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        async with live.serving(live.proxy_config(port, cluster=HTTP2, **options)) as world:
            channel = grpc.insecure_channel(
                f"127.0.0.1:{world.port}", options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
            )
            try:
                yield SimpleNamespace(world=world, grpc=grpc, channel=channel, service=service)
            finally:
                await trio.to_thread.run_sync(channel.close)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.stop(None).wait)


async def in_thread(function, *arguments):
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


async def test_grpc_unary_with_metadata(live):
    async with grpc_through(live) as call:
        echo = call.channel.unary_unary("/test.Service/Echo")

        response, done = await in_thread(
            lambda: echo.with_call(b"hello", metadata=(("x-asked", "yes"), ("x-bin", b"\0\xff")), timeout=10)
        )

        assert response == b"hello"
        assert dict(done.initial_metadata())["x-first"] == "1"
        assert dict(done.trailing_metadata())["x-last"] == "yes"
        assert call.world.stat("http2.trailers") == 0
        assert call.world.stat("cluster.origin.upstream_cx_http2_total") == 1


async def test_grpc_large_messages(live):
    message = bytes(range(256)) * 8192  # 2 MiB, many windows of grpcio's

    async with grpc_through(live) as call:
        echo = call.channel.unary_unary("/test.Service/Echo")
        for _ in range(3):
            assert await in_thread(lambda: echo(message, timeout=20)) == message


async def test_grpc_server_streaming_is_passed_on_message_by_message(live):
    async with grpc_through(live) as call:
        messages = call.channel.unary_stream("/test.Service/Watch")(b"n", timeout=10)

        for number in range(3):
            assert await in_thread(next, messages) == b"n %d" % number
            call.service.gate.release()  # only now the next one is sent
        assert await in_thread(list, messages) == []
        assert messages.code() is call.grpc.StatusCode.OK


async def test_grpc_client_and_bidirectional_streaming(live):
    async with grpc_through(live) as call:
        pieces = [b"%d," % number for number in range(200)]

        whole = await in_thread(lambda: call.channel.stream_unary("/test.Service/Collect")(iter(pieces), timeout=10))
        answers = await in_thread(
            lambda: list(call.channel.stream_stream("/test.Service/Chat")(iter([b"a", b"b"]), timeout=10))
        )

        assert whole == b"".join(pieces)
        assert answers == [b"A", b"B"]


async def failure_of(call, method, message=b"", **options):
    def run():
        with pytest.raises(call.grpc.RpcError) as caught:
            call.channel.unary_unary(f"/test.Service/{method}")(message, **options)
        return caught.value

    return await in_thread(run)


async def test_grpc_errors_are_trailers_only(live):
    async with grpc_through(live) as call:
        refused = await failure_of(call, "Refuse", timeout=10)
        unknown = await failure_of(call, "Nobody", timeout=10)

        assert (refused.code(), refused.details()) == (call.grpc.StatusCode.INVALID_ARGUMENT, "not like this: %")
        assert unknown.code() is call.grpc.StatusCode.UNIMPLEMENTED


async def test_grpc_deadline_reaches_the_server(live):
    async with grpc_through(live) as call:
        late = await failure_of(call, "Hang", timeout=0.3)

        assert late.code() is call.grpc.StatusCode.DEADLINE_EXCEEDED
        assert await in_thread(call.service.cancelled.wait, 5)
        await at_rest(call.world, "http2.streams_active", "cluster.origin.http2.streams_active")
        # Whose clock is first is a race: the client resets, or the server, which knows the deadline too, ends the call.


async def test_grpc_a_call_that_is_called_off_is_reset_on_both_sides(live):
    async with grpc_through(live) as call:
        future = call.channel.unary_unary("/test.Service/Hang").future(b"")
        assert await in_thread(call.service.hanging.wait, 5)

        future.cancel()

        assert await in_thread(call.service.cancelled.wait, 5)
        await at_rest(call.world, "http2.streams_active", "cluster.origin.http2.streams_active")
        assert call.world.stat("http2.rx_reset") == 1
        assert call.world.stat("cluster.origin.http2.tx_reset") == 1


async def test_grpc_status_of_our_own_answers(live):
    async with grpc_through(live, route=", timeout: 0.2s") as call:
        late = await failure_of(call, "Hang", timeout=10)

        assert (late.code(), late.details()) == (call.grpc.StatusCode.UNAVAILABLE, "upstream request timeout")
        assert await in_thread(call.service.cancelled.wait, 5)


async def test_grpc_many_calls_at_once_on_one_connection(live):
    async with grpc_through(live) as call:
        echo = call.channel.unary_unary("/test.Service/Echo")

        def run():
            futures = [echo.future(b"%d" % number, timeout=15) for number in range(200)]
            return [future.result() for future in futures]

        assert await in_thread(run) == [b"%d" % number for number in range(200)]
        assert call.world.stat("http.ingress.downstream_cx_http2_total") == 1
        assert call.world.stat("http2.tx_reset") == 0
        assert call.world.stat("cluster.origin.upstream_rq_200") == 200
