import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http.hpack import integer
from trio_envoy.http.hpack.errors import HpackError


@pytest.mark.parametrize(
    ("value", "largest", "data"),
    [(10, 31, b"\x0a"), (1337, 31, b"\x1f\x9a\x0a"), (42, 255, b"\x2a"), (31, 31, b"\x1f\x00")],  # RFC 7541 C.1
)
def test_examples(value, largest, data):
    assert integer.encode(value, largest, 0) == data


def test_the_pattern_stays():
    assert integer.encode(2, 0x7F, 0x80) == b"\x82"
    assert integer.encode(200, 0x7F, 0x80) == b"\xff\x49"


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_round_trip(value, bits):
    largest = 2**bits - 1
    data = integer.encode(value, largest, 0)
    if value < largest:
        assert data == bytes([value])
    else:
        assert integer.decode_rest(data + b"more", 1, largest) == (value, len(data))


def test_zeros_may_fill_up():
    assert integer.decode_rest(b"\x80\x80\x80\x00", 0, 31) == (31, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"\xe1\xff\xff\xff\x0f",  # 2**32
        b"\xff\xff\xff\xff\x7f",
        b"\x80\x80\x80\x80\x80\x00",  # five are enough for anything
        b"\xff" * 100,
    ],
)
def test_too_large(data):
    with pytest.raises(HpackError, match="too large"):
        integer.decode_rest(data, 0, 31)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_too_short(data):
    with pytest.raises(IndexError):
        integer.decode_rest(data, 0, 31)
