"""The request body on its way up: pulled once from the client, kept for another attempt as long as it fits."""

from __future__ import annotations

from collections.abc import Callable

from trio_envoy.http.body import Body
from trio_envoy.http.headers import Headers
from trio_envoy.util.wake import Wake


class Upload:
    """A request body that may be sent more than once.

    Args:
        source: the body as the codec gives it.
        limit: bytes that are kept for another attempt; 0 keeps nothing.
        on_end: called once when the last byte has been pulled.
        on_abandoned: called once when the body has outgrown the limit.
    """

    __slots__ = ("_busy", "_ended", "_freed", "_kept", "_limit", "_on_abandoned", "_on_end", "_size", "_source")

    def __init__(
        self, source: Body, limit: int, on_end: Callable[[], None], on_abandoned: Callable[[], None] | None = None
    ) -> None:
        self._source = source
        self._limit = limit
        self._on_end = on_end
        self._on_abandoned = on_abandoned
        self._kept: list[bytes] | None = [] if limit else None
        self._size = 0
        self._ended = False
        self._busy = False
        self._freed = Wake()

    @property
    def repeatable(self) -> bool:
        """Whether all that was pulled so far is still here."""
        return self._kept is not None

    @property
    def trailers(self) -> Headers | None:
        """Those of the source."""
        return self._source.trailers

    def begin(self) -> Body:
        """The body from its beginning, for one attempt; an earlier attempt's view must not be read any more."""
        return _View(self, self._kept)

    def stop_keeping(self) -> None:
        """No further attempt will come (the response has begun): let go of what was kept."""
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

    async def pull(self) -> bytes:
        """Body.read of the source, recorded; waits for a cancelled read of an earlier attempt to leave."""
        while self._busy:
            await self._freed.wait()
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
        elif self._kept is not None:
            self._size += len(data)
            if self._size > self._limit:
                self._kept = None
                if self._on_abandoned is not None:
                    self._on_abandoned()
            else:
                self._kept.append(data)


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
        if kept is None or self._at >= len(kept):
            return None
        self._at += 1
        return kept[self._at - 1]

    def read_nowait(self) -> bytes | None:
        data = self._next_kept()
        if data is None:
            data = self._upload.pull_nowait()
            self._at += bool(data)
        return data

    async def read(self) -> bytes:
        data = self._next_kept()
        if data is None:
            data = await self._upload.pull()
            self._at += bool(data)
        return data
