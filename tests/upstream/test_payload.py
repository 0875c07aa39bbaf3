import pytest

from trio_envoy.config.healthcheck import Payload
from trio_envoy.errors import ConfigError
from trio_envoy.upstream.payload import Expected, payload_bytes


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(Payload(text="50494e47"), b"PING"), (Payload(binary=b"\x00\xff"), b"\x00\xff"), (Payload(), b"")],
)
def test_payload_bytes(payload, expected):
    assert payload_bytes(payload) == expected


@pytest.mark.parametrize("text", ["abc", "zz", "0x41"])
def test_text_must_be_hexadecimal(text):
    with pytest.raises(ConfigError, match=f"invalid hex string '{text}'"):
        payload_bytes(Payload(text=text))


@pytest.mark.parametrize(
    ("answer", "matches"),
    [
        (b"po..ng", True),
        (b"xxpong", True),
        (b"ngpo", False),
        (b"po", False),
        (b"", False),
    ],
)
def test_parts_come_in_order_with_anything_between(answer, matches):
    expected = Expected.of([Payload(binary=b"po"), Payload(binary=b"ng")])

    assert expected.match(answer) is matches


def test_the_same_part_twice_must_be_there_twice():
    expected = Expected.of([Payload(binary=b"a"), Payload(binary=b"a")])

    assert not expected.match(b"a")
    assert expected.match(b"aa")


def test_no_parts_match_anything():
    assert Expected.of(()).match(b"")
