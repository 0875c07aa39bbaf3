# ruff: noqa: E501 # tables of bytes
"""Made responses, to requests that are in order."""

from random import Random

from tests.fuzz import messages, mutate
from tests.fuzz.inputs import Input, Script

_REQUESTS = (
    ("GET", b"GET /r HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("GET", b"GET /r HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("GET", b"GET /r HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("HEAD", b"HEAD /r HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("POST", b"POST /r HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"),
    ("POST", b"POST /r HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"),
    ("GET", b"GET /r HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    ("GET", b"GET /r HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"),
)
_OLD = (
    ("GET", b"GET /r HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"),
    ("GET", b"GET /r HTTP/1.0\r\nhost: a\r\n\r\n"),
)
_VERSIONS = (b"HTTP/1.1",) * 12 + (b"HTTP/1.0",)
_ODD_VERSIONS = (
    b"HTTP/1.2", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/11.1", b"", b"ICY", b" HTTP/1.1", b"\r\nHTTP/1.1", b"\nHTTP/1.1", b"HTTP/1,1", b"HTTP /1.1",
    b"HTTP/1.1\x00", b"XHTTP/1.1", b"HTTP/3", b"HTTP/1.1\t", b"\x00HTTP/1.1", b"HTTPS/1.1", b"HTTP/1.10", b"HTTP/01.1",
)  # fmt: skip
_STATUSES = (
    b"200",
    b"200",
    b"200",
    b"201",
    b"204",
    b"304",
    b"404",
    b"500",
    b"302",
    b"205",
    b"206",
    b"299",
    b"418",
    b"599",
    b"600",
    b"999",
)
_ODD_STATUSES = (
    b"100", b"101", b"102", b"103", b"199", b"0", b"1", b"99", b"000", b"020", b"1000", b"2000", b"-200", b"+200", b"20", b"2OO", b"", b"200x", b"x200", b"0200", b"200.0", b"2 00", b"\xb2\xb0\xb0", b"200\t", b"200\x00",
    b"0x200", b"99999999999", b"200,", b"65736",
)  # fmt: skip
_REASONS = (
    b" OK",
    b" OK",
    b"",
    b" ",
    b" Not so good",
    b" \x80\xff",
    b"  OK",
    b"\tOK",
    b" O\x00K",
    b" O\rK",
    b" OK\r",
    b" " + b"x" * 500,
)
_INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 100\r\n\r\n",
    b"HTTP/1.1 199 x\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.0 100 x\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 x\r\n\r\n",
    b"HTTP/1.1 100 x\r\nConnection: close\r\n\r\n",
)
_SURPLUS = (
    b"x", b"\r\n", b"\n", b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", b"0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\x00", b" ", b"HTTP/1.1 408 Timeout\r\nconnection: close\r\n\r\n",
)  # fmt: skip


def make(random: Random, options: str) -> Input:
    """One input with a script for the origin."""
    requests = _REQUESTS + _OLD * 2 if options in ("permissive", "strict") else _REQUESTS
    method, request = random.choice(requests)
    data = _response(random, method)
    pause = 0.004
    if random.random() < 0.45:
        data = mutate.mutated(random, data, random.choice((1, 1, 1, 2, 3)))
    if random.random() < 0.08:
        data = data[: random.randrange(len(data) + 1)]
    pieces = mutate.cut(random, data, 5) if random.random() < 0.15 else (data,)
    if random.random() < 0.06:
        surplus = random.choice(_SURPLUS)
        pieces = (*pieces, surplus) if random.random() < 0.5 else (*pieces[:-1], pieces[-1] + surplus)
    then = random.choice(("keep", "keep", "close", "close", "reset"))
    early = method == "POST" and random.random() < 0.1
    return Input(options, (request,), script=Script(pieces, then, early, pause), method=method)


def _response(random: Random, method: str) -> bytes:
    interim = b""
    if random.random() < 0.1:
        interim = b"".join(random.choice(_INTERIM) for _ in range(random.choice((1, 1, 2, 3))))
    elif random.random() < 0.01:
        interim = random.choice(_INTERIM) * random.choice((10, 50, 200))
    version = random.choice(_VERSIONS if random.random() < 0.9 else _ODD_VERSIONS)
    status = random.choice(_STATUSES if random.random() < 0.85 else _ODD_STATUSES)
    reason = random.choice(_REASONS if random.random() < 0.3 else _REASONS[:3])
    lines = messages.fields(random, 5)
    body = random.choice((b"", b"until the close", b"x" * 700)) if random.random() < 0.2 else b""
    if random.random() < 0.8:
        framing, body = messages.framed(random, broken=random.choice((0.0, 0.5, 0.8)))
        lines += framing
    if method == "HEAD" and random.random() < 0.8:
        body = b""
    if random.random() < 0.05:
        lines += [b"Upgrade: " + random.choice((b"websocket", b"h2c", b"foo")), b"Connection: upgrade"]
    if random.random() < 0.3:
        random.shuffle(lines)
    first = version + b" " + status + reason
    text = b"".join(line + messages.line_end(random) for line in (first, *lines)) + messages.line_end(random)
    return interim + text + body
