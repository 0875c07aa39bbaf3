# ruff: noqa: E501 # tables of bytes
"""What requests and responses have in common: fields, odd ones too, and framed bodies, badly framed ones too."""

from random import Random

_NAMES = (
    b"X-A", b"x-b", b"Accept", b"Cookie", b"User-Agent", b"X_Under", b"x-Mixed-CASE", b"Via", b"Range", b"a", b"x-envoy-retry-on",
    b"X-Forwarded-For", b"X-Forwarded-Proto", b"x-request-id", b"Content-Type", b"Referer", b"Cache-Control", b"x_", b"_",
    b"x-envoy-original-path", b"Authorization",
)  # fmt: skip
_ODD_NAMES = (
    b"", b"x y", b"x\ty", b" x", b"x ", b"\tx", b"x\x00y", b"x\xffy", b"(x)", b"x:y", b'"x"', b"x/y", b"x@y", b"{x}", b"!#$%&'*+-.^`|~",
    b"x\ry", b"x\x0by", b"x\x7fy", b"x;y", b"x=y", b"x,y", b"x[y]", b"x\\y", b":path", b":method", b":authority", b":x", b"content_length",
)  # fmt: skip
_VALUES = (
    b"1",
    b"a b",
    b"",
    b"x" * 40,
    b'"quoted"',
    b"a,b",
    b"a, b , c",
    b"trailers",
    b"gzip",
    b"text/plain",
    b"http://ref.example/",
    b"abc=def; x=y",
)
_ODD_VALUES = (
    b"\x00", b"a\x00b", b"\x01", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff", b"\xc3\xa4", b" lead", b"trail  ", b"\t tab \t", b"a\rb",
    b"a\r\n b", b"a\r\n\tb", b"a\n b", b"\r\n x", b"a\r\n \r\n b", b"a\r", b"\r\r", b"x" * 900, b"x" * 5000,
)  # fmt: skip
_CONNECTION = (
    b"close", b"keep-alive", b"Close", b"KEEP-ALIVE", b"close, keep-alive", b"keep-alive, close", b"x-a", b"X-A, x-b", b"upgrade", b"Upgrade, close",
    b"te", b"TE, trailers", b"host", b"content-length", b"transfer-encoding", b"", b",", b"close,", b" close", b"clos", b"x-forwarded-for",
    b"cookie", b":path", b"connection", b"http2-settings, upgrade", b"a,b,c,d,e,f,g,h,i", b"a,b,c,d,e,f,g,h,i,j", b"close\x0b", b'"close"',
    b"close;q=1", b"keep-alive\tclose", b"close keep-alive", b"proxy-connection",
)  # fmt: skip
_LENGTHS = (
    b"0", b"3", b"5", b"05", b"0000000000000000000000005", b"+5", b"-5", b"-0", b"5 ", b" 5", b"5,5", b"5, 5", b"5,6", b"0x5", b"5.0", b"5;", b"",
    b"a", b"18446744073709551615", b"18446744073709551616", b"9223372036854775807", b"9223372036854775808", b"99999999999999999999999", b"1e1",
    b"5\t", b"\x0b5", b"5\x00", b"\xb2", b"5\r\n 5", b"4294967296", b"5 5", b"1_0", b"''5",
)  # fmt: skip
_CODINGS = (
    b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b" chunked", b"\tchunked", b"chunked,", b",chunked", b"chunked, chunked", b"gzip", b"gzip, chunked",
    b"chunked, gzip", b"identity", b"identity, chunked", b"chunke", b"xchunked", b"chunked;q=1", b'"chunked"', b"", b"chunked\x0b", b"chunked\x00",
    b"chun\r\n ked", b"\r\n chunked", b"trailers", b"\x0cchunked", b"chunked\r", b"x, chunked",
)  # fmt: skip
_SIZES = (
    b"", b"0x3", b"03", b"003", b"00000000000000003", b"000000000000000000000003", b" 3", b"3 ", b"3\t", b"\t3", b"+3", b"-3", b"3;", b"3;a=b", b'3;a="b"', b"3 ;a", b"3; a",
    b"3;a\x00", b"3;a\rb", b"3;\n", b"3,", b"3 3", b"g", b"ffffffffffffffff", b"fffffffffffffffff", b"10000000000000000", b"7fffffffffffffff",
    b"8000000000000000", b"3;" + b"x" * 300, b"3\x0b", b"3\x00", b"3;\x80", b"3;a=\"\r\"", b"3x", b"3.0", b"3_0", b"3;a=\x7f", b"3;\x01", b"3\r", b";3", b"3;;",
)  # fmt: skip
_LAST = (
    b"0", b"00", b"0;a", b"0 ", b"0;a=b", b"000000000000000000000000", b"-0", b"", b"0x0", b"0\t", b"0\r",
)  # fmt: skip
_TRAILERS = (
    b"X-T: 1", b"x-t:2", b"content-length: 5", b"Transfer-Encoding: chunked", b"host: evil", b"X_T: u", b"bad trailer", b": x", b"x :y", b" folded", b"x-t: a\r\n b",
    b"X-T: \x00", b"x\xff: 1", b"x-t: \xff", b"trailer", b"connection: close", b"te: gzip", b"cookie: a=b", b"x-long: " + b"x" * 1200, b":path: /x", b"x-t: a\rb", b"Upgrade: x",
)  # fmt: skip


