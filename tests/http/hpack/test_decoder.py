import hpack
import hpack.table
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_envoy.http.hpack import decoder as module
from trio_envoy.http.hpack.decoder import Decoder
from trio_envoy.http.hpack.errors import HpackError, Oversized

names = st.one_of(st.sampled_from([b":path", b":status", b"cookie", b"x-a", b"x-b"]), st.binary(max_size=20))
values = st.one_of(st.sampled_from([b"", b"/", b"200", b"one", b"two"]), st.binary(max_size=60))
headers = st.lists(st.tuples(names, values), max_size=12)


def blocks_of(text):
    return [bytes.fromhex(line) for line in text.split()]


# RFC 7541 C.3 and C.4: three requests; C.5 and C.6: three responses and a table of 256 bytes
REQUESTS = [
    "828684410f7777772e6578616d706c652e636f6d 828684be58086e6f2d6361636865 828785bf400a637573746f6d2d6b65"
    "790c637573746f6d2d76616c7565",
    "828684418cf1e3c2e5f23a6ba0ab90f4ff 828684be5886a8eb10649cbf 828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]
RESPONSES = [
    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17687474"
    "70733a2f2f7777772e6578616d706c652e636f6d "
    "4803333037c1c0bf "
    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a"
    "4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae"
    "82ae43d3 "
    "4883640effc1c0bf "
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960"
    "d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
]


@pytest.mark.parametrize("text", REQUESTS)
def test_requests_of_the_rfc(text):
    decoder = Decoder()
    first, second, third = blocks_of(text)
    common = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
    assert decoder.decode(first) == common
    assert decoder.table_bytes == 57
    assert decoder.decode(second) == [*common, (b"cache-control", b"no-cache")]
    assert decoder.table_bytes == 110
    assert decoder.decode(third) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ]
    assert decoder.table_bytes == 164


