from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from tests.fakes import receive_some
from tests.upstream.fakes import LiveCluster, config_of, counted, endpoint
from trio_envoy.config.core import HeaderAppendAction, HeaderValue, HeaderValueOption, RequestMethod
from trio_envoy.config.endpoint import HealthCheckConfig
from trio_envoy.config.healthcheck import HealthCheck, HttpHealthCheck, Payload
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.runtime_layers import LayeredRuntime, RuntimeLayer
from trio_envoy.config.types import CodecClientType, Int64Range
from trio_envoy.errors import ConfigError
from trio_envoy.net.channel import send_all
from trio_envoy.runtime import Runtime, RuntimeStats

A = "10.0.0.1:80"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def checked(*endpoints, settings=None, **fields):
    times = {"timeout": 2.0, "interval": 10.0, "no_traffic_interval": 10.0} | (settings or {})
    message = HttpHealthCheck(path="/hc", **fields)
    check = HealthCheck(http_health_check=message, unhealthy_threshold=3, healthy_threshold=1, **times)
    return config_of(*(endpoints or (A,)), health_checks=(check,))


def status(number, *fields):
    return b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n%b\r\n" % (number, b"".join(field + b"\r\n" for field in fields))


class Peer:
    """Answers each request with the next of its answers, the last one stays; b"" closes.

    Attributes:
        requests: what came, one entry a request.
        connections: how many there were.
    """

    def __init__(self, *answers, address=A):
        self.answers = list(answers)
        self.requests = []
        self.connections = 0
        self.address = address

    async def run(self, services):
        async with trio.open_nursery() as nursery:
            while True:
                far = await services.network.accept(self.address, self.connections)
                self.connections += 1
                nursery.start_soon(self._serve, far)

    async def _serve(self, far):
        with suppress(OSError):  # the test closed it
            await self._answer(far)

    async def _answer(self, far):
        while True:
            request = await receive_some(far)
            if not request:
                return
            if b"content-length: 3" in request and not request.endswith(b"abc"):
                request += await receive_some(far)
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if not answer:
                far.close()
                return
            await send_all(far, answer)


def health(cluster):
    return cluster.hosts.hosts[0].flags_text()


@pytest.fixture
async def run(services, nursery):
    """run(config, peer) -> the cluster, warm."""

    async def start(config, peer):
        nursery.start_soon(peer.run, services)
        cluster = LiveCluster(config, services).cluster
        await nursery.start(cluster.run)
        return cluster

    yield start
    nursery.cancel_scope.cancel()


async def test_the_request_is_envoys(run, services, autojump_clock):
    peer = Peer(OK)

    cluster = await run(checked(), peer)

    assert peer.requests == [b"GET /hc HTTP/1.1\r\nhost: c\r\nuser-agent: Envoy/HC\r\n\r\n"]
    assert health(cluster) == "healthy"


async def test_the_connection_is_kept(run, services, autojump_clock):
    peer = Peer(OK)

    await run(checked(), peer)
    await trio.sleep(25)

    assert (len(peer.requests), peer.connections) == (3, 1)


async def test_the_connection_is_not_kept(run, services, autojump_clock):
    peer = Peer(OK)

    await run(checked(settings={"reuse_connection": False}), peer)
    await trio.sleep(25)

    assert (len(peer.requests), peer.connections) == (3, 3)


async def test_a_connection_that_closed_between_checks_is_no_failure(run, services, autojump_clock):
    peer = Peer(OK)
    cluster = await run(checked(), peer)

    services.network.far().close()
    await trio.sleep(15)

    assert health(cluster) == "healthy"
    assert peer.connections == 2
    assert "health_check.failure" not in counted(services)


async def test_connection_close_is_honoured(run, services, autojump_clock):
    peer = Peer(status(200, b"connection: close"))

    cluster = await run(checked(), peer)
    await trio.sleep(15)

    assert health(cluster) == "healthy"
    assert peer.connections == 2


