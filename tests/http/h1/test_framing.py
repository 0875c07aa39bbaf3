import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1.framing import Chunked, Length, UntilClose
from trio_envoy.http.h1.writer import chunk, last_chunk
from trio_envoy.http.headers import Headers


def chunked(**options):
    return Chunked(**{"max_trailer_bytes": 1000, "keep_trailers": True} | options)


def feed(framing, data, size=None):
    """Feed in pieces; (payload, what was not taken)."""
    payload = b""
    position = 0
    size = size or len(data)
    while position < len(data) and not framing.ended:
        piece = data[position : position + size]
        position += framing.feed(piece, 0)
        payload += framing.take() or b""
    return payload, data[position:]


def test_length_takes_its_bytes_and_no_more():
    framing = Length(3)

    assert framing.feed(b"..abcdef", 2) == 5
    assert framing.ended
    assert not framing.drained
    assert framing.take() == b"abc"
    assert framing.drained
    assert framing.take() == b""
    assert framing.wire_bytes == 3
    framing.end_of_stream()


async def test_a_body_that_has_ended_reads_as_any_body():
    framing = Length(3)
    framing.feed(b"abc", 0)

    assert await framing.read() == b"abc"
    assert framing.read_nowait() == b""
    assert await framing.read() == b""


def test_length_in_pieces_comes_out_joined():
    framing = Length(4)

    framing.feed(b"ab", 0)
    framing.feed(b"c", 0)

    assert framing.take() == b"abc"
    assert framing.take() is None
    with pytest.raises(RemoteProtocolError):
        framing.end_of_stream()


def test_until_close_ends_only_there():
    framing = UntilClose()

    assert framing.feed(b"xab", 1) == 3
    assert framing.take() == b"ab"
    assert framing.take() is None
    framing.end_of_stream()
    assert framing.take() == b""


@pytest.mark.parametrize("size", [1, 2, 3, None])
@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"0\r\n\r\n", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"A\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
        (b"3;x=y\r\nabc\r\n0;z\r\n\r\n", b"abc"),
        (b"3 \t;x\r\nabc\r\n0 \r\n\r\n", b"abc"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ],
)
def test_chunks(data, payload, size):
    framing = chunked()

    assert feed(framing, data + b"NEXT", size) == (payload, b"NEXT")
    assert framing.wire_bytes == len(data)
    assert framing.trailers is None


@pytest.mark.parametrize("size", [1, 2, None])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_trailers(size, end):
    framing = chunked()
    data = b"1\r\na\r\n0\r\nX-T: y" + end + b"X-U:" + end + b"Content-Length: 3" + end + b"host: h" + end + end

    assert feed(framing, data + b"NEXT", size) == (b"a", b"NEXT")
    assert framing.trailers.items == [(b"x-t", b"y"), (b"x-u", b"")]


def test_trailers_that_nobody_wants_are_checked_all_the_same():
    framing = chunked(keep_trailers=False)
    feed(framing, b"0\r\nX: y\r\n\r\n")
    assert framing.trailers is None

    with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
        feed(chunked(keep_trailers=False), b"0\r\nno colon\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match=r"http1\.invalid_characters"):
        feed(chunked(keep_trailers=False), b"0\r\nX: \x01\r\n\r\n")


@pytest.mark.parametrize("size", [1, None])
def test_trailers_over_the_limit(size):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(chunked(), b"0\r\nX: " + b"a" * 1000 + b"\r\n\r\n", size)

    assert (caught.value.details, caught.value.status) == ("http1.headers_too_large", 431)


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize(
    "data",
    [
        b" 3\r\n",
        b"0x3\r\n",
        b"3\nabc\n",
        b"3\r\nabc0\r\n",
        b"3\r\nabcd\r\n",
        b"\r\n0\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"f" * 17 + b"\r\n",
        b"3;a=\nb\r\n",
        b"3\rabc\r\n",
        b"3\r\nabc\n0\r\n",
        b"\n",
    ],
)
def test_broken_chunks(data, size):
    with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
        feed(chunked(), data, size)


def test_a_size_line_that_never_ends():
    framing = chunked()
    framing.feed(b"1;" + b"a" * 60000, 0)

    with pytest.raises(RemoteProtocolError):
        framing.feed(b"a" * 60000, 0)


def test_chunks_that_break_off():
    framing = chunked()
    framing.feed(b"3\r\nab", 0)

    with pytest.raises(RemoteProtocolError):
        framing.end_of_stream()


@given(
    st.lists(st.binary(min_size=1, max_size=50)),
    st.lists(st.tuples(st.just(b"x"), st.just(b"y")), max_size=2),
    st.integers(1, 60),
)
def test_what_the_writer_writes_is_read_back(chunks, trailers, size):
    framing = chunked()
    data = b"".join(map(chunk, chunks)) + last_chunk(Headers(trailers))

    assert feed(framing, data, size) == (b"".join(chunks), b"")
    assert framing.ended
    assert (framing.trailers.items if framing.trailers else []) == trailers