def line_end(random: Random) -> bytes:
    """Nearly always CRLF."""
    return (
        b"\r\n"
        if random.random() < 0.985
        else random.choice((b"\n", b"\r", b"\r\r\n", b" \r\n", b"\n\r", b"\r\n ", b"\t\r\n"))
    )


def field(random: Random, *, odd: float) -> bytes:
    """A field line without its end; odd with this probability."""
    name, value = random.choice(_NAMES), random.choice(_VALUES)
    if random.random() < odd:
        kind = random.randrange(4)
        if kind == 0:
            name = random.choice(_ODD_NAMES)
        elif kind == 1:
            value = random.choice(_ODD_VALUES)
        elif kind == 2:
            return name + random.choice((b" : ", b"\t:", b":", b": \t", b" ", b"", b"::", b":\r ", b":\x00")) + value
        else:
            return random.choice((b" ", b"\t", b"")) + name + b": " + value
    return name + b": " + value


def connection(random: Random) -> bytes:
    """A field about the connection."""
    name = random.choice((b"Connection", b"Connection", b"connection", b"Proxy-Connection", b"Keep-Alive"))
    return name + b": " + random.choice(_CONNECTION)


def fields(random: Random, most: int) -> list[bytes]:
    """Some field lines."""
    odd = random.choice((0.0, 0.0, 0.3))
    lines = [field(random, odd=odd) for _ in range(random.randrange(most + 1))]
    if random.random() < 0.2:
        lines.append(connection(random))
    if random.random() < 0.03:
        lines += [b"X-%d: y" % index for index in range(random.choice((9, 10, 11, 12, 96, 97, 98, 99, 100, 101, 300)))]
    if random.random() < 0.02:
        size = random.choice(
            (700, 850, 900, 950, 1000, 1024, 1100, 59_000, 61_300, 61_400, 61_440, 62_000, 81_000, 90_000)
        )
        lines.append(b"X-Long: " + b"x" * random.randrange(size - 40, size + 40))
    return lines


def framed(random: Random, *, broken: float) -> tuple[list[bytes], bytes]:
    """Field lines that frame a body, and its bytes; wrong with this probability."""
    body = random.choice(
        (b"hello", b"abc", b"", b"x" * 700, b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n", b"0\r\n\r\n")
    )
    lines: list[bytes] = []
    length, coding = b"%d" % len(body), b"chunked"
    style = random.random()
    if random.random() < broken:
        if random.random() < 0.5:
            length = random.choice(_LENGTHS)
        else:
            coding = random.choice(_CODINGS)
    if style < 0.45 or style >= 0.9:
        lines.append(_cased(random, b"Content-Length") + b": " + length)
    if style >= 0.45:
        lines.append(_cased(random, b"Transfer-Encoding") + b": " + coding)
        body = chunked(random, body, broken=broken)
    if random.random() < broken / 3:  # twice
        lines.append(b"Content-Length: " + random.choice((length, b"%d" % len(body), random.choice(_LENGTHS))))
    if random.random() < broken / 4:
        lines.append(b"Transfer-Encoding: " + random.choice(_CODINGS))
    random.shuffle(lines)
    return lines, body


def chunked(random: Random, body: bytes, *, broken: float) -> bytes:
    """A body in chunks; wrong with this probability."""
    out = b""
    while body:
        size = random.randrange(1, len(body) + 1)
        piece, body = body[:size], body[size:]
        line = b"%x" % size if random.random() < 0.9 else b"%X;ext=1" % size
        end = b"\r\n"
        if random.random() < broken / 3:
            piece = b"abc" if random.random() < 0.7 else piece
            line = random.choice(_SIZES)
        if random.random() < broken / 5:
            end = random.choice((b"\n", b"", b"\r", b"x\r\n", b"\r\r\n", b"\r\n\r\n", b" \r\n", b"\rx"))
        out += (
            line
            + (b"\r\n" if random.random() > broken / 8 else random.choice((b"\n", b"\r", b"", b"\r\r\n")))
            + piece
            + end
        )
    out += (b"0" if random.random() > broken / 5 else random.choice(_LAST)) + b"\r\n"
    if random.random() < 0.3:
        for _ in range(random.randrange(4)):
            trailer = random.choice(_TRAILERS if random.random() < max(broken, 0.1) else _TRAILERS[:2])
            out += trailer + line_end(random)
    return out + (b"\r\n" if random.random() > broken / 8 else random.choice((b"\n", b"", b"\r", b"x\r\n")))


def _cased(random: Random, name: bytes) -> bytes:
    return random.choice((name, name.lower(), name.upper(), name))
