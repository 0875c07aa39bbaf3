"""The request body on its way up: pulled once from the client, kept for another attempt as long as it fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trio_envoy.http.body import Body, BytesBody
from trio_envoy.http.headers import Headers
from trio_envoy.util.wake import Wake

_AHEAD_BYTES: Final = 64 * 1024  # of what is here before there is a connection


class Upload:
    """A request body that may be sent more than once.

    Args:
        source: the body as the codec gives it.
        limit: bytes that are kept for another attempt; None: there will be none.
        on_end: called once when the last byte has been pulled.
        on_abandoned: called once when the body has outgrown the limit.

    Attributes:
        repeatable: all that was pulled so far is still here.
    """

    __slots__ = (
        "_begun",
        "_busy",
        "_ended",
        "_freed",
        "_kept",
        "_limit",
        "_on_abandoned",
        "_on_end",
        "_size",
        "_source",
        "repeatable",
    )

    def __init__(
        self, source: Body, limit: int | None, on_end: Callable[[], None], on_abandoned: Callable[[], None]
    ) -> None:
        self._source = source
        self._limit = limit
        self._on_end = on_end
        self._on_abandoned = on_abandoned
        self.repeatable = limit is not None
        self._begun = False
        self._kept: list[bytes] | None = []
        self._size = 0
        self._ended = False
        self._busy = False
        self._freed = Wake()

    @property
    def trailers(self) -> Headers | None:
        """Those of the source."""
        return self._source.trailers

    def fetch_nowait(self) -> None:
        """Pull what is here already, while there is no connection yet: a short body is then complete."""
        while self._size < _AHEAD_BYTES and (data := self._source.read_nowait()) is not None:
            self._record(data)
            if not data:
                return

    def begin(self) -> Body:
        """The body from its beginning, for one attempt; an earlier attempt's view must not be read any more."""
        view = _View(self, self._kept)
        self._begun = True
        if not self.repeatable:
            self._kept = None
        return view

    def stop_keeping(self) -> None:
        """No further attempt will come (the response has begun): let go of what was kept."""
        self.repeatable = False
        self._kept = None

    def pull_nowait(self) -> bytes | None:
        """Body.read_nowait of the source, recorded."""
        if self._ended:
            return b""
        if self._busy:
            return None
        data = self._source.read_nowait()
        if data is not None:
            self._record(data)
        return data

    async def settled(self) -> None:
        """Wait for a cancelled read of an earlier attempt to leave: it may have got something yet, which is kept."""
        while self._busy:
            await self._freed.wait()

    async def pull(self) -> bytes:
        """Body.read of the source, recorded; nobody else reads."""
        if self._ended:
            return b""
        self._busy = True
        try:
            data = await self._source.read()
            self._record(data)
        finally:
            self._busy = False
            self._freed.set()
        return data

    def _record(self, data: bytes) -> None:
        if not data:
            self._ended = True
            self._on_end()
            return
        self._size += len(data)
        if self._kept is not None:
            self._kept.append(data)
        if self.repeatable and self._limit is not None and self._size > self._limit:
            self.repeatable = False
            if self._begun:
                self._kept = None
            self._on_abandoned()


class _View:
    """One attempt's walk over what was kept, then over what still comes."""

    __slots__ = ("_at", "_kept", "_upload")

    def __init__(self, upload: Upload, kept: list[bytes] | None) -> None:
        self._upload = upload
        self._kept = kept
        self._at = 0

    @property
    def trailers(self) -> Headers | None:
        return self._upload.trailers

    def _next_kept(self) -> bytes | None:
        kept = self._kept
        if kept is None:
            return None
        if self._at < len(kept):
            self._at += 1
            return kept[self._at - 1]
        if not self._upload.repeatable:  # nothing is added any more
            self._kept = None
        return None

    def read_nowait(self) -> bytes | None:
        data = self._next_kept()
        if data is None:
            data = self._upload.pull_nowait()
            self._at += bool(data)
        return data

    async def read(self) -> bytes:
        data = self._next_kept()
        if data is None:
            await self._upload.settled()
            data = self._next_kept()
        if data is None:
            data = await self._upload.pull()
            self._at += bool(data)
        return data


class _Begun:
    """A body of which the first chunks were pulled."""

    __slots__ = ("_chunks", "_source")

    def __init__(self, chunks: list[bytes], source: Body) -> None:
        self._chunks = chunks
        self._source = source

    @property
    def trailers(self) -> Headers | None:
        return self._source.trailers

    def read_nowait(self) -> bytes | None:
        return self._chunks.pop(0) if self._chunks else self._source.read_nowait()

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else await self._source.read()


def pulled(body: Body) -> Body:
    """The same body: as a BytesBody if all of it is here and came as one chunk."""
    data = body.read_nowait()
    if data is None:
        return body
    rest = body.read_nowait() if data and not isinstance(body, BytesBody) else b""
    if rest == b"":
        return BytesBody(data, body.trailers)
    return _Begun([data, rest] if rest else [data], body)
