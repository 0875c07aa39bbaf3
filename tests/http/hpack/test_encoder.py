import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http.hpack import encoder as module
from trio_envoy.http.hpack.decoder import Decoder
from trio_envoy.http.hpack.encoder import Encoder

RESPONSE = [
    (b":status", b"200"),
    (b"content-type", b"application/json"),
    (b"content-length", b"1024"),
    (b"date", b"Tue, 24 Nov 2026 17:33:23 GMT"),
    (b"server", b"envoy"),
    (b"x-envoy-upstream-service-time", b"3"),
]


def test_what_comes_again_is_one_byte_a_field():
    encoder, decoder = Encoder(), hpack.Decoder()
    sizes = []
    for _ in range(4):
        block = encoder.encode(RESPONSE)
        assert [tuple(field) for field in decoder.decode(block, raw=True)] == RESPONSE
        sizes.append(len(block))
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] == len(RESPONSE)


def test_what_never_comes_again_changes_nothing():
    encoder, decoder = Encoder(), Decoder()
    for number in range(1000):
        fields = [(b":status", b"200"), (b"x-request-id", b"%d" % number)]
        assert decoder.decode(encoder.encode(fields)) == fields
        assert decoder.table_bytes == 0


def test_a_name_of_the_table_is_used():
    encoder, decoder = Encoder(), Decoder()
    for _ in range(2):
        decoder.decode(encoder.encode([(b"x-some-name", b"1")]))
    block = encoder.encode([(b"x-some-name", b"2")])
    assert block == b"\x0f\x2f\x012"
    assert decoder.decode(block) == [(b"x-some-name", b"2")]


@pytest.mark.parametrize(
    "field", [(b"authorization", b"Basic eHl6"), (b"cookie", b"a=" + b"1" * 17), (b"set-cookie", b"a=" + b"1" * 40)]
)
def test_secrets_are_never_indexed(field):
    encoder, decoder = Encoder(), hpack.Decoder()
    for _ in range(4):
        (decoded,) = decoder.decode(encoder.encode([field]), raw=True)
        assert isinstance(decoded, hpack.NeverIndexedHeaderTuple)
        assert tuple(decoded) == field
        assert not decoder.header_table.dynamic_entries


def test_a_long_cookie_is_indexed():
    encoder = Encoder()
    blocks = [encoder.encode([(b"cookie", b"a=" + b"1" * 18)]) for _ in range(3)]
    assert blocks[2] == b"\xbe"


def test_a_large_field_does_not_empty_the_table():
    encoder, decoder = Encoder(), Decoder()
    large = [(b"x-large", bytes(1000))]
    for _ in range(4):
        assert decoder.decode(encoder.encode(large)) == large
    assert decoder.table_bytes == 0


class TestTableSize:
    def test_a_smaller_one_is_said_once(self):
        encoder = Encoder()
        encoder.set_table_size(100)
        assert encoder.encode([(b":method", b"GET")]) == b"\x3f\x45\x82"
        encoder.set_table_size(100)
        assert encoder.encode([(b":method", b"GET")]) == b"\x82"

    def test_a_larger_one_than_ours_is_not_used(self):
        encoder = Encoder()
        encoder.set_table_size(65536)
        assert encoder.encode([(b":method", b"GET")]) == b"\x82"

    def test_the_smallest_comes_first(self):
        encoder = Encoder()
        for size in (200, 0, 300):
            encoder.set_table_size(size)
        assert encoder.encode([(b":method", b"GET")]) == b"\x20\x3f\x8d\x02\x82"

    def test_down_and_up_again_empties_both_tables(self):
        encoder, decoder = Encoder(), Decoder()
        for _ in range(3):
            decoder.decode(encoder.encode(RESPONSE))
        encoder.set_table_size(0)
        encoder.set_table_size(4096)
        block = encoder.encode(RESPONSE)
        assert block.startswith(b"\x20\x3f\xe1\x1f")
        assert decoder.decode(block) == RESPONSE
        assert decoder.table_bytes == 0

    def test_none_at_all(self):
        encoder, decoder = Encoder(), Decoder()
        encoder.set_table_size(0)
        for _ in range(4):
            assert decoder.decode(encoder.encode(RESPONSE)) == RESPONSE
        assert decoder.table_bytes == 0


def test_what_is_remembered_is_bounded():
    encoder = Encoder()
    for number in range(1000):
        for _ in range(2):
            encoder.encode([(b"x-%d" % (number % 300), b"%d" % number)])
            encoder.encode([(b"x-once", b"%d" % number)])
    assert len(encoder._met) <= module._MET
    assert encoder._table.size <= module.TABLE_BYTES
    assert len(encoder._known) <= 61 + len(encoder._table.fields)
    assert len(encoder._table._field_at) <= len(encoder._table.fields)
    assert len(encoder._table._name_at) <= len(encoder._table.fields)


names = st.one_of(st.sampled_from([b":status", b"cookie", b"authorization", b"x-a", b"x-b"]), st.binary(max_size=20))
values = st.one_of(st.sampled_from([b"", b"200", b"one", b"x" * 100]), st.binary(max_size=300))


@given(st.data())
def test_both_decoders_understand(data):
    encoder, decoder, reference = Encoder(), Decoder(), hpack.Decoder()
    pool = data.draw(st.lists(st.tuples(names, values), min_size=1, max_size=12))
    for _ in range(data.draw(st.integers(1, 8))):
        for size in data.draw(st.lists(st.one_of(st.integers(0, 600), st.just(4096)), max_size=2)):
            encoder.set_table_size(size)
            decoder.allowed_table_size = size
        fields = data.draw(st.lists(st.sampled_from(pool), max_size=12))
        block = encoder.encode(iter(fields))
        assert decoder.decode(block) == fields
        assert [tuple(field) for field in reference.decode(block, raw=True)] == fields
        assert (
            list(encoder._table.fields) == list(decoder._table.fields) == list(reference.header_table.dynamic_entries)
        )
        assert encoder._table.size == decoder.table_bytes
