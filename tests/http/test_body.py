from trio_envoy.http.body import BytesBody, read_all
from trio_envoy.http.headers import Headers


async def test_bytes_come_once():
    body = BytesBody(b"abc", Headers([(b"x", b"1")]))

    assert body.read_nowait() == b"abc"
    assert body.read_nowait() == b""
    assert await body.read() == b""
    assert body.trailers.get(b"x") == b"1"


async def test_read_all_within_and_over_the_limit():
    assert await read_all(BytesBody(b"abc"), 3) == b"abc"
    assert await read_all(BytesBody(b"abcd"), 3) is None
    assert await read_all(BytesBody(b""), 0) == b""
