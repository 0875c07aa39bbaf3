"""The client of a case: takes its steps over real sockets and notes what came back."""

import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio

from tests.parity import case as steps
from tests.parity.certificates import Certificates
from tests.parity.frames import exchange
from tests.parity.http1 import Message, Reader, encode
from tests.parity.http2 import Peer, Stream
from tests.parity.normalise import Cycle, Unordered
from tests.parity.upstreams import Upstream

_HOST = "127.0.0.1"
_GRACE = 0.06  # s; how long an answered connection is watched for a close nobody announced
_CLOSE = 5.0  # s; how long an announced close may take
_AUTHORITY = "a.com"


@attrs.define(eq=False)
class Connection:
    """One open connection: its bytes, and its HTTP/2 peer if it speaks that."""

    stream: Any
    socket: trio.SocketStream
    reader: Reader
    peer: Peer | None = None

    async def send(self, data: bytes) -> None:
        """Send; a peer that is gone shows when reading."""
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def end(self, how: str) -> None:
        """Close, reset or half_close."""
        if how == "half_close":
            await self.socket.send_eof()
            return
        if how == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self.socket)

    async def fate(self, within: float) -> str:
        """Watch for so long: kept, closed or reset; unasked bytes are named too."""
        with trio.move_on_after(within):
            while await self.reader.more():
                pass
        extra = f" after {bytes(self.reader.buffer)[:200]!r}" if self.reader.buffer and self.peer is None else ""
        return (self.reader.ended or "kept") + extra


