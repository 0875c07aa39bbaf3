"""A cluster with auto_config in front of a server of ours, over TLS, whose listener offers what the test says."""

import pytest
import trio
import trustme

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
TLS = "envoy.extensions.transport_sockets.tls.v3"
CLUSTER = f"""transport_socket:
          name: tls
          typed_config: {{"@type": type.googleapis.com/{TLS}.UpstreamTlsContext, sni: service.test}}
        typed_extension_protocol_options:
          {OPTIONS}: {{"@type": type.googleapis.com/{OPTIONS}, auto_config: {{}}}}"""
SIZE = 100_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    trustme.CA().issue_cert("service.test").private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


def over_tls(config, certificate, alpn):
    """The same with TLS on its listener, and a route that answers by itself what was spoken."""
    socket = (
        f"- transport_socket: {{name: tls, typed_config: {{'@type': type.googleapis.com/{TLS}.DownstreamTlsContext, "
        f"common_tls_context: {{alpn_protocols: {alpn}, tls_certificates: [{{certificate_chain: "
        f"{{filename: {certificate}}}, private_key: {{filename: {certificate}}}}}]}}}}}}\n          filters:"
    )
    answer = (
        f"direct_response: {{status: 200, body: {{inline_string: {'y' * SIZE}}}}}\n"
        "                    response_headers_to_add: [{header: {key: x-spoken, value: '%PROTOCOL%'}}]"
    )
    assert "- filters:" in config
    assert "route: {cluster: origin}" in config
    config = config.replace("- filters:", socket).replace("route: {cluster: origin}", answer)
    return config.replace("route_config:", "route_config:\n                max_direct_response_body_size_bytes: 200000")


async def ask_many(world, count):
    """So many requests at once, with bodies; all answers."""
    answers = []

    async def ask():
        head = f"POST / HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\ncontent-length: {SIZE}\r\n\r\n".encode()
        answers.append(await world.ask(head + b"x" * SIZE))

    with trio.fail_after(20):
        async with trio.open_nursery() as tasks:
            for _ in range(count):
                tasks.start_soon(ask)
    return answers


@pytest.mark.parametrize(
    ("alpn", "spoken"), [("[h2, http/1.1]", b"HTTP/2"), ("[http/1.1]", b"HTTP/1.1"), ("[]", b"HTTP/1.1")]
)
async def test_requests_at_once_with_bodies(live, certificate, alpn, spoken):
    origin = over_tls(live.proxy_config(1), certificate, alpn)
    async with (
        live.serving(origin) as upstream,
        live.serving(live.proxy_config(upstream.port, cluster=CLUSTER)) as world,
    ):
        answers = await ask_many(world, 8)

        assert len(answers) == 8
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nx-spoken: " + spoken + b"\r\n" in answer
            assert answer.endswith(b"\r\n\r\n" + b"y" * SIZE)
        http1, http2 = [world.stat(f"cluster.origin.upstream_cx_http{version}_total") for version in (1, 2)]
        if spoken == b"HTTP/2":
            assert (http1, http2) == (0, 1)
        else:
            assert 1 <= http1 <= 8
            assert http2 == 0
        assert world.stat("cluster.origin.upstream_rq_2xx") == 8
        assert world.stat("cluster.origin.upstream_rq_active") == 0
