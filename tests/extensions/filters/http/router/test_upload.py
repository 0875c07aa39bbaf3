"""Request bodies that may be sent again."""

import pytest
import trio

from tests.fakes import Pieces, headers
from trio_envoy.extensions.filters.http.router.upload import Upload, pulled
from trio_envoy.http.body import BytesBody, read_all


class Watched:
    """An upload, and how often its callbacks were called."""

    def __init__(self, *pieces, limit=100, trailers=None):
        self.ended = self.abandoned = 0
        self.source = Pieces(*pieces, trailers=trailers)
        self.upload = Upload(self.source, limit, self._end, self._abandon)

    def _end(self):
        self.ended += 1

    def _abandon(self):
        self.abandoned += 1

    async def whole(self):
        """The body as the next attempt reads it."""
        return await read_all(self.upload.begin(), 1 << 30)


async def test_a_body_is_read_again_by_each_attempt(autojump_clock):
    watched = Watched(b"a", 1, b"b", b"c")

    assert [await watched.whole() for _ in range(3)] == [b"abc"] * 3
    assert (watched.ended, watched.abandoned, watched.upload.repeatable) == (1, 0, True)


async def test_an_attempt_that_broke_off_leaves_the_next_all_of_it():
    watched = Watched(b"a", b"b", b"c")
    first = watched.upload.begin()
    assert [await first.read(), first.read_nowait()] == [b"a", b"b"]

    assert await watched.whole() == b"abc"


async def test_without_retries_nothing_is_kept():
    watched = Watched(b"a", b"b", limit=None)
    first = watched.upload.begin()

    assert await read_all(first, 100) == b"ab"
    assert not watched.upload.repeatable
    assert await watched.whole() == b""
    assert watched.abandoned == 0


async def test_a_body_over_the_limit_goes_up_once():
    watched = Watched(b"12345", b"6", b"7", limit=5)
    first = watched.upload.begin()
    assert await first.read() == b"12345"
    assert watched.upload.repeatable

    assert [await first.read(), await first.read(), await first.read()] == [b"6", b"7", b""]
    assert (watched.upload.repeatable, watched.abandoned, watched.ended) == (False, 1, 1)


@pytest.mark.parametrize("limit", [100, None])
async def test_what_is_here_is_fetched_before_there_is_a_connection(limit):
    watched = Watched(b"a", b"b", limit=limit)

    watched.upload.fetch_nowait()

    assert watched.ended == 1
    assert await watched.whole() == b"ab"


async def test_what_is_not_here_is_not_waited_for(autojump_clock):
    watched = Watched(b"a", 5, b"b")

    watched.upload.fetch_nowait()

    assert watched.ended == 0
    assert await watched.whole() == b"ab"
    assert watched.ended == 1


async def test_a_body_that_outgrows_the_limit_before_there_is_a_connection_still_goes_up_once():
    watched = Watched(b"12345", b"6", limit=5)

    watched.upload.fetch_nowait()

    assert (watched.upload.repeatable, watched.abandoned) == (False, 1)
    assert await watched.whole() == b"123456"


async def test_not_more_than_a_little_is_fetched_ahead():
    watched = Watched(b"x" * 65536, b"y", limit=1 << 20)

    watched.upload.fetch_nowait()

    assert watched.source.read_bytes == 65536


async def test_read_nowait_gives_what_was_kept_then_what_is_here(autojump_clock):
    watched = Watched(b"a", b"b", 1, b"c")
    assert watched.upload.begin().read_nowait() == b"a"

    second = watched.upload.begin()

    assert [second.read_nowait() for _ in range(3)] == [b"a", b"b", None]
    assert [await second.read(), second.read_nowait(), second.read_nowait()] == [b"c", b"", b""]
    assert watched.ended == 1


async def test_once_the_response_has_begun_nothing_is_kept_any_more():
    watched = Watched(b"a", b"b")
    view = watched.upload.begin()
    await view.read()

    watched.upload.stop_keeping()

    assert not watched.upload.repeatable
    assert [await view.read(), await view.read()] == [b"b", b""]


async def test_trailers_are_those_of_the_source():
    trailers = headers({"a": "b"})
    watched = Watched(b"a", trailers=trailers)

    view = watched.upload.begin()

    assert view.trailers is watched.upload.trailers is trailers


async def test_the_read_of_a_cancelled_attempt_leaves_before_the_next_reads():
    """What it still got is the next attempt's."""
    allowed = trio.Event()

    class Slow(Pieces):
        async def read(self):
            with trio.CancelScope(shield=True):  # it holds on, as a codec may
                await allowed.wait()
            return await super().read()

    watched = Watched()
    watched.upload = Upload(Slow(b"a"), 100, watched._end, watched._abandon)
    got = []

    async def read(view):
        got.append(await view.read())

    async with trio.open_nursery() as tasks:
        tasks.start_soon(read, watched.upload.begin())
        await trio.testing.wait_all_tasks_blocked()
        second = watched.upload.begin()
        assert second.read_nowait() is None
        tasks.start_soon(read, second)
        await trio.testing.wait_all_tasks_blocked()
        allowed.set()

    assert got == [b"a", b"a"]


async def test_a_fault_of_the_source_is_passed_on_and_leaves_it_free():
    watched = Watched(ConnectionResetError())
    view = watched.upload.begin()

    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await view.read()


@pytest.mark.parametrize("pieces", [(b"abc",), ()], ids=["short", "empty"])
async def test_a_body_that_is_here_in_one_piece_becomes_bytes(pieces):
    trailers = headers([("t", "1")])

    body = pulled(Pieces(*pieces, trailers=trailers))

    assert isinstance(body, BytesBody)
    assert body.trailers is trailers
    assert await read_all(body, 100) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [(b"a", b"b", b"c"), (b"a", 1, b"b"), (1, b"a"), (b"a", b"b", 1, b"c")])
async def test_what_was_pulled_of_a_longer_body_is_not_lost(pieces, autojump_clock):
    whole = b"".join([piece for piece in pieces if isinstance(piece, bytes)])

    assert await read_all(pulled(Pieces(*pieces)), 100) == whole

    body = pulled(Pieces(*pieces))
    found = []
    while (chunk := body.read_nowait()) != b"":
        if chunk is None:
            chunk = await body.read()
        found.append(chunk)
    assert b"".join(found) == whole