async def test_request_with_everything(run, services, autojump_clock):
    peer = Peer(OK)
    add = (
        HeaderValueOption(header=HeaderValue(key="X-A", value="one")),
        HeaderValueOption(header=HeaderValue(key="x-a", value="two")),
        HeaderValueOption(header=HeaderValue(key="x-host", value="%UPSTREAM_HOST% 100%%")),
        HeaderValueOption(header=HeaderValue(key="x-a", value="never"), append_action=HeaderAppendAction.ADD_IF_ABSENT),
        HeaderValueOption(
            header=HeaderValue(key="x-b", value="never"), append_action=HeaderAppendAction.OVERWRITE_IF_EXISTS
        ),
        HeaderValueOption(header=HeaderValue(key="x-host", value="%REQ(x)%")),
        HeaderValueOption(header=HeaderValue(key="x-empty", value=""), keep_empty_value=True),
        HeaderValueOption(header=HeaderValue(key="x-c", value="1")),
        HeaderValueOption(header=HeaderValue(key="x-c", value="2"), append=False),
    )

    await run(
        checked(
            host="over.example",
            method=RequestMethod.POST,
            send=Payload(text="616263"),
            request_headers_to_add=add,
            request_headers_to_remove=("User-Agent",),
        ),
        peer,
    )

    assert peer.requests == [
        b"POST /hc HTTP/1.1\r\nhost: over.example\r\nx-a: one\r\nx-a: two\r\nx-host: 10.0.0.1:80 100%\r\nx-empty: \r\n"
        b"x-c: 2\r\ncontent-length: 3\r\n\r\nabc"
    ]


async def test_a_host_has_its_own_name_and_port(run, services, autojump_clock):
    peer = Peer(OK, address="10.0.0.1:99")
    check = HealthCheckConfig(hostname="own", port_value=99)

    cluster = await run(checked(endpoint(A, health_check_config=check), host="c.example"), peer)

    assert b"host: own\r\n" in peer.requests[0]
    assert health(cluster) == "healthy"


@pytest.mark.parametrize(
    ("fields", "answer", "flags"),
    [
        ({}, status(200), "healthy"),
        ({}, status(204), "/failed_active_hc"),
        ({}, status(503), "/failed_active_hc"),
        ({"expected_statuses": (Int64Range(start=200, end=300),)}, status(299), "healthy"),
        ({"expected_statuses": (Int64Range(start=200, end=300),)}, status(300), "/failed_active_hc"),
        ({"expected_statuses": (Int64Range(start=204, end=205),)}, status(200), "/failed_active_hc"),
        ({}, status(200, b"x-envoy-degraded: true"), "/degraded_active_hc"),
        ({}, status(200, b"x-envoy-immediate-health-check-fail: true"), "healthy"),  # measured
        (
            {},
            status(503, b"x-envoy-immediate-health-check-fail: true"),
            "/failed_active_hc/excluded_via_immediate_hc_fail",
        ),
        ({"receive": (Payload(binary=b"ok"),)}, OK, "healthy"),
        ({"receive": (Payload(binary=b"ko"),)}, OK, "/failed_active_hc"),
        ({"receive": (Payload(binary=b"k"),), "response_buffer_size": 1}, OK, "/failed_active_hc"),
        ({"receive": (Payload(binary=b"ok"),), "response_buffer_size": 0}, OK, "healthy"),
        ({"method": RequestMethod.HEAD}, OK[:-2], "healthy"),
        ({}, b"nonsense\r\n\r\n", "/failed_active_hc"),
        ({}, b"", "/failed_active_hc"),
        (
            {"service_name_matcher": StringMatcher(prefix="loc")},
            status(200, b"x-envoy-upstream-healthchecked-cluster: locations"),
            "healthy",
        ),
        (
            {"service_name_matcher": StringMatcher(prefix="loc")},
            status(200, b"x-envoy-upstream-healthchecked-cluster: other"),
            "/failed_active_hc",
        ),
        ({"service_name_matcher": StringMatcher(prefix="loc")}, status(200), "/failed_active_hc"),
    ],
)
async def test_answers(run, services, autojump_clock, fields, answer, flags):
    cluster = await run(checked(**fields), Peer(answer))

    assert health(cluster) == flags


async def test_a_retriable_status_counts_up_to_the_threshold(run, services, autojump_clock):
    peer = Peer(OK, status(503), status(503), status(503))
    cluster = await run(checked(retriable_statuses=(Int64Range(start=503, end=504),)), peer)

    await trio.sleep(25)
    assert health(cluster) == "healthy"
    await trio.sleep(10)
    assert health(cluster) == "/failed_active_hc"


