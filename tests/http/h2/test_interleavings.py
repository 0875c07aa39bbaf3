"""Many streams on one connection between our client and our server: bodies arrive whole, and nothing is left behind."""

from random import Random

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.conftest import a_request, connected
from tests.http.h2.fakes import at_rest, window_is_full
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.http.options import CodecOptions

TIMES = st.sampled_from([0, 0, 0.1, 0.25, 1])
SIZES = st.sampled_from([0, 1, 100, 16384, 16385, 65535, 65536, 200_000])


@attrs.frozen
class Plan:
    """What happens on one stream.

    Attributes:
        upload, download: bytes of the bodies.
        chunk: bytes of a piece.
        start, pause: seconds before the request, and before each piece.
        end: who breaks it off, and
        after: how many seconds after its start.
    """

    upload: int
    download: int
    chunk: int
    start: float
    pause: float
    end: str
    after: float


PLANS = st.builds(
    Plan,
    upload=SIZES,
    download=SIZES,
    chunk=st.sampled_from([1000, 16384, 70_000]),
    start=TIMES,
    pause=TIMES,
    end=st.sampled_from(["", "", "", "client", "server", "early answer", "unread"]),
    after=st.sampled_from([0, 0.05, 0.3, 2]),
)
WINDOWS = st.sampled_from([65535, 100_000, 1 << 20])
OPTIONS = st.builds(lambda stream, whole: Http2Options(stream_window=stream, connection_window=whole), WINDOWS, WINDOWS)


class Pieces:
    """A body that comes piece by piece."""

    def __init__(self, size, plan, seed, trailers=None):
        self.left = size
        self.plan = plan
        self.trailers = trailers
        self.seed = seed

    def read_nowait(self):
        return None if self.plan.pause else self._next()

    async def read(self):
        await trio.sleep(self.plan.pause)
        return self._next()

    def _next(self):
        size = min(self.left, self.plan.chunk)
        self.left -= size
        return bytes([self.seed % 251]) * size


async def read_whole(body):
    data = b""
    while body is not None and (piece := await body.read()):
        data += piece
    return data, dict(body.trailers) if body is not None and body.trailers else {}


def answering(plans, uploads):
    async def answer(stream):
        number = int(stream.request.path[1:])
        plan = plans[number]
        with trio.move_on_after(plan.after if plan.end == "server" else float("inf")) as scope:
            if plan.end != "early answer":
                uploads[number] = await read_whole(stream.request.body)
            trailers = Headers([(b"t", b"%d" % number)]) if plan.chunk == 1000 else None
            try:
                await stream.respond(Response(200, Headers(), Pieces(plan.download, plan, number, trailers)))
            except OSError:
                return
        if scope.cancelled_caught:
            stream.reset()

    return answer


async def exchange(world, number, plan, downloads):
    await trio.sleep(plan.start)
    stream = world.client.open()
    try:
        with trio.move_on_after(plan.after if plan.end == "client" else float("inf")):
            async with trio.open_nursery() as tasks:
                body = Pieces(plan.upload, plan, number, Headers([(b"u", b"1")])) if plan.upload else None
                request = a_request(b"POST", b"/%d" % number, body)
                response = await stream.exchange(request, tasks, None)
                if plan.end == "unread":
                    await trio.sleep(plan.after)
                else:
                    downloads[number] = await read_whole(response.body)
                tasks.cancel_scope.cancel()
    except* UpstreamFailure:
        downloads[number] = None
    finally:
        stream.release(unread=plan.end == "unread")


async def run_all(plans, server, client, limit_bytes):
    uploads, downloads = {}, {}
    options = CodecOptions(http2=server)
    async with connected(
        answering(plans, uploads), options=options, client_options=client, limit_bytes=limit_bytes
    ) as world:
        with trio.fail_after(10_000):  # virtual seconds; who has lost window or a wake-up waits for ever
            async with trio.open_nursery() as nursery:
                for number, plan in enumerate(plans):
                    nursery.start_soon(exchange, world, number, plan, downloads)
        await wait_all_tasks_blocked()

        for number, plan in enumerate(plans):
            if not plan.end:
                up = (bytes([number % 251]) * plan.upload, {b"u": b"1"} if plan.upload else {})
                down = (bytes([number % 251]) * plan.download, {b"t": b"%d" % number} if plan.chunk == 1000 else {})
                assert uploads[number] == up
                assert downloads[number] == down
            elif plan.end == "early answer" and downloads[number] is not None:
                assert downloads[number][0] == bytes([number % 251]) * plan.download
        assert at_rest(world)
        assert window_is_full(world.client.session)
        assert world.client.streams == {}
        assert world.client.active == world.client.session.open_streams == 0
        assert world.client.stats.streams_active == 0
        assert world.client.available
        assert not world.client.closed


def run(main, *args):
    trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=40, deadline=None)
@given(st.lists(PLANS, min_size=1, max_size=8), OPTIONS, OPTIONS, st.sampled_from([1000, 70_000, 1 << 20]))
def test_any_streams_in_any_windows(plans, server, client, limit_bytes):
    run(run_all, plans, server, client, limit_bytes)


@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_streams_begun_and_broken_off_at_random_leave_nothing(seed):
    random = Random(seed)
    plans = [
        Plan(
            upload=random.choice([0, 10, 5000, 40_000]),
            download=random.choice([0, 10, 5000, 40_000]),
            chunk=random.choice([1000, 16384]),
            start=random.uniform(0, 20),
            pause=random.choice([0, 0.1]),
            end=random.choice(["", "client", "server", "early answer", "unread"]),
            after=random.uniform(0, 1),
        )
        for _ in range(1000)
    ]
    small = Http2Options(stream_window=65535, connection_window=65535)

    run(run_all, plans, small, small, 20_000)
