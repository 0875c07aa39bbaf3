"""The tool that speaks HTTP/2 frame by frame."""

import pytest
from trio.testing import memory_stream_pair

from tests.parity.case import FramesStep
from tests.parity.frames import PREFACE, RawPeer, block, encoded, exchange, joined, opened
from tests.parity.http1 import Reader


def data(items, it=0):
    return b"".join(piece for piece in encoded(items, it) if isinstance(piece, bytes))


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        ({"DATA": 1, "flags": "ES", "text": "abc"}, "000003 00 01 00000001 616263"),
        ({"DATA": 1, "flags": "PADDED", "pad": 2, "text": "a"}, "000004 00 08 00000001 02 61 0000"),
        ({"HEADERS": 3, "hex": "82"}, "000001 01 05 00000003 82"),
        (
            {"HEADERS": 3, "flags": "EH PRIORITY", "priority": [1, 9], "hex": "82"},
            "000006 01 24 00000003 00000001 09 82",
        ),
        ({"SETTINGS": 0, "settings": [[4, 5]]}, "000006 04 00 00000000 0004 00000005"),
        ({"PING": 0, "length": 7}, "000007 06 00 00000000"),
        ({"0x42": 0, "fill": 2, "flags": 255}, "000002 42 ff 00000000 0000"),
        ({"GOAWAY": 0, "u32": ["it", 2]}, "000008 07 00 00000000 00000005 00000002"),
        ({"RST_STREAM": "it+2", "u32": [8]}, "000004 03 00 00000007 00000008"),
        ("616263", "616263"),
    ],
)
def test_frames_are_what_they_say(frame, wire):
    assert data([frame], it=5) == bytes.fromhex(wire)


def test_copies_are_on_streams_of_their_own():
    frames = [{"repeat": 2, "step": 2, "frames": [{"RST_STREAM": 1, "u32": [8]}, {"PING": 0}]}]
    assert [data(frames)[start + 8] for start in (0, 13, 22, 35)] == [1, 0, 3, 0]


def test_a_frame_has_one_type():
    with pytest.raises(ValueError, match="one type"):
        data([{"DATA": 1, "PING": 0}])


def test_what_is_between_pauses_is_one_write():
    assert list(joined(encoded(["61", "62", 0.5, "63"]))) == [b"ab", 0.5, b"c"]


def test_fields_leave_the_table_alone():
    assert block([("a", "b"), ("c", {"repeat": "x", "times": 3})]) == b"\x00\x01a\x01b\x00\x01c\x03xxx"


def test_streams_that_a_client_opens():
    assert opened(
        [{"HEADERS": 1}, {"DATA": 3}, {"HEADERS": 2}, {"repeat": 2, "step": 2, "frames": [{"HEADERS": 5}]}]
    ) == {
        1,
        5,
        7,
    }


async def test_what_came_is_noted():
    ours, theirs = memory_stream_pair()
    await theirs.send_all(
        data(
            [
                {"SETTINGS": 0, "settings": [[3, 1]]},
                {"SETTINGS": 0, "flags": "ACK"},
                {"HEADERS": 1, "flags": "EH", "fields": [[":status", "103"]]},
                {"HEADERS": 1, "flags": "", "fields": [[":status", "200"]]},
                {"CONTINUATION": 1, "flags": "EH", "fields": [["a", "b"]]},
                {"DATA": 1, "flags": "PADDED", "pad": 3, "text": "abc"},
                {"HEADERS": 1, "fields": [["c", "d"]]},
                {"RST_STREAM": 3, "u32": [7]},
                {"PING": 0, "fill": 8},
                {"PING": 0, "flags": "ACK", "fill": 8},
                {"WINDOW_UPDATE": 0, "u32": [9]},
                {"GOAWAY": 0, "u32": [3, 1]},
                {"GOAWAY": 0, "u32": [3, 99]},
            ]
        )
    )
    await theirs.aclose()
    peer = RawPeer(ours, Reader(ours))
    while await peer.frames():
        pass
    assert peer.shown(["settings", "windows", "pings", "pongs", "acknowledged"]) == {
        "streams": {
            "1": {"interim": ["103"], "status": "200", "body": 3, "trailers": ["c: d"], "end": "ended"},
            "3": {"end": "REFUSED_STREAM"},
        },
        "goaway": ["PROTOCOL_ERROR last 3", "99 last 3"],
        "settings": [(3, 1)],
        "windows": 9,
        "pings": 1,
        "pongs": 1,
        "acknowledged": 1,
    }


async def test_a_step_ends_when_all_is_answered(autojump_clock, nursery):
    ours, theirs = memory_stream_pair()

    async def serve():
        received = b""
        while not received.endswith(data([{"HEADERS": 1, "request": "GET /x"}])):
            received += await theirs.receive_some()
        assert received.startswith(PREFACE + data([{"SETTINGS": 0}]))
        await theirs.send_all(data([{"HEADERS": 1, "fields": [[":status", "204"]]}]))

    nursery.start_soon(serve)
    step = FramesStep(name="one", frames=[{"HEADERS": 1, "request": "GET /x"}])
    assert await exchange(ours, Reader(ours), step) == {
        "sent": "one",
        "streams": {"1": {"status": "204", "end": "ended"}},
        "connection": "kept",
    }