@attrs.define(eq=False)
class Client:
    """Runs steps against a running subject.

    Attributes:
        listeners: name to port on loopback, or to the path of a Unix domain socket.
        admin: port of the admin interface.
        nursery: where readers of HTTP/2 connections live.
    """

    listeners: Mapping[str, int | str]
    admin: int
    upstreams: Mapping[str, Upstream]
    certificates: Certificates
    nursery: trio.Nursery
    _open: dict[str, Connection] = attrs.field(factory=dict)

    async def take(self, step: Any) -> Any:
        """One step; what is recorded of it, None for nothing."""
        verbs: dict[type[Any], Callable[[Any], Awaitable[Any]]] = {
            steps.RequestStep: self._request,
            steps.RawStep: self._raw,
            steps.PipelineStep: self._pipeline,
            steps.H2Step: self._h2,
            steps.FramesStep: self._frames,
            steps.AdminStep: self._admin,
            steps.UntilStep: self._until,
            steps.WaitStep: self._wait,
            steps.CloseStep: self._close,
            steps.WatchStep: self._watch,
            steps.SetStep: self._set,
            steps.ParallelStep: self._parallel,
        }
        do = verbs[type(step)]
        if getattr(step, "repeat", 1) == 1:
            return await do(step)
        taken = [await do(step) for _ in range(step.repeat)]
        return Cycle(taken) if step.cycle else taken

    async def close_all(self) -> None:
        """Close what named steps left open."""
        for connection in self._open.values():
            await connection.end("close")

    # HTTP/1

    async def _request(self, step: steps.RequestStep) -> Any:
        data = _request_bytes(step, step.version)
        if step.pause:
            head, _, rest = data.partition(b"\r\n\r\n")
            pieces = [head + b"\r\n\r\n", step.pause, rest]
        else:
            pieces = [data]
        method = step.request.split(" ")[0]
        return {"sent": step.request, **await self._exchange(step, pieces, [method])}

    async def _raw(self, step: steps.RawStep) -> Any:
        pieces = [
            piece if isinstance(piece, int | float) else steps.body_bytes(piece)
            for piece in (step.raw if isinstance(step.raw, list) else [step.raw])
        ]
        first = next((piece for piece in pieces if isinstance(piece, bytes)), b"")
        methods = [first.split(b" ")[0].decode("latin-1")] * step.responses
        sent = {"sent": first.split(b"\n")[0].decode("latin-1").strip()[:80]}
        if step.then in ("close", "reset"):
            connection = await self._connect(step)
            await _send_pieces(connection, pieces)
            await connection.end(step.then)
            return sent
        return {
            **sent,
            **await self._exchange(step, pieces, methods, half_close=step.then == "half_close", plain=step.plain),
        }

    async def _pipeline(self, step: steps.PipelineStep) -> Any:
        data = b"".join(_request_bytes(request, "HTTP/1.1") for request in step.pipeline)
        return await self._exchange(step, [data], [request.request.split(" ")[0] for request in step.pipeline])

    async def _exchange(
        self, line: steps.Line, pieces: list[Any], methods: list[str], *, half_close: bool = False, plain: bool = False
    ) -> dict[str, Any]:
        try:
            connection = await self._connect(line)
        except (trio.BrokenResourceError, OSError) as error:
            return {"refused": type(error).__name__}
        answers: list[Message] = []
        shown: dict[str, Any] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_pieces, connection, pieces, half_close)
            if plain:
                await connection.fate(line.within)
                shown = {"bytes": bytes(connection.reader.buffer)}
                connection.reader.buffer.clear()
            else:
                with trio.move_on_after(line.within) as scope:
                    for method in methods:
                        await _read_answers(connection.reader, method, answers)
                shown = {"answers": [_shown(answer, line.show) for answer in answers]}
                if scope.cancelled_caught:
                    shown["silent"] = True
            nursery.cancel_scope.cancel()
        if line.fate:
            fate = await connection.fate(_patience(line, answers))
            answered = bool(answers) and answers[-1].whole  # whether FIN or RST follows an answer is a race
            shown["connection"] = "closed" if answered and fate == "reset" else fate
        if not line.via or connection.reader.ended:
            self._open.pop(line.via, None)
            await connection.end("close")
        return shown

    # HTTP/2

    async def _h2(self, step: steps.H2Step) -> Any:
        connection = await self._connect(step)
        if connection.peer is None:
            connection.peer = Peer(connection.stream, client=True, reader=connection.reader)
            await connection.peer.begin()
            self.nursery.start_soon(connection.peer.run, self.nursery)
        peer = connection.peer
        opened: list[Stream] = []
        with trio.move_on_after(step.within):
            async with trio.open_nursery() as nursery:
                for request in step.h2:
                    fields = _h2_fields(request)
                    stream = await peer.open(fields, end=not (request.body or request.chunks or request.trailers))
                    opened.append(stream)
                    nursery.start_soon(_send_h2_rest, peer, stream, request)
                for stream in opened:
                    await stream.over.wait()
                nursery.cancel_scope.cancel()
        if step.fate:
            await trio.sleep(_CLOSE if step.until_close and not connection.reader.ended else _GRACE)
        shown: dict[str, Any] = {"streams": [_shown_stream(stream, step.show) for stream in opened]}
        if step.fate:
            shown["connection"] = "closed" if connection.reader.ended else "kept"
        if peer.goaway:
            shown["goaway"] = peer.goaway
        if not step.via:
            await connection.end("close")
        return shown

    async def _frames(self, step: steps.FramesStep) -> Any:
        connection = await self._connect(step)
        try:
            return await exchange(connection.stream, connection.reader, step)
        finally:
            await connection.end("close")

    # The rest

    async def _admin(self, step: steps.AdminStep) -> Any:
        answer = await self.ask_admin(step.admin, step.body)
        shown: dict[str, Any] = {"sent": step.admin, "status": answer.start}
        if step.headers:
            shown["headers"] = [f"{name}: {value}" for name, value in answer.headers]
        if "body" in step.show:
            shown["body"] = _picked(answer.body, step)
        return shown

    async def ask_admin(self, request: str, body: str = "") -> Message:
        """One request to the admin interface on its own connection."""
        method = request.split(" ")[0]
        headers = [
            ("host", "admin"),
            ("connection", "close"),
            *([("content-length", "0")] if method == "POST" and not body else []),
        ]
        stream = await trio.open_tcp_stream(_HOST, self.admin)
        try:
            await stream.send_all(encode(f"{request} HTTP/1.1", headers, body.encode()))
            reader = Reader(stream)
            message = await reader.head()
            if message is None:
                return Message("no answer", [], whole=False)
            await reader.body(message, answers=method)
            return message
        finally:
            await trio.aclose_forcefully(stream)

    async def _until(self, step: steps.UntilStep) -> Any:
        pattern = re.compile(step.shows, re.MULTILINE)
        with trio.move_on_after(step.within):
            while not pattern.search((await self.ask_admin(f"GET {step.until}")).body.decode()):  # noqa: ASYNC110 # a page is polled
                await trio.sleep(0.05)
            return {"until": f"{step.until} shows {step.shows}", "reached": True}
        return {"until": f"{step.until} shows {step.shows}", "reached": False}

    async def _wait(self, step: steps.WaitStep) -> None:
        await trio.sleep(step.wait)

    async def _close(self, step: steps.CloseStep) -> None:
        connection = self._open[step.close] if step.how == "half_close" else self._open.pop(step.close)
        await connection.end(step.how)

    async def _watch(self, step: steps.WatchStep) -> Any:
        if step.watch not in self._open:
            return {"watched": step.watch, "connection": "closed"}
        connection = self._open[step.watch]
        if connection.peer is not None:
            await trio.sleep(step.within)
            return {
                "watched": step.watch,
                "connection": "closed" if connection.reader.ended else "kept",
                "goaway": connection.peer.goaway,
            }
        return {"watched": step.watch, "connection": await connection.fate(step.within)}

    async def _set(self, step: steps.SetStep) -> None:
        await self.upstreams[step.set].change(step.answers, step.state)

    async def _parallel(self, step: steps.ParallelStep) -> Any:
        results: dict[int, Any] = {}

        async def take(number: int, inner: Any) -> None:
            results[number] = await self.take(inner)

        async with trio.open_nursery() as nursery:
            for number, inner in enumerate(step.parallel):
                nursery.start_soon(take, number, inner)
                await trio.sleep(step.stagger)
        return [results[number] for number in sorted(results)]

    async def _connect(self, line: steps.Line) -> Connection:
        if line.via in self._open:
            return self._open[line.via]
        where = self.listeners[line.to]
        raw = await trio.open_tcp_stream(_HOST, where) if isinstance(where, int) else await trio.open_unix_socket(where)
        stream: Any = raw
        if line.tls is not None:
            stream = trio.SSLStream(
                raw,
                self.certificates.client(line.tls),
                server_hostname=line.tls.get("sni", "localhost"),
                https_compatible=True,
            )
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(raw)
                raise
        connection = Connection(stream, raw, Reader(stream))
        if line.via:
            self._open[line.via] = connection
        return connection


