"""curl as the client: HTTP/1.1, HTTP/1.0, h2c, HTTP/2 and HTTP/1.1 over TLS."""

import shutil
import subprocess

import pytest
import trio
import trustme

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


async def curl(*arguments):
    """(status line and headers, body) of one call."""
    command = [CURL, "--silent", "--show-error", "--include", "--max-time", "10", *arguments]
    done = await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.decode().rpartition("\r\n\r\n")
    return head, body


async def echo(stream):
    """An origin that answers the size of the body it got, and how it was framed."""
    data = b""
    while more := await stream.receive_some():
        data += more
        while b"\r\n\r\n" in data:
            head, _, rest = data.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            while len(rest) < length:
                rest += await stream.receive_some()
            data = rest[length:]
            body = b"%s %d" % (head.split(b" ")[0], length)
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return folder


def tls(folder):
    """YAML of a transport socket for proxy_config's listener: it is put beside the filters."""
    return f"""
          transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_certificates:
                - certificate_chain: {{filename: {folder}/cert.pem}}
                  private_key: {{filename: {folder}/key.pem}}
"""


def with_tls(config, folder):
    """The configuration with TLS on its listener."""
    before, marker, after = config.partition("      clusters:\n")
    return before + tls(folder).lstrip("\n").replace("          ", "          ", 1) + "\n" + marker + after


@pytest.mark.parametrize(
    ("flags", "line"), [(["--http1.1"], "HTTP/1.1 200 OK"), (["--http2-prior-knowledge"], "HTTP/2 200")]
)
async def test_plain(live, flags, line):
    async with live.origin(echo) as port, live.serving(live.proxy_config(port)) as world:
        url = f"http://127.0.0.1:{world.port}/"

        head, body = await curl(*flags, url)
        assert (head.splitlines()[0].strip(), body) == (line, "GET 0")
        assert "server: envoy" in head

        head, body = await curl(*flags, "--data-binary", "x" * 100_000, "-H", "expect:", url)
        assert body == "POST 100000"

        head, _ = await curl(*flags, "--head", url)
        assert "content-length: 6" in head.lower()


async def test_expect_continue_is_answered(live):
    async with live.origin(echo) as port, live.serving(live.proxy_config(port)) as world:
        head, body = await curl("-H", "expect: 100-continue", "--data-binary", "abc", f"http://127.0.0.1:{world.port}/")

    assert head.startswith("HTTP/1.1 100 Continue")
    assert body == "POST 3"


async def test_http10_is_told_to_upgrade(live):
    async with live.origin(echo) as port, live.serving(live.proxy_config(port)) as world:
        head, body = await curl("--http1.0", f"http://127.0.0.1:{world.port}/")

    assert head.startswith("HTTP/1.1 426 Upgrade Required")
    assert body == "Upgrade Required"


@pytest.mark.parametrize(("flag", "line"), [("--http1.1", "HTTP/1.1 200 OK"), ("--http2", "HTTP/2 200")])
async def test_tls_with_alpn(live, authority, flag, line):
    async with live.origin(echo) as port, live.serving(with_tls(live.proxy_config(port), authority)) as world:
        head, body = await curl(
            flag,
            "--cacert",
            str(authority / "ca.pem"),
            "--resolve",
            f"localhost:{world.port}:127.0.0.1",
            "--data-binary",
            "x" * 70_000,
            "-H",
            "expect:",
            f"https://localhost:{world.port}/",
        )

    assert head.splitlines()[0].strip() == line
    assert body == "POST 70000"
