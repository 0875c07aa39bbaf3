import hpack.huffman
import hpack.huffman_constants
import hpack.huffman_table
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_envoy.http.hpack import huffman
from trio_envoy.http.hpack.errors import HpackError

REFERENCE = hpack.huffman.HuffmanEncoder(
    hpack.huffman_constants.REQUEST_CODES, hpack.huffman_constants.REQUEST_CODES_LENGTH
)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        (b"no-cache", "a8eb10649cbf"),
        (b"custom-key", "25a849e95ba97d7f"),
        (b"custom-value", "25a849e95bb8e8b4bf"),
        (b"302", "6402"),
        (b"private", "aec3771a4b"),
        (b"Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        (b"https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
        (b"", ""),
    ],
)
def test_examples(text, data):
    assert huffman.encode(text) == bytes.fromhex(data)
    assert huffman.decode(bytes.fromhex(data)) == text


@given(st.binary())
@example(bytes(range(256)))
def test_as_the_reference_encodes(text):
    data = huffman.encode(text)
    assert data == REFERENCE.encode(text)
    assert huffman.decode(data) == text


@given(st.one_of(st.binary(), st.binary().map(lambda text: huffman.encode(text) + b"\xff")))
def test_as_the_reference_decodes(data):
    try:
        text = hpack.huffman_table.decode_huffman(data)
    except hpack.HPACKDecodingError:
        with pytest.raises(HpackError):
            huffman.decode(data)
    else:
        assert huffman.decode(data) == text


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",  # eight bits of padding
        b"\x1f\xff",  # "a", eleven bits of padding
        b"\x18",  # "a", padding with a zero
        b"\xff\xff\xff\xff",  # the end of string, and two more
        b"\xff\xff\xff\xfc",  # the end of string, padding with zeros
        b"\xfe",  # the beginning of a longer code
    ],
)
def test_bad(data):
    with pytest.raises(HpackError):
        huffman.decode(data)


def test_what_was_refused_is_refused_again():
    for _ in range(2):
        with pytest.raises(HpackError, match="end of string"):
            huffman.decode(b"\xff\xff\xff\xff")


def test_what_is_kept_is_bounded():
    start = huffman._START
    rows = {id(start): start}
    todo = [start]
    entries = 0
    while todo:
        row = todo.pop()
        for byte in range(256):
            try:
                following, _ = row[byte]
            except HpackError:
                continue
            if id(following) not in rows:
                rows[id(following)] = following
                todo.append(following)
        entries += len(row)
    assert len(rows) == len(huffman._ROWS) == 256
    assert entries <= 65536