async def test_the_service_name_is_counted(run, services, autojump_clock):
    await run(checked(service_name_matcher=StringMatcher(prefix="loc")), Peer(OK))

    assert counted(services)["health_check.verify_cluster"] == 1


async def test_the_runtime_can_turn_the_service_name_off(run, services, autojump_clock):
    values = {"health_check.verify_cluster": 0}
    services.runtime = Runtime(LayeredRuntime(layers=(RuntimeLayer(name="l", static_layer=values),)), RuntimeStats())

    cluster = await run(checked(service_name_matcher=StringMatcher(prefix="loc")), Peer(OK))

    assert health(cluster) == "healthy"
    assert "health_check.verify_cluster" not in counted(services)


async def test_broken_answers_are_network_failures(run, services, autojump_clock):
    await run(checked(), Peer(b"nonsense\r\n\r\n"))

    assert counted(services)["health_check.network_failure"] == 1


async def test_no_answer_is_a_timeout_and_the_next_check_has_a_new_connection(run, services, autojump_clock):
    peer = Peer(b"HTTP/1.1 200 OK\r\n", OK)

    cluster = await run(checked(), peer)
    assert trio.current_time() == pytest.approx(2)
    assert health(cluster) == "/failed_active_hc/active_hc_timeout"

    await trio.sleep(15)
    assert health(cluster) == "healthy"
    assert peer.connections == 2


async def test_a_refused_connection(run, services, autojump_clock):
    services.network.faults[A] = ConnectionRefusedError(111, "refused")

    cluster = await run(checked(), Peer(OK))

    assert health(cluster) == "/failed_active_hc"
    assert counted(services)["health_check.network_failure"] == 1


async def test_http2_with_prior_knowledge(services, autojump_clock, nursery):
    seen = []
    nursery.start_soon(serve_http2, services, seen)
    cluster = LiveCluster(checked(codec_client_type=CodecClientType.HTTP2), services).cluster

    await nursery.start(cluster.run)
    await trio.sleep(15)

    assert health(cluster) == "healthy"
    assert len(services.network.accepted[A]) == 1
    wanted = [(b":method", b"GET"), (b":authority", b"c"), (b":path", b"/hc"), (b"user-agent", b"Envoy/HC")]
    assert all(set(wanted) <= set(request) for request in seen)
    assert len(seen) == 2
    nursery.cancel_scope.cancel()


async def serve_http2(services, seen):
    """One connection, each request answered 200."""
    far = await services.network.accept(A, 0)
    config = h2.config.H2Configuration(client_side=False, header_encoding=None)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    while True:
        await send_all(far, connection.data_to_send())
        for event in connection.receive_data(await receive_some(far)):
            if isinstance(event, h2.events.RequestReceived):
                seen.append(event.headers)
                connection.send_headers(event.stream_id, [(b":status", b"200")], end_stream=True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"send": Payload(text="61")}, "cannot specify a request payload with method 'GET'"),
        ({"request_headers_to_remove": ("Host",)}, ":-prefixed or host headers may not be removed"),
        ({"request_headers_to_remove": (":path",)}, ":-prefixed or host headers may not be removed"),
        (
            {"receive": (Payload(text="6162"), Payload(text="63")), "response_buffer_size": 2},
            "expected response length '3' is over than http health response buffer size '2'",
        ),
        ({"codec_client_type": CodecClientType.HTTP3}, "codec_client_type HTTP3 is not supported here"),
        (
            {"expected_statuses": (Int64Range(start=500, end=400),)},
            "Invalid http expected status range: expecting start < end, but found start=500 and end=400",
        ),
        ({"expected_statuses": (Int64Range(start=50, end=400),)}, "expecting start >= 100, but found start=50"),
        ({"retriable_statuses": (Int64Range(start=500, end=700),)}, "retriable status range: expecting end <= 600"),
        (
            {"request_headers_to_add": (HeaderValueOption(header=HeaderValue(key="Host", value="x")),)},
            ":-prefixed or host headers may not be modified",
        ),
        (
            {"request_headers_to_add": (HeaderValueOption(header=HeaderValue(key="x", value="%NOT_ONE%")),)},
            "NOT_ONE",
        ),
        ({"service_name_matcher": StringMatcher()}, "a string matcher needs one of"),
    ],
)
def test_what_can_not_be_is_refused(services, fields, text):
    with pytest.raises(ConfigError, match=text):
        LiveCluster(checked(**fields), services)
