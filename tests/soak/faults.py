"""Clients and upstreams that misbehave: nothing of it may hurt anyone else or stay behind."""

import contextlib
import socket
import struct
from random import Random
from typing import Any

import trio

from tests.soak.traffic import Client
from tests.soak.upstreams import GONE, content

_NO_LINGER = struct.pack("ii", 1, 0)
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def _request2(path: bytes, stream: int, end: bool) -> bytes:
    """HEADERS: static :method and :scheme, literal :path and :authority."""
    block = (b"\x82" if end else b"\x83") + b"\x86" + _literal(b":path", path) + _literal(b":authority", b"soak.test")
    return _frame(1, 5 if end else 4, stream, block)


def _conversations() -> dict[str, bytes]:
    """What a client may say, whole; it is cut off anywhere."""
    body = content(5000)
    windows = _frame(4, 0, 0, b"\x00\x04\x00\x00\x00\x00")  # a window of nothing: the response never gets out
    many = b"".join(_request2(b"/http2/70000", number, end=True) for number in range(1, 41, 2))
    resets = b"".join(_frame(3, 0, number, b"\x00\x00\x00\x08") for number in range(1, 41, 2))
    return {
        "HTTP/1 GET": b"GET /http1/300000 HTTP/1.1\r\nhost: soak.test\r\nx-more: %b\r\n\r\n" % (b"y" * 2000),
        "HTTP/1 POST": b"POST /http1/echo HTTP/1.1\r\nhost: soak.test\r\ncontent-length: 5000\r\n\r\n%b" % body,
        "HTTP/1 chunks": b"POST /http2/echo HTTP/1.1\r\nhost: soak.test\r\ntransfer-encoding: chunked\r\n\r\n"
        b"1388\r\n%b\r\n0\r\n\r\n" % body,
        "HTTP/1 pipelined": b"GET /http1/70000 HTTP/1.1\r\nhost: soak.test\r\n\r\n" * 5,
        "HTTP/1 upgrade": b"GET /chat HTTP/1.1\r\nhost: soak.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x85\0\0\0\0hello",
        "HTTP/2": _PREFACE + _frame(4, 0, 0, b"") + many,
        "HTTP/2 POST": _PREFACE
        + _frame(4, 0, 0, b"")
        + _request2(b"/http1/echo", 1, end=False)
        + _frame(0, 0, 1, body)
        + _frame(0, 1, 1, body),
        "HTTP/2 resets": _PREFACE + _frame(4, 0, 0, b"") + many + resets,
        "HTTP/2 zero window": _PREFACE + windows + many,
        "TLS": _CLIENT_HELLO,
    }


_SAYINGS = _conversations()


async def client(shared: Client) -> None:
    """Say a part of something, perhaps with bytes changed, then leave in one of several ways."""
    random = shared.random
    kind, whole = random.choice(list(_SAYINGS.items()))
    said = whole[: random.randint(0, len(whole))] if random.random() < 0.7 else whole
    if random.random() < 0.3:
        said = garbled(random, said)
        kind += " garbled"
    leaving = random.choice(("reset", "FIN", "half-close", "read a bit, reset", "stays"))
    stream = await trio.open_tcp_stream("127.0.0.1", shared.secure if random.random() < 0.1 else shared.plain)
    try:
        with contextlib.suppress(*GONE), trio.move_on_after(3):
            await stream.send_all(said)
            if random.random() < 0.5:
                await trio.sleep(random.uniform(0, 0.1))
            await _leave(random, stream, leaving)
    finally:
        if "reset" in leaving:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        await trio.aclose_forcefully(stream)
    shared.record.did(f"fault: {kind}")
    shared.record.did(f"fault: client leaves: {leaving}")


async def _leave(random: Random, stream: trio.SocketStream, how: str) -> None:
    if how == "half-close":
        await stream.send_eof()
        while await stream.receive_some():
            pass
    elif how == "read a bit, reset":
        await stream.receive_some(random.randint(1, 5000))
    elif how == "stays":
        await trio.sleep(random.uniform(0.2, 1.5))


def garbled(random: Random, data: bytes) -> bytes:
    """Some bytes changed, put in or taken out."""
    changed = bytearray(data or b"\0")
    for _ in range(random.randint(1, 5)):
        at = random.randrange(len(changed))
        changed[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2)) or b"\n"
    return bytes(changed)


async def asks_faulty_upstreams(shared: Client) -> None:
    """A request to an upstream that misbehaves: an answer of any kind, or a cut; but the wait for it is bounded."""
    name = shared.random.choice((b"faulty", b"faulty2"))
    stream = await trio.open_tcp_stream("127.0.0.1", shared.plain)
    try:
        with trio.move_on_after(shared.random.choice((0.1, 1.0, 5.0))), contextlib.suppress(*GONE):
            if shared.random.random() < 0.5:
                await stream.send_all(b"GET /%b/x HTTP/1.1\r\nhost: soak.test\r\nconnection: close\r\n\r\n" % name)
            else:
                head = b"POST /%b/x HTTP/1.1\r\nhost: soak.test\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n"
                await stream.send_all(head % name + content(300_000))
            while await stream.receive_some():
                pass
    finally:
        await trio.aclose_forcefully(stream)
    shared.record.did(f"asked {name.decode()} upstream")


_ANSWERS1 = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n" + content(70_000),
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + content(9000),
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret",
)
_ANSWERS2 = (
    _frame(4, 0, 0, b"")
    + _frame(4, 1, 0, b"")
    + _frame(1, 4, 1, b"\x88")
    + _frame(0, 0, 1, content(9000))
    + _frame(0, 1, 1, b""),
    _frame(4, 0, 0, b"") + _frame(3, 0, 1, b"\0\0\0\x07"),
    _frame(4, 0, 0, b"") + _frame(1, 4, 1, b"\x88") + _frame(7, 0, 0, b"\0\0\0\0\0\0\0\0"),
    _frame(4, 0, 0, b"\x00\x03\x00\x00\x00\x01")
    + _frame(1, 4, 1, b"\x88")
    + _frame(1, 5, 1, _literal(b"x-last", b"1")),
)


async def upstream1(random: Random, stream: Any) -> None:
    """An HTTP/1 upstream that misbehaves, each connection in its own way."""
    await _misbehave(random, stream, random.choice(_ANSWERS1))


async def upstream2(random: Random, stream: Any) -> None:
    """An HTTP/2 upstream that misbehaves."""
    await _misbehave(random, stream, random.choice(_ANSWERS2))


async def _misbehave(random: Random, stream: Any, answer: bytes) -> None:
    how = random.choice(("reset at once", "silent", "unread", "cut", "garbled", "drip", "early", "half-closed"))
    if how == "reset at once":
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        return
    if how != "early":
        await stream.receive_some(100 if how == "unread" else 100_000)
    with trio.move_on_after(3):
        if how == "silent":
            await trio.sleep_forever()
        elif how == "drip":
            for at in range(0, len(answer), 500):
                await stream.send_all(answer[at : at + 500])
                await trio.sleep(0.01)
        elif how == "garbled":
            await stream.send_all(garbled(random, answer))
        else:
            await stream.send_all(answer[: random.randint(0, len(answer))] if how == "cut" else answer)
        if how in ("half-closed", "early"):
            await stream.send_eof()
            while await stream.receive_some():
                pass
        else:
            await trio.sleep(random.uniform(0, 0.2))
    if random.random() < 0.5:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
