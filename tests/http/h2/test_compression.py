"""HPACK with a memory: the bytes and the fields are those of the package, whatever came before."""

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_envoy.http.h2.compression import TABLE_BYTES, Decoder, Encoder

NAMES = st.sampled_from([b":path", b"x-a", b"cookie", b"authorization"])
VALUES = st.sampled_from([b"", b"1", b"two", b"x" * 500, b"y" * 2000])


def field(name, value):
    return hpack.NeverIndexedHeaderTuple(name, value) if name == b"authorization" else (name, value)


BLOCKS = st.lists(st.builds(field, NAMES, VALUES), max_size=5)
SIZES = st.sampled_from([0, 100, 600, 4096])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(BLOCKS, BLOCKS, BLOCKS, SIZES), max_size=25))
def test_with_and_without_memory_the_same(steps):
    ours, theirs = Encoder(), hpack.Encoder()
    reader, plain = Decoder(), hpack.Decoder()
    for step in steps:
        if isinstance(step, int):
            ours.header_table_size = step
            if step != theirs.header_table_size:
                theirs.header_table_size = step
            continue
        for _ in range(3):  # the third time is from memory
            block = ours.encode(step)
            assert block == theirs.encode(step)
            assert reader.decode(block, raw=True) == plain.decode(block, raw=True) == [tuple(one) for one in step]
        assert reader.header_table.dynamic_entries == plain.header_table.dynamic_entries


def test_what_is_remembered_is_bounded():
    encoder, decoder = Encoder(), Decoder()
    encoder.header_table_size = 0
    for number in range(1000):
        fields = [hpack.NeverIndexedHeaderTuple(b"x", b"%d" % number)]
        assert decoder.decode(encoder.encode(fields), raw=True) == fields
        decoder.decode(encoder.encode([hpack.NeverIndexedHeaderTuple(b"x", b"y" * 2000)]), raw=True)

    assert 0 < len(encoder._blocks) <= 64
    assert 0 < len(decoder._fields) <= 64
    assert max(map(len, decoder._fields)) <= 1024


def test_no_peer_makes_our_table_large():
    encoder = Encoder()
    encoder.header_table_size = 1 << 30
    assert encoder.header_table_size == TABLE_BYTES

    for number in range(10_000):
        encoder.encode([(b"x-%d" % number, b"y")])
    assert len(encoder.header_table.dynamic_entries) < 120


def test_a_block_that_is_too_large_is_not_taken_from_memory():
    encoder, decoder = Encoder(), Decoder()
    decoder.max_header_list_size = 100
    block = encoder.encode([(b"x", b"y" * 200)])
    for _ in range(2):
        with pytest.raises(hpack.OversizedHeaderListError):
            decoder.decode(block, raw=True)
