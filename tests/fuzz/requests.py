# ruff: noqa: E501 # tables of bytes
"""Made requests: mostly nearly right, in one or two things wrong."""

from random import Random

from tests.fuzz import messages, mutate
from tests.fuzz.inputs import Input

_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"GET", b"POST")
_ODD_METHODS = (
    b"FOO", b"get", b"Get", b"CONNECT", b"PROPFIND", b"M-SEARCH", b"MSEARCH", b"PRI", b"QUERY", b"LINK", b"SOURCE", b"X" * 40, b"G\x00ET", b"G ET", b"", b" GET", b"GET\x80",
    b"(GET)", b"GE:T", b"A_B", b"'", b"PURGE", b"MKCOL", b"DESCRIBE", b"ANNOUNCE", b"SETUP", b"FLUSH", b"REPORT", b"UNLINK", b"\x16\x03\x01", b"POST\t", b"DELETE\r", b"x" * 5000,
)  # fmt: skip
_TARGETS = (b"/", b"/x", b"/a/b?c=d", b"/x?y=z&a=%20", b"/a%2Fb", b"/a//b", b"/./a/../b", b"/%2e%2e/a")
_ODD_TARGETS = (
    b"*", b"x", b"", b"//", b"//evil/x", b"/x#frag", b"/#", b"/a b", b"/\x00", b"/\xff", b"/\xc3\xa4", b"/\x7f", b"/\x01", b"/a\tb", b"?x", b"#x", b"http://h.example/p",
    b"http://h.example", b"HTTP://H.EXAMPLE/P", b"https://h.example/p?q", b"ftp://h/p", b"http://", b"http:///x", b"http://h:80/p", b"http://h:99999/", b"http://u@h/",
    b"http://h?q", b"http://h#f", b"http://[::1]/x", b"http://[::1]:80/x", b"http://h/p#f", b"http:/x", b"http:x", b"h.example:80", b"h:80", b"[::1]:80", b"h", b"/..",
    b"/../..", b"/%", b"/%zz", b"/%00", b"/a%5cb", b"/a\\b", b"/a%2fb%2Fc", b"/;x", b"/\"<>", b"/{}|^`", b"/x?a=b?c#d", b"/" + b"x" * 1000, b"/" + b"x" * 62000, b"*x", b"/*",
    b"http://h example/", b"http://h/\x80", b"/\x0c", b"/%2e/%2E%2e/", b"/a/%2e%2e%2fb", b"http://h:/x", b"http://h:a/x", b"http://a.b:80@c/x", b"ws://h/x", b"http://%68/x",
    b"http://h_x/", b"http://h\x00/", b"/x\r", b"http://h\\x/", b"/a/..;/b", b"/a/.%2e/b", b"/?", b"/??", b"/x?%2F", b"/x?a#", b"http://h/../x",
)  # fmt: skip
_VERSIONS = (b"HTTP/1.1",) * 12
_ODD_VERSIONS = (
    b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/2", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1", b"HTTP/", b"HTTP", b"", b"HTTP/1,1",
    b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1.1\t", b"xHTTP/1.1", b"HTTP/1.1x", b"HTTP/9.9", b"HTTP/1.1 x", b"ICE/1.0", b"RTSP/1.0", b"HTTP/-1.1", b"HTTP/1.\x00", b"HTTP/11.1", b"HTTPS/1.1",
)  # fmt: skip
_HOSTS = (
    b"a.example",
    b"a.example:80",
    b"a",
    b"A.EXAMPLE",
    b"a.example.",
    b"127.0.0.1",
    b"[::1]",
    b"[::1]:80",
    b"a.example.:80",
)
_ODD_HOSTS = (
    b"", b" ", b"a b", b"a,b", b"a@b", b"a/b", b"a?b", b"a#b", b"a\\b", b"a:b", b"a:99999", b"a:", b":80", b"[::1", b"a\x00", b"\xff", b"a%20b", b"a;b", b"http://a", b"a<b>", b'"a"', b"a^b", b"a`b", b"a|b", b"a{b}",
    b"..", b"a..", b"a:80:80", b"a_b", b"\tx", b"x" * 300, b"a:443", b"a:0", b"a:080", b"a.:80.", b"[a]", b"::1",
)  # fmt: skip
_EXPECT = (b"100-continue", b"100-Continue", b"200-ok", b"", b"100-continue, x", b" 100-continue")
_UPGRADE = (b"websocket", b"h2c", b"h2c, websocket", b"foo", b"", b"TLS/1.0", b"WebSocket", b"websocket, h2c", b"H2C")
_TE = (b"trailers", b"gzip", b"trailers, gzip", b"gzip;q=1, trailers", b"Trailers", b"trailers;q=0", b"", b"chunked")


def make(random: Random, options: str) -> Input:
    """One input of requests."""
    count = random.choice((1, 1, 1, 1, 1, 2, 3))
    data = b"".join(_request(random) for _ in range(count))
    if random.random() < 0.04:
        data = random.choice((b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\x00", b"\n\n\r")) + data
    if random.random() < 0.45:
        data = mutate.mutated(random, data, random.choice((1, 1, 1, 2, 3)))
    if random.random() < 0.06:
        data = data[: random.randrange(len(data) + 1)]
    pieces = mutate.cut(random, data, 5) if random.random() < 0.15 else (data,)
    return Input(options, pieces, then="end" if random.random() < 0.05 else "probe")


def _request(random: Random) -> bytes:
    method = random.choice(_METHODS if random.random() < 0.9 else _ODD_METHODS)
    target = random.choice(_TARGETS if random.random() < 0.75 else _ODD_TARGETS)
    version = random.choice(_VERSIONS if random.random() < 0.88 else _ODD_VERSIONS)
    blank = (
        b" " if random.random() < 0.97 else random.choice((b"  ", b"\t", b"", b"\r", b"\x0b", b" \t", b"\x0c", b"\x00"))
    )
    lines = messages.fields(random, 5)
    body = b""
    if random.random() < (0.6 if method in (b"POST", b"PUT", b"PATCH") else 0.12):
        framing, body = messages.framed(random, broken=random.choice((0.0, 0.5, 0.8)))
        lines += framing
    lines += _special(random)
    if random.random() < 0.95:
        host = random.choice(_HOSTS if random.random() < 0.85 else _ODD_HOSTS)
        lines.insert(random.choice((0, 0, len(lines))), random.choice((b"Host: ", b"host: ", b"HOST:")) + host)
        if random.random() < 0.03:
            lines.append(b"Host: " + random.choice((host, *_HOSTS)))
    if random.random() < 0.3:
        random.shuffle(lines)
    first = method + blank + target + blank + version
    return b"".join(line + messages.line_end(random) for line in (first, *lines)) + messages.line_end(random) + body


def _special(random: Random) -> list[bytes]:
    lines = []
    if random.random() < 0.04:
        lines.append(b"Expect: " + random.choice(_EXPECT))
    if random.random() < 0.04:
        lines += [
            b"Upgrade: " + random.choice(_UPGRADE),
            b"Connection: " + random.choice((b"upgrade", b"Upgrade", b"close", b"upgrade, x-a")),
        ]
    if random.random() < 0.04:
        lines.append(b"TE: " + random.choice(_TE))
    if random.random() < 0.01:
        lines.append(b"HTTP2-Settings: x")
    return lines