async def _send_pieces(connection: Connection, pieces: list[Any], half_close: bool = False) -> None:
    for piece in pieces:
        if isinstance(piece, bytes):
            await connection.send(piece)
        else:
            await trio.sleep(piece)
    if half_close:
        await connection.end("half_close")


async def _read_answers(reader: Reader, method: str, answers: list[Message]) -> None:
    """One final answer and the 1xx before it."""
    while (message := await reader.head()) is not None:
        answers.append(message)
        if not message.whole:
            return
        await reader.body(message, answers=method)
        if not re.match(r"\S+ 1\d\d\b", message.start):
            return


async def _send_h2_rest(peer: Peer, stream: Stream, request: steps.Request) -> None:
    if request.reset is not None:
        await trio.sleep(request.reset)
        await peer.reset(stream, 8)
        stream.over.set()
        return
    pieces = request.chunks or ([request.body] if request.body else [])
    trailers = steps.header_list(request.trailers)
    for number, piece in enumerate(pieces, 1):
        if isinstance(piece, int | float):
            await trio.sleep(piece)
        else:
            await peer.send_body(stream, steps.body_bytes(piece), end=number == len(pieces) and not trailers)
    if trailers:
        await peer.send_headers(stream, trailers, end=True)


def _request_bytes(request: steps.Request, version: str) -> bytes:
    given = steps.header_list(request.headers)
    names = request.headers if isinstance(request.headers, Mapping) else dict(given)
    host = [] if any(name.lower() == "host" for name in names) else [("Host", _AUTHORITY)]
    return encode(
        f"{request.request} {version}",
        host + given,
        steps.body_bytes(request.body),
        request.chunks,
        steps.header_list(request.trailers),
    )


