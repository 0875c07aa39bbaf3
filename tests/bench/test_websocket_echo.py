"""The WebSocket origin."""

import pytest

from tests.bench.websocket_echo import accepted, echoed


def masked(payload: bytes, mask: bytes) -> bytes:
    """A binary message of a client."""
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes((0x82, 0x80 | len(payload))) + mask + body


def test_the_key_of_the_rfc_is_accepted():
    answer = accepted(b"GET / HTTP/1.1\r\nhost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def test_a_plain_request_is_refused():
    assert accepted(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("size", [0, 1, 4, 125])
def test_what_comes_masked_goes_back_bare(size):
    payload = bytes(range(size))

    assert echoed(masked(payload, b"\x01\x02\x03\xff")) == (bytes((0x82, size)) + payload, b"")


def test_a_part_waits_for_its_rest():
    whole = masked(b"one", b"abcd") + masked(b"three", b"efgh")

    for cut in range(9, len(whole)):
        assert echoed(whole[:cut]) == (b"\x82\x03one", whole[9:cut])
    assert echoed(whole) == (b"\x82\x03one\x82\x05three", b"")
