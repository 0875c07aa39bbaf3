"""HTTP/2 frame by frame: what no well-behaved peer sends, and what comes back for it.

A frame is a mapping: its type with its stream, then what is in it, `{DATA: 1, flags: ES, text: abc}`. A number is a
pause in seconds, a text is bytes in hexadecimal, `{repeat: 5, step: 2, frames: [...]}` are copies whose streams grow by
step, and {byte} in their fields is one byte after the other. See docs/parity.md.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import h2.errors
import hpack
import trio

from tests.parity.case import FramesStep
from tests.parity.http1 import Reader

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK_FRAMES = [
    {"HEADERS": "it", "flags": "EH", "fields": [[":status", "200"]]},
    {"DATA": "it", "flags": "ES", "text": "ok"},
]
TYPES = "DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION".split()
_FLAGS = {"ES": 1, "ACK": 1, "EH": 4, "PADDED": 8, "PRIORITY": 0x20}
_USUAL = {"HEADERS": "EH ES"}  # flags if none are given
_KEYS = {"flags", "pad", "priority", "u32", "hex", "settings", "request", "fields", "text", "fill", "length"}
_HEAD = 9  # bytes
_BYTE = "{byte}"
_AUTHORITY = "a.com"
_PAUSE = 0.1  # s; by then each has the other's SETTINGS
_QUIET = 0.25  # s; longer than the delayed close of the base


def encoded(items: list[Any], it: int = 0) -> Iterator[bytes | float]:
    """What to send, and pauses.

    Args:
        items: see the module.
        it: the stream that "it" means.

    Raises:
        ValueError: an item is none.
    """
    for item in items:
        yield from _encoded(item, it, 0)


def _encoded(item: Any, it: int, further: int) -> Iterator[bytes | float]:
    if isinstance(item, int | float):
        yield item
    elif isinstance(item, str):
        yield bytes.fromhex(item)
    elif "repeat" in item:
        for number in range(item["repeat"]):
            for inner in item["frames"]:
                if isinstance(inner, Mapping) and "fields" in inner:
                    byte = chr(number % 256)
                    inner = {
                        **inner,
                        "fields": [[str(part).replace(_BYTE, byte) for part in one] for one in inner["fields"]],
                    }
                yield from _encoded(inner, it, further + number * item.get("step", 0))
    else:
        yield _frame(item, it, further)


def joined(pieces: Iterator[bytes | float]) -> Iterator[bytes | float]:
    """The same with as few writes as may be."""
    data = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            data += piece
        else:
            yield data
            yield piece
            data = b""
    yield data


def _frame(item: Mapping[str, Any], it: int, further: int) -> bytes:
    kinds = [key for key in item if key not in _KEYS]
    if len(kinds) != 1:
        raise ValueError(f"a frame has one type: {item}")
    kind = kinds[0]
    number = TYPES.index(kind) if kind in TYPES else int(kind, 16)
    stream = _number(item[kind], it)
    stream += further if stream else 0
    payload = _payload(item, it)
    flags = item.get("flags", _USUAL.get(kind, ""))
    if isinstance(flags, str):
        flags = sum(_FLAGS[flag] for flag in flags.split())
    length = item.get("length", len(payload))
    return length.to_bytes(3) + bytes([number, flags]) + stream.to_bytes(4) + payload


def _number(value: int | str, it: int) -> int:
    """A number, or "it", "it+2"."""
    return value if isinstance(value, int) else it + int(value.removeprefix("it") or 0)


def _payload(item: Mapping[str, Any], it: int) -> bytes:
    """The parts in the order in which HTTP/2 has them."""
    payload = b""
    if "pad" in item:
        payload += bytes([item["pad"]])
    if "priority" in item:
        depends, weight = item["priority"]
        payload += _number(depends, it).to_bytes(4) + bytes([weight])
    payload += b"".join(_number(value, it).to_bytes(4) for value in item.get("u32", ()))
    payload += bytes.fromhex(item.get("hex", ""))
    payload += b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in item.get("settings", ()))
    if "request" in item:
        method, _, path = item["request"].partition(" ")
        payload += block([(":method", method), (":scheme", "http"), (":authority", _AUTHORITY), (":path", path)])
    payload += block(item.get("fields", ()))
    payload += item.get("text", "").encode("latin-1")
    payload += bytes(item.get("fill", 0))
    return payload + bytes(item.get("pad", 0))


def block(fields: Any) -> bytes:
    """A header block that leaves the table alone, whatever the fields are; a value may be {repeat, times}."""
    data = b""
    for name, value in fields:
        if isinstance(value, Mapping):
            value = str(value["repeat"]) * value["times"]
        data += b"\x00" + _string(str(name)) + _string(str(value))
    return data


def _string(text: str) -> bytes:
    raw = text.encode("latin-1")
    return bytes(hpack.hpack.encode_integer(len(raw), 7)) + raw


def opened(items: list[Any]) -> set[int]:
    """The streams of these HEADERS that a client opens."""
    heads = b"".join(piece for piece in encoded(items) if isinstance(piece, bytes))
    found = set()
    while len(heads) >= _HEAD:
        size, kind, stream = int.from_bytes(heads[:3]), heads[3], int.from_bytes(heads[5:9])
        if kind == TYPES.index("HEADERS") and stream % 2:
            found.add(stream)
        heads = heads[_HEAD + size :]
    return found


@attrs.define(eq=False)
class RawStream:
    """What has come on one stream."""

    fields: list[tuple[str, str]] = attrs.field(factory=list)
    interim: list[str] = attrs.field(factory=list)
    trailers: list[str] = attrs.field(factory=list)
    body: int = 0
    ended: bool = False
    reset: str = ""

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.ended or bool(self.reset)

    def first(self, name: str) -> str:
        """The first value of a field, "" if absent."""
        return next((value for key, value in self.fields if key == name), "")

    def shown(self) -> dict[str, Any]:
        """For the recording."""
        shown: dict[str, Any] = {"interim": self.interim} if self.interim else {}
        if self.fields:
            shown["status" if self.first(":status") else "path"] = self.first(":status") or self.first(":path")
        if self.body:
            shown["body"] = self.body
        if self.trailers:
            shown["trailers"] = self.trailers
        return {**shown, "end": self.reset or ("ended" if self.ended else "open")}


@attrs.define(eq=False)
class RawPeer:
    """Reads frames and judges nothing; SETTINGS are acknowledged, which is all that it sends by itself.

    Attributes:
        acknowledges: it does.
        settings: (key, value) of the first SETTINGS that came.
        windows: sum of the WINDOW_UPDATEs of the connection.
        pongs: PINGs that were acknowledged.
        pings: PINGs that were not.
        acknowledged: our SETTINGS that were.
        goaway: code and last stream of each that came.
        text: what came that was no HTTP/2.
    """

    transport: Any
    reader: Reader
    acknowledges: bool = True
    streams: dict[int, RawStream] = attrs.field(factory=dict)
    settings: list[tuple[int, int]] | None = None
    windows: int = 0
    pings: int = 0
    pongs: int = 0
    acknowledged: int = 0
    goaway: list[str] = attrs.field(factory=list)
    _decoder: hpack.Decoder = attrs.field(factory=hpack.Decoder)
    _block: bytes = b""
    _sending: trio.Lock = attrs.field(factory=trio.Lock)

    async def send(self, pieces: Iterator[bytes | float]) -> None:
        """Send, with pauses; a peer that is gone shows when reading."""
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    async with self._sending:
                        await self.transport.send_all(piece)
                else:
                    await trio.sleep(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def frames(self) -> list[tuple[str, int, int]]:
        """The next frames, noted: (type, flags, stream) of each; none: the other end has closed."""
        found: list[tuple[str, int, int]] = []
        buffer = self.reader.buffer
        while not found:
            while len(buffer) >= _HEAD and len(buffer) >= (size := _HEAD + int.from_bytes(buffer[:3])):
                kind, flags, stream = buffer[3], buffer[4], int.from_bytes(buffer[5:9])
                payload = bytes(buffer[_HEAD:size])
                del buffer[:size]
                name = TYPES[kind] if kind < len(TYPES) else hex(kind)
                found.append((name, flags, stream))
                await self._note(name, flags, stream, payload)
            if not found and not await self.reader.more():
                break
        return found

    def shown(self, show: list[str]) -> dict[str, Any]:
        """What came, for the recording: the streams and GOAWAYs, and what else is asked for."""
        shown: dict[str, Any] = (
            {"bytes": self._by_byte()}
            if "bytes" in show
            else {"streams": {str(number): one.shown() for number, one in sorted(self.streams.items())}}
        )
        if self.goaway:
            shown["goaway"] = self.goaway
        for what in show:
            if what != "bytes":
                shown[what] = getattr(self, what)
        return shown

    def _by_byte(self) -> dict[str, str]:
        """How the streams of one byte after the other ended, with the bytes, in hexadecimal."""
        found: dict[str, list[int]] = {}
        for number, one in sorted(self.streams.items()):
            end = one.reset or f"{one.first(':status')} {'ended' if one.ended else 'open'}"
            found.setdefault(end, []).append(number // 2)
        return {end: " ".join(f"{byte:02x}" for byte in numbers) for end, numbers in found.items()}

    async def _note(self, name: str, flags: int, number: int, payload: bytes) -> None:
        if name in ("DATA", "HEADERS", "CONTINUATION", "RST_STREAM"):
            self._note_stream(name, flags, self.streams.setdefault(number, RawStream()), payload)
        elif name == "SETTINGS" and flags:
            self.acknowledged += 1
        elif name == "SETTINGS":
            pairs = [payload[start : start + 6] for start in range(0, len(payload), 6)]
            if self.settings is None:
                self.settings = [(int.from_bytes(pair[:2]), int.from_bytes(pair[2:])) for pair in pairs]
            if self.acknowledges:
                await self.send(encoded([{"SETTINGS": 0, "flags": "ACK"}]))
        elif name == "PING":
            self.pongs += flags & 1
            self.pings += not flags & 1
        elif name == "GOAWAY":
            self.goaway.append(f"{code_name(payload[4:8])} last {int.from_bytes(payload[:4])}")
        elif name == "WINDOW_UPDATE" and not number:
            self.windows += int.from_bytes(payload)

    def _note_stream(self, name: str, flags: int, stream: RawStream, payload: bytes) -> None:
        if name == "RST_STREAM":
            stream.reset = code_name(payload)
            return
        if flags & _FLAGS["PADDED"] and name != "CONTINUATION":
            payload = payload[1 : len(payload) - payload[0]]
        if name == "DATA":
            stream.body += len(payload)
        else:
            if flags & _FLAGS["PRIORITY"] and name == "HEADERS":
                payload = payload[5:]
            self._block += payload
            if flags & _FLAGS["EH"]:
                self._note_head(stream)
        if flags & _FLAGS["ES"] and name != "CONTINUATION":
            stream.ended = True

    def _note_head(self, stream: RawStream) -> None:
        fields = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._decoder.decode(self._block, raw=True)
        ]
        self._block = b""
        if stream.fields:
            stream.trailers += [f"{name}: {value}" for name, value in fields]
        elif re.match("1", dict(fields).get(":status", "")):
            stream.interim.append(dict(fields)[":status"])
        else:
            stream.fields = fields


async def exchange(stream: Any, reader: Reader, step: FramesStep) -> dict[str, Any]:
    """Take a client's step on a fresh connection: send, read until all is answered and nothing more comes."""
    peer = RawPeer(stream, reader, acknowledges=step.ack)
    hello = [PREFACE.hex(), {"SETTINGS": 0, "settings": step.settings}]
    awaited = opened(step.frames)
    quiet = False

    async def read() -> None:
        nonlocal quiet
        await trio.sleep(step.deaf)
        while await peer.frames():
            quiet = False

    async def watch() -> None:
        """Stop the reader when all is answered and nothing came for a while."""
        nonlocal quiet
        if step.hello is None:  # what is in one read with the preface is answered otherwise, or not at all
            await peer.send(joined(encoded(hello)))
            await trio.sleep(_PAUSE)
        await peer.send(joined(encoded([*(step.hello or ()), *step.frames])))
        while not (quiet and all(number in peer.streams and peer.streams[number].over for number in awaited)):
            quiet = True
            await trio.sleep(_QUIET)
        nursery.cancel_scope.cancel()

    with trio.move_on_after(step.within):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await read()
            nursery.cancel_scope.cancel()
    shown = peer.shown(step.show)
    return {"sent": step.name, **shown, "connection": "closed" if reader.ended else "kept"}


def code_name(code: bytes) -> str:
    """An error code by its name."""
    number = int.from_bytes(code)
    return h2.errors.ErrorCodes(number).name if number in h2.errors.ErrorCodes.__members__.values() else str(number)