def _h2_fields(request: steps.Request) -> steps.Headers:
    if request.fields is not None:
        return [(name, value) for name, value in request.fields]
    method, _, path = request.request.partition(" ")
    given = steps.header_list(request.headers)
    authority = next((value for name, value in given if name == ":authority"), _AUTHORITY)
    return [
        (":method", method),
        (":scheme", "http"),
        (":authority", authority),
        (":path", path),
        *[(name, value) for name, value in given if name != ":authority"],
    ]


def _patience(line: steps.Line, answers: list[Message]) -> float:
    last = answers[-1] if answers else None
    asked = ((last and last.first("connection")) or "").lower()
    announced = last is not None and (
        asked == "close" or not last.whole or (last.start.startswith("HTTP/1.0") and asked != "keep-alive")
    )
    return _CLOSE if line.until_close or announced or last is None else _GRACE


def _shown(answer: Message, show: list[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "status": answer.start,
        "headers": [f"{name}: {value}" for name, value in answer.headers],
        "body": answer.body,
    }
    if answer.trailers:
        parts["trailers"] = [f"{name}: {value}" for name, value in answer.trailers]
    if not answer.whole:
        parts["unfinished"] = True
    return _selected(parts, show)


def _shown_stream(stream: Stream, show: list[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if stream.interim:
        parts["interim"] = [[f"{name}: {value}" for name, value in one] for one in stream.interim]
    parts |= {"headers": [f"{name}: {value}" for name, value in stream.headers], "body": stream.body}
    if stream.trailers:
        parts["trailers"] = [f"{name}: {value}" for name, value in stream.trailers]
    if stream.reset:
        parts["reset"] = stream.reset
    if not stream.over.is_set():
        parts["silent"] = True
    return _selected(parts, show)


def _selected(parts: dict[str, Any], show: list[str]) -> dict[str, Any]:
    names = {part for part in show if ":" not in part}
    if not show:
        return parts
    wanted = tuple(part.removeprefix("header:") + ":" for part in show if part.startswith("header:"))
    kept = {name: value for name, value in parts.items() if name in names or name == "unfinished"}
    if wanted:
        kept["headers"] = [line for line in parts["headers"] if line.startswith(wanted)]
    return kept


def _picked(body: bytes, step: steps.AdminStep) -> Any:
    if step.json and body.startswith(b"{"):
        return _sorted_keys(json.loads(body))
    if step.keys:
        return _keys(json.loads(body), step.keys)
    if not step.pick and not step.sort:
        return body
    lines = body.decode().split("\n")
    if step.pick:
        lines = [line for line in lines if any(re.search(pattern, line) for pattern in step.pick)]
    return Unordered(lines) if step.sort else lines


def _sorted_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _sorted_keys(node[key]) for key in sorted(node)}
    return [_sorted_keys(value) for value in node] if isinstance(node, list) else node


def _keys(node: Any, depth: int) -> Any:
    if isinstance(node, dict):
        return {key: _keys(value, depth - 1) for key, value in node.items()} if depth > 1 else list(node)
    if isinstance(node, list):
        return [_keys(value, depth) for value in node[:1]]
    return type(node).__name__
