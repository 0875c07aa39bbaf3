"""Both proxies, kept warm, with the same configuration; inputs go in, pairs of outcomes come out."""

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.fuzz import configs
from tests.fuzz.client import Heard, converse
from tests.fuzz.inputs import Input
from tests.fuzz.origin import Origin
from tests.fuzz.outcome import Outcome
from tests.parity.subjects import Subject, SubjectError, envoy, ours

SLOTS = 40  # inputs at a time
PATIENCE = 0.12  # s in which nothing may come
_FLUSH = 50  # ms between two writes of the access log
_READY = 20.0  # s


@attrs.define(eq=False)
class _Side:
    """One proxy with its origins."""

    name: str
    origins: list[Origin]
    log: Path
    ports: dict[str, int] = attrs.field(factory=dict)
    _read: int = 0
    _rest: bytes = b""

    def lines(self) -> list[dict[str, Any]]:
        """What was logged since the last time."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line.decode("latin-1"), strict=False) for line in lines if line]


@attrs.define(eq=False)
class Lab:
    """Where inputs are run."""

    _sides: tuple[_Side, _Side]

    async def run(self, cases: Sequence[Input], patience: float = PATIENCE) -> list[tuple[Outcome, Outcome]]:
        """Envoy's outcome and ours for each input."""
        heard: list[dict[int, tuple[Heard, list[Any]]]] = [{}, {}]
        async with trio.open_nursery() as nursery:
            for side, results in zip(self._sides, heard, strict=True):
                queue = iter(enumerate(cases))
                for slot in range(SLOTS):
                    nursery.start_soon(self._lane, side, slot, queue, patience, results)
        await trio.sleep(_FLUSH / 1000 * 3)
        columns = [_outcomes(side.lines(), results) for side, results in zip(self._sides, heard, strict=True)]
        return [(columns[0][index], columns[1][index]) for index in range(len(cases))]

    async def _lane(
        self,
        side: _Side,
        slot: int,
        queue: Iterator[tuple[int, Input]],
        patience: float,
        results: dict[int, tuple[Heard, list[Any]]],
    ) -> None:
        origin = side.origins[slot]
        for index, case in queue:
            origin.begin(case)
            try:
                heard = await converse(_source(index), side.ports[configs.lane(case.options, slot)], case, patience)
            except OSError as error:
                raise SubjectError(f"{side.name} takes no connection any more: {error}") from error
            results[index] = heard, origin.seen
            # The next input has a list of its own; what still comes of this one is in the old list.


def _source(index: int) -> str:
    """The client's address for an input of a batch."""
    return f"127.{1 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"


def _outcomes(lines: Sequence[dict[str, Any]], results: dict[int, tuple[Heard, list[Any]]]) -> dict[int, Outcome]:
    logged: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        logged.setdefault(line.pop("client"), []).append(line)
    return {
        index: Outcome(answers=list(heard.answers), fate=heard.fate, seen=seen, log=logged.get(_source(index), []))
        for index, (heard, seen) in results.items()
    }


@contextlib.asynccontextmanager
async def opened(sets: Sequence[str]) -> AsyncIterator[Lab]:
    """Start the origins and both proxies.

    Raises:
        SubjectError: one of them did not start.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        async with trio.open_nursery() as nursery, contextlib.AsyncExitStack() as stack:
            theirs = await stack.enter_async_context(_side(envoy(), sets, Path(directory), nursery))
            mine = await stack.enter_async_context(_side(ours(), sets, Path(directory), nursery))
            yield Lab((theirs, mine))
            nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def _side(subject: Subject, sets: Sequence[str], directory: Path, nursery: trio.Nursery) -> AsyncIterator[_Side]:
    own = directory / subject.name
    own.mkdir()
    origins = [Origin(nursery) for _ in range(SLOTS)]
    for origin in origins:
        await origin.open()
    log = own / "access.log"
    log.touch()
    config = own / "config.json"
    config.write_text(configs.text(sets, [origin.port for origin in origins], str(log)))
    async with subject.opened(), subject.serve(config, ("--file-flush-interval-msec", str(_FLUSH))) as running:
        side = _Side(subject.name, origins, log)
        side.ports = await _listeners(running.admin)
        yield side


async def _listeners(admin: int) -> dict[str, int]:
    """The port of each listener, once all are there."""
    with trio.move_on_after(_READY):
        while await _ask(admin, "/ready") != b"LIVE\n":  # noqa: ASYNC110 # another process
            await trio.sleep(0.02)
    tree = json.loads(await _ask(admin, "/listeners?format=json"))
    return {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in tree["listener_statuses"]}


async def _ask(admin: int, path: str) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", admin)
    async with stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        data = b"".join([piece async for piece in stream])
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        pieces = []
        while body:
            size, _, body = body.partition(b"\r\n")
            pieces.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        body = b"".join(pieces)
    return body