@pytest.mark.parametrize("text", RESPONSES)
def test_responses_of_the_rfc(text):
    decoder = Decoder(256)
    first, second, third = blocks_of(text)
    rest = [
        (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        (b"location", b"https://www.example.com"),
    ]
    assert decoder.decode(first) == [(b":status", b"302"), *rest]
    assert decoder.table_bytes == 222
    assert decoder.decode(second) == [(b":status", b"307"), *rest]
    assert decoder.table_bytes == 222
    assert decoder.decode(third) == [
        (b":status", b"200"),
        rest[0],
        (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
        rest[2],
        (b"content-encoding", b"gzip"),
        (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ]
    assert decoder.table_bytes == 215


@pytest.mark.parametrize(
    ("block", "field", "table"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header"), 55),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), 0),
        ("100870617373776f726406736563726574", (b"password", b"secret"), 0),
        ("82", (b":method", b"GET"), 0),
    ],
)
def test_forms_of_the_rfc(block, field, table):  # C.2
    decoder = Decoder()
    assert decoder.decode(bytes.fromhex(block)) == [field]
    assert decoder.table_bytes == table


@pytest.mark.parametrize(
    "block",
    [
        "80",  # index 0
        "be",  # the table is empty
        "ff00",  # 127
        "ff",  # the index ends too soon
        "ffffffffffff0f",  # a large one
        "0f2f0161",  # a name of the empty table
        "40",  # no name
        "0005616263",  # a name that ends too soon
        "0001610561",  # a value that ends too soon
        "0001617f",  # a length that ends too soon
        "000161ff8080808080808000",  # a length with too many digits
        "00016181ff",  # padding of eight bits
        "0001618118",  # padding that is not all ones
        "00016184ffffffff",  # the end of string
        "823f",  # the table is resized behind a field
        "8220",
        "3fe21f",  # to 4097
        "3f",  # the size ends too soon
        "000161ff82ff030000",  # 65,537 bytes
    ],
)
def test_refused(block):
    with pytest.raises(HpackError):
        Decoder().decode(bytes.fromhex(block))


def test_a_string_of_64_kib_is_taken():
    decoder = Decoder(max_bytes=100_000)
    assert decoder.decode(b"\x00\x01a\x7f\x81\xff\x03" + bytes(65536)) == [(b"a", bytes(65536))]
    with pytest.raises(HpackError, match="more than 65536"):
        decoder.decode(b"\x00\x01a\x7f\x82\xff\x03" + bytes(65537))


def test_nothing_is_a_block():
    assert Decoder().decode(b"") == []
    assert Decoder().decode(b"\x20") == []


class TestTableSize:
    def test_the_peer_may_use_less(self):
        decoder = Decoder()
        decoder.decode(b"\x40\x01a\x01b")
        assert decoder.decode(b"\x20\x82") == [(b":method", b"GET")]
        assert decoder.table_bytes == 0
        decoder.decode(b"\x40\x01a\x01b")
        assert decoder.table_bytes == 0
        assert decoder.decode(b"\x3f\xe1\x1f\x40\x01a\x01b\xbe") == [(b"a", b"b")] * 2

    def test_the_peer_may_use_more_when_it_is_allowed(self):
        decoder = Decoder()
        with pytest.raises(HpackError, match="larger"):
            decoder.decode(b"\x3f\xe2\x1f")
        decoder = Decoder()
        decoder.allowed_table_size = 5000
        assert decoder.decode(b"\x3f\xe9\x26\x82") == [(b":method", b"GET")]

    def test_less_must_be_confirmed(self):
        decoder = Decoder()
        decoder.allowed_table_size = 100
        for block in (b"\x82", b"", b"\x3f\x46\x82"):  # not said, nothing said, 101
            with pytest.raises(HpackError):
                decoder.decode(block)
        assert decoder.decode(b"\x3f\x45\x82") == [(b":method", b"GET")]  # 100
        assert decoder.decode(b"\x82") == [(b":method", b"GET")]

    def test_the_smallest_must_be_confirmed_first(self):
        decoder = Decoder()
        decoder.allowed_table_size = 10
        decoder.allowed_table_size = 4096
        with pytest.raises(HpackError):
            decoder.decode(b"\x3f\xe1\x1f\x82")  # 4096
        assert decoder.decode(b"\x2a\x3f\xe1\x1f\x82") == [(b":method", b"GET")]  # 10, 4096

    def test_as_large_as_before_needs_no_word(self):
        decoder = Decoder()
        decoder.allowed_table_size = 8192
        decoder.allowed_table_size = 4096
        assert decoder.decode(b"\x82") == [(b":method", b"GET")]


class TestLimits:
    def test_bytes(self):
        decoder = Decoder(max_bytes=2 * 34)
        assert len(decoder.decode(b"\x00\x01a\x01b" * 2)) == 2
        assert decoder.size == 68
        with pytest.raises(Oversized) as caught:
            decoder.decode(b"\x00\x01a\x01b" * 3)
        assert (caught.value.fields, caught.value.size) == (3, 102)

    def test_fields(self):
        decoder = Decoder(max_fields=2)
        assert len(decoder.decode(b"\x82\x84")) == 2
        with pytest.raises(Oversized):
            decoder.decode(b"\x82\x84\x86")

    def test_which_limit_was_first(self):
        decoder = Decoder(max_bytes=4 * 34, max_fields=10)
        with pytest.raises(Oversized) as caught:
            decoder.decode(b"\x00\x01a\x01b" * 20)
        assert (caught.value.fields, caught.value.size) == (5, 170)

    def test_without_overhead(self):
        decoder = Decoder(max_bytes=4, overhead=0)
        assert len(decoder.decode(b"\x00\x01a\x01b" * 2)) == 2
        assert decoder.size == 4
        with pytest.raises(Oversized):
            decoder.decode(b"\x00\x01a\x01b" * 3)

    def test_the_table_is_in_step_behind_the_limit(self):
        decoder = Decoder(max_fields=2)
        with pytest.raises(Oversized):
            decoder.decode(b"\x82\x84\x86\x40\x01a\x01b")
        assert decoder.decode(b"\xbe") == [(b"a", b"b")]

    def test_far_too_large(self):
        decoder = Decoder(max_bytes=100, hard_bytes=300)
        with pytest.raises(Oversized):
            decoder.decode(b"\x82" * 7)
        with pytest.raises(HpackError, match="more than 300"):
            decoder.decode(b"\x82" * 8)

    def test_references_to_a_large_field_count_as_its_copies(self):
        decoder = Decoder(max_bytes=60_000)
        decoder.decode(b"\x40\x01a\x7f\x81\x1e" + bytes(3968))
        assert decoder.table_bytes == 4001
        with pytest.raises(Oversized):
            decoder.decode(b"\xbe" * 15)
        with pytest.raises(HpackError):
            decoder.decode(b"\xbe" * 16_000)

    def test_limits_may_change(self):
        decoder = Decoder()
        assert len(decoder.decode(b"\x82\x84")) == 2
        decoder.max_fields = 1
        with pytest.raises(Oversized):
            decoder.decode(b"\x82\x84")
        decoder.max_fields = 2
        assert len(decoder.decode(b"\x82\x84")) == 2
        decoder.max_bytes = 10
        with pytest.raises(Oversized):
            decoder.decode(b"\x82\x84")


class TestMemo:
    def test_the_answer_belongs_to_the_caller(self):
        decoder = Decoder()
        decoder.decode(b"\x82").append((b"mine", b""))
        assert decoder.decode(b"\x82") == [(b":method", b"GET")]

    def test_a_change_of_the_table_makes_it_forget(self):
        decoder = Decoder()
        decoder.decode(b"\x40\x01a\x01b")
        assert decoder.decode(b"\xbe") == decoder.decode(b"\xbe") == [(b"a", b"b")]
        decoder.decode(b"\x40\x01c\x01d")
        assert decoder.decode(b"\xbe") == [(b"c", b"d")]
        decoder.decode(b"\x20")
        with pytest.raises(HpackError):
            decoder.decode(b"\xbe")

    def test_it_is_bounded(self):
        decoder = Decoder(max_fields=1000)
        for number in range(100):
            decoder.decode(b"\x00\x01a\x03%03d" % number)
            assert len(decoder._memo) <= module._MEMO_BLOCKS
        decoder._memo.clear()
        decoder.decode(b"\x82" * (module._MEMO_BYTES + 1))
        decoder.decode(b"\x00\x01a\x7f\x81\x01" + bytes(module._MEMO_BYTES))
        assert not decoder._memo

    def test_what_is_too_large_is_not_kept(self):
        decoder = Decoder(max_fields=2)
        for _ in range(2):
            with pytest.raises(Oversized):
                decoder.decode(b"\x82\x84\x86")
        assert not decoder._memo

    def test_a_size_that_is_due_is_missed_in_a_known_block_too(self):
        decoder = Decoder()
        decoder.decode(b"\x82")
        decoder.allowed_table_size = 0
        with pytest.raises(HpackError):
            decoder.decode(b"\x82")


@given(st.data())
def test_as_the_reference_encodes(data):
    encoder, decoder = hpack.Encoder(), Decoder()
    decoder.allowed_table_size = 2**16
    for _ in range(data.draw(st.integers(1, 5))):
        for size in data.draw(st.lists(st.one_of(st.integers(0, 300), st.just(4096), st.just(2**16)), max_size=2)):
            if size != encoder.header_table_size:  # the reference forgets a change if the same is said twice
                encoder.header_table_size = size
        fields = [
            hpack.NeverIndexedHeaderTuple(*field) if secret else field
            for field, secret in data.draw(st.lists(st.tuples(st.tuples(names, values), st.booleans()), max_size=12))
        ]
        block = encoder.encode(fields, huffman=data.draw(st.booleans()))
        assert decoder.decode(block) == fields
        assert decoder.table_bytes == encoder.header_table._current_size


# pieces that make blocks which are often right: indexed, added, plain and never; sizes; any byte
pieces = st.one_of(
    st.integers(0x80, 0xC4).map(lambda byte: bytes([byte])),
    st.tuples(st.sampled_from([b"\x40", b"\x00", b"\x10"]), names, values).map(
        lambda parts: parts[0] + bytes([len(parts[1])]) + parts[1] + bytes([len(parts[2])]) + parts[2]
    ),
    st.tuples(st.integers(0x01, 0x7F), values).map(
        lambda parts: bytes([parts[0], len(parts[1])]) + parts[1],
    ),
    st.tuples(st.integers(0x20, 0x3E)).map(bytes),
    st.binary(max_size=3),
)


@given(st.lists(st.lists(pieces, max_size=8).map(b"".join), min_size=1, max_size=6))
@example([b"\x40\x01a\x01b", b"\xbe\xff\x00"])
def test_as_the_reference_decodes(blocks):
    reference, decoder = hpack.Decoder(), Decoder(max_bytes=2**20, max_fields=2**16)
    for block in blocks:
        try:
            fields = [tuple(field) for field in reference.decode(block, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(HpackError):
                decoder.decode(block)
            return
        assert decoder.decode(block) == fields
        assert decoder.table_bytes == reference.header_table._current_size
        assert list(decoder._table.fields) == list(reference.header_table.dynamic_entries)


@given(st.binary(max_size=200))
def test_any_bytes(block):
    decoder = Decoder(max_fields=5, max_bytes=400, hard_bytes=1000)
    try:
        fields = decoder.decode(block)
    except (HpackError, Oversized):
        return
    assert len(fields) <= 5
    assert sum(len(name) + len(value) + 32 for name, value in fields) == decoder.size <= 400
