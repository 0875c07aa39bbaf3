"""Scripted origins on loopback ports: they answer as a case says and remember what they saw."""

import socket
import struct
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from tests.parity.case import Answer, UpstreamScript, body_bytes, header_list
from tests.parity.certificates import Certificates
from tests.parity.frames import OK_FRAMES, PREFACE, RawPeer, encoded, joined
from tests.parity.http1 import Message, Reader, encode
from tests.parity.http2 import Peer, Stream
from tests.parity.normalise import Distinct

_OK = Answer(status=200, body="ok")
_HOST = "127.0.0.1"


@attrs.define(eq=False)
class Upstream:
    """One origin.

    Attributes:
        port: taken when the upstream opens and kept until the end, also while it is down.
        connections: how many were accepted.
        seen: the requests, as they are written to the answer document.
    """

    name: str
    script: UpstreamScript
    certificates: Certificates
    nursery: trio.Nursery
    port: int = 0
    connections: int = 0
    seen: list[dict[str, Any]] = attrs.field(factory=list)
    _socket: Any = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _fillers: list[socket.socket] = attrs.field(factory=list)
    _used: dict[int, int] = attrs.field(factory=dict)

    async def open(self) -> None:
        """Take a port; listen unless the protocol says otherwise."""
        await self._bind()
        if self.script.protocol == "blackhole":
            self._socket.listen(0)
            for _ in range(4):  # a full backlog: the kernel drops further SYNs
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((_HOST, self.port))
                self._fillers.append(filler)
        elif self.script.protocol != "down":
            self._listen()

    async def change(self, answers: list[Answer] | None, state: str | None) -> None:
        """Other answers from now on; "down" refuses connections and drops the open ones, "up" listens again."""
        if answers is not None:
            self.script = attrs.evolve(self.script, answers=answers)
            self._used.clear()
        if state == "down":
            self._scope.cancel()
            self._socket.close()
            await self._bind()
        elif state == "up":
            self._listen()

    def close(self) -> None:
        """Stop listening and give the port back."""
        self._scope.cancel()
        if self._socket is not None:
            self._socket.close()
        for filler in self._fillers:
            filler.close()

    def document(self) -> Any:
        """What is recorded of this upstream."""
        if self.script.record == "distinct":
            plain = [{key: value for key, value in one.items() if key != "connection"} for one in self.seen]
            return {"requests": Distinct(plain)}
        return {"connections": self.connections, "requests": self.seen}

    async def _bind(self) -> None:
        self._socket = trio.socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await self._socket.bind((_HOST, self.port))
        self.port = self._socket.getsockname()[1]

    def _listen(self) -> None:
        self._socket.listen(64)
        self._scope = trio.CancelScope()
        self.nursery.start_soon(self._accept, self._socket, self._scope)

    async def _accept(self, listening: Any, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                while True:
                    accepted, _ = await listening.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.connections += 1
                    nursery.start_soon(self._serve, trio.SocketStream(accepted), self.connections)

    async def _serve(self, stream: Any, number: int) -> None:
        facts: dict[str, Any] = {"connection": number}
        raw = stream
        try:
            if self.script.tls is not None:
                stream = await self._shake_hands(stream, facts)
            reader = Reader(stream)
            if self.script.protocol == "frames":
                await self._serve_frames(stream, raw, reader, facts)
            elif self.script.protocol == "tcp":
                await self._serve_tcp(stream, raw, reader, facts)
            elif self.script.protocol == "h2c" or facts.get("alpn") == "h2":
                await self._serve_h2(stream, raw, reader, facts)
            else:
                await self._serve_http1(stream, raw, reader, facts)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(raw)

    async def _shake_hands(self, raw: trio.SocketStream, facts: dict[str, Any]) -> trio.SSLStream[trio.SocketStream]:
        context = self.certificates.server(self.script.tls or {})
        context.sni_callback = lambda _socket, name, _context: facts.update(sni=name)
        stream = trio.SSLStream(raw, context, server_side=True, https_compatible=True)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError:
            self.seen.append({**facts, "handshake": "failed"})
            raise
        facts |= {"tls": stream.version(), "alpn": stream.selected_alpn_protocol()}
        if stream.getpeercert():
            facts["client"] = [value for kind, value in stream.getpeercert()["subjectAltName"]]
        return stream

    async def _serve_http1(self, stream: Any, raw: trio.SocketStream, reader: Reader, facts: Mapping[str, Any]) -> None:
        while (message := await reader.head()) is not None:
            method, path = [*message.start.split(" "), "", ""][:2]
            answer = self._choose(method, path) if message.whole else _OK
            if answer.echo:
                await self._tunnel_http1(stream, reader, message, answer, facts)
                await self._end(raw, answer.then)
                return
            if message.whole and answer.early:
                await self._answer_http1(stream, message, answer)
            if answer.then == "keep" or not answer.early:
                await reader.body(message)
            self._remember(facts, request=message.start, headers=message.headers, message=message)
            if not message.whole:
                return
            if not answer.early:
                await self._answer_http1(stream, message, answer)
            if answer.then != "keep":
                await self._end(raw, answer.then)
                return

    async def _tunnel_http1(
        self, stream: Any, reader: Reader, message: Message, answer: Answer, facts: Mapping[str, Any]
    ) -> None:
        """Answer, then give back whatever comes; what came is the body of the request."""
        await self._answer_http1(stream, message, answer)
        try:
            while reader.buffer or await reader.more():
                data = bytes(reader.buffer)
                reader.buffer.clear()
                message.body += data
                await stream.send_all(data)
        finally:
            self._remember(facts, request=message.start, headers=message.headers, message=message)

    async def _answer_http1(self, stream: Any, message: Message, answer: Answer) -> None:
        await trio.sleep(answer.delay)
        if answer.raw is not None:
            await _send_pieces(stream, answer.raw)
        elif answer.status is not None:
            for interim in answer.interim:
                await stream.send_all(
                    encode(f"HTTP/1.1 {interim['status']} Interim", header_list(interim.get("headers", ())))
                )
            reason = "OK" if answer.reason is None and answer.status == 200 else answer.reason or "Because"
            body = body_bytes(answer.body)
            headers = header_list(answer.headers)
            empty = not (body or answer.echo or _framed(headers)) and answer.chunks is None
            if empty and answer.status not in (204, 304):
                headers.append(("content-length", "0"))
            if message.start.startswith("HEAD "):
                headers += [("content-length", str(len(body)))] if body and not _framed(headers) else []
                body = b""
            await stream.send_all(
                encode(f"HTTP/1.1 {answer.status} {reason}", headers, body, answer.chunks, header_list(answer.trailers))
            )

    async def _serve_h2(self, stream: Any, raw: trio.SocketStream, reader: Reader, facts: Mapping[str, Any]) -> None:
        async def answer_stream(one: Stream) -> None:
            answer = self._choose(one.first(":method"), one.first(":path"))
            if answer.echo:
                await self._answer_h2(peer, one, answer)
            elif not answer.early:
                await one.over.wait()
            pseudo = sorted(field for field in one.headers if field[0].startswith(":"))  # their order says nothing
            others = [field for field in one.headers if not field[0].startswith(":")]
            self._remember(facts, headers=pseudo + others, message=one)
            if not answer.echo:
                await self._answer_h2(peer, one, answer)
            if answer.then == "close":
                await self._end(raw, "close")

        peer = Peer(
            stream,
            client=False,
            reader=reader,
            on_stream=answer_stream,
            extended_connect=self.script.extended_connect,
        )
        async with trio.open_nursery() as nursery:
            await peer.begin()
            await peer.run(nursery)
            nursery.cancel_scope.cancel()

    async def _answer_h2(self, peer: Peer, one: Stream, answer: Answer) -> None:
        await trio.sleep(answer.delay)
        if answer.status is None:
            await self._finish_h2(peer, one, answer)
            return
        for interim in answer.interim:
            await peer.send_headers(
                one, [(":status", str(interim["status"])), *header_list(interim.get("headers", ()))], end=False
            )
        body = b"" if one.first(":method") == "HEAD" else body_bytes(answer.body)
        pieces = [chunk.encode("latin-1") for chunk in answer.chunks or []] or ([body] if body else [])
        trailers = header_list(answer.trailers)
        headers = [(":status", str(answer.status)), *header_list(answer.headers)]
        cut = answer.echo or answer.then in ("close", "reset", "hang")
        await peer.send_headers(one, headers, end=not pieces and not trailers and not cut)
        for number, piece in enumerate(pieces, 1):
            await peer.send_body(one, piece, end=number == len(pieces) and not trailers and not cut)
        if trailers:
            await peer.send_headers(one, trailers, end=True)
        if answer.echo:
            await peer.echo(one)
        await self._finish_h2(peer, one, answer)

    async def _finish_h2(self, peer: Peer, one: Stream, answer: Answer) -> None:
        if answer.then == "reset":
            await peer.reset(one, answer.code)
        if answer.goaway:
            await peer.say_goaway()

    async def _serve_frames(self, stream: Any, raw: trio.SocketStream, reader: Reader, facts: dict[str, Any]) -> None:
        """Frames go out as they are written; what came is recorded for each connection."""
        if self.script.record != "none":
            self.seen.append(facts)
        peer = RawPeer(stream, reader)
        answered: set[int] = set()

        async def answer_frames(number: int, answer: Answer) -> None:
            await trio.sleep(answer.delay)
            await peer.send(joined(encoded(OK_FRAMES if answer.raw is None else answer.raw, number)))
            if answer.then != "keep":
                await self._end(raw, answer.then)

        while len(reader.buffer) < len(PREFACE):
            if not await reader.more():
                return
        del reader.buffer[: len(PREFACE)]
        async with trio.open_nursery() as nursery:
            await peer.send(joined(encoded([{"SETTINGS": 0}] if self.script.hello is None else self.script.hello)))
            while await peer.frames():
                facts |= peer.shown([])
                for number, one in peer.streams.items():
                    if number in answered or not one.fields:
                        continue
                    answer = self._choose(one.first(":method"), one.first(":path"))
                    if one.over or answer.early:
                        answered.add(number)
                        nursery.start_soon(answer_frames, number, answer)
            nursery.cancel_scope.cancel()

    async def _serve_tcp(self, stream: Any, raw: trio.SocketStream, reader: Reader, facts: Mapping[str, Any]) -> None:
        """Whatever comes is answered, each time bytes arrive."""
        while await reader.more():
            answer = self._choose("", "")
            if self.script.record != "none":
                self.seen.append({**facts, "bytes": reader.buffer.decode("latin-1")})
            reader.buffer.clear()
            await trio.sleep(answer.delay)
            await _send_pieces(stream, answer.raw or [])
            if answer.then != "keep":
                await self._end(raw, answer.then)
                return

    async def _end(self, raw: trio.SocketStream, how: str) -> None:
        if how == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "hang":
            await trio.sleep_forever()
        await trio.aclose_forcefully(raw)

    def _choose(self, method: str, path: str) -> Answer:
        for number, answer in enumerate(self.script.answers):
            wanted, _, prefix = answer.when.rpartition(" ") if " /" in answer.when else ("", "", answer.when)
            if self.script.protocol != "tcp" and not (path.startswith(prefix) and wanted in ("", method)):
                continue
            used = self._used[number] = self._used.get(number, 0) + 1
            if answer.times is None or used <= answer.times:
                return answer
        return _OK

    def _remember(self, facts: Mapping[str, Any], *, headers: Any, message: Any, request: str | None = None) -> None:
        if self.script.record == "none":
            return
        seen: dict[str, Any] = dict(facts)
        if request is not None:
            seen["request"] = request
        seen["headers"] = [f"{name}: {value}" for name, value in headers]
        if message.body:
            seen["body"] = message.body
        if message.trailers:
            seen["trailers"] = [f"{name}: {value}" for name, value in message.trailers]
        if getattr(message, "reset", ""):
            seen["reset"] = message.reset
        if not getattr(message, "whole", True):
            seen["unfinished"] = True
        self.seen.append(seen)


async def _send_pieces(stream: Any, pieces: list[Any]) -> None:
    for piece in pieces:
        if isinstance(piece, int | float):
            await trio.sleep(piece)
        else:
            await stream.send_all(body_bytes(piece))


def _framed(headers: Any) -> bool:
    return any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers)
