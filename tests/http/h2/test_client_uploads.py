"""Requests with bodies in any pieces, and what is known of an exchange. The upstream is `h2`."""

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.events import Data, Reset, Trailers
from tests.http.h2.fakes import OK, Owner, calling
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h2 import frames as h2session
from trio_envoy.http.h2.client_stream import Ending
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import StreamInfo


class Feed:
    """A body that is here, in these pieces; None: the next comes a second later."""

    def __init__(self, *pieces, trailers=None):
        self.pieces = list(pieces)
        self.trailers = trailers

    def read_nowait(self):
        if not self.pieces:
            return b""
        return None if self.pieces[0] is None else self.pieces.pop(0)

    async def read(self):
        if self.pieces and self.pieces[0] is None:
            self.pieces.pop(0)
            await trio.sleep(1)
        return self.read_nowait()


@pytest.mark.parametrize("nursery", [False, True])
@pytest.mark.parametrize(
    "feed",
    [
        (),
        (b"abc",),
        (b"a", b"bc"),
        (b"a", b"b", b"c"),
        (None, b"abc"),
        (b"a", None, b"bc"),
        (b"a", None, b"b", None, b"c", None),
        (b"x" * 65534, b"y", b"z" * 50_000),
    ],
    ids=lambda pieces: "-".join("." if piece is None else str(len(piece)) for piece in pieces),
)
@pytest.mark.parametrize("trailers", [None, Headers([(b"t", b"1")])], ids=["", "trailers"])
async def test_requests_in_any_pieces(http2, autojump_clock, feed, trailers, nursery):
    async with calling() as world:
        stream = world.client.open()
        stream.info = StreamInfo(0.0, 0.0, stream.connection)
        body = Feed(*feed, trailers=trailers)
        responses = []

        async def run():
            request = http2.a_request(b"POST", body=body)
            responses.append(await stream.exchange(request, world.tasks if nursery else None, None))

        world.tasks.start_soon(run)
        await trio.sleep(5)
        events = world.peer.of(1)
        assert b"".join(event.data for event in events if isinstance(event, Data)) == b"".join(filter(None, feed))
        if trailers:
            assert events[-1] == Trailers(1, list(trailers))
        else:
            assert events[-1].ended
        world.peer.session.send_head(1, OK, ended=True)
        await world.peer.send()
        assert responses[0].status == 200
        stream.release()
        info = stream.info
        assert info is None
        assert world.stats.tx_reset == 0
        assert world.client.session.open_streams == 0


async def test_what_is_known_of_an_exchange(http2, autojump_clock):
    async with calling() as world:
        stream = world.client.open()
        stream.info = StreamInfo(0.0, 0.0, stream.connection)
        world.tasks.start_soon(stream.exchange, http2.a_request(), None, None)
        await wait_all_tasks_blocked()
        assert stream.info.upstream_last_byte_sent == stream.info.upstream_first_byte_sent
        stream.release()
        stream = world.client.open()
        info = stream.info = StreamInfo(0.0, 0.0, stream.connection)
        responses = []

        async def run():
            request = http2.a_request(b"POST", body=BytesBody(b"abc"))
            responses.append(await stream.exchange(request, None, None))

        world.tasks.start_soon(run)
        sent_at = trio.current_time()
        await trio.sleep(1)
        world.peer.session.send_head(3, [*OK, (b"a", b"bc")], ended=False)
        await world.peer.send()
        await trio.sleep(1)
        world.peer.session.send_data(3, b"12345", ended=True)
        await world.peer.send()

        assert info.upstream_first_byte_sent == info.upstream_last_byte_sent == sent_at
        assert info.upstream_first_byte_received == sent_at + 1
        assert info.upstream_last_byte_received == sent_at + 2
        assert info.upstream_header_bytes_received == len(b":status200abc")
        assert info.upstream_wire_bytes_received == info.upstream_header_bytes_received + 5
        assert info.upstream_wire_bytes_sent == info.upstream_header_bytes_sent + 3
        stream.release()
        stream.release()
        assert world.client.active == 0


@pytest.mark.parametrize("end", ["answered", "reset", "lost", "goaway"])
async def test_a_body_that_waits_for_window_does_not_outlive_its_stream(http2, autojump_clock, end):
    async with calling() as world:
        world.client.owner = Owner()
        world.peer.eager = False  # it gives no window back
        stream = world.client.open()
        outcome = []

        async def run():
            try:
                outcome.append(
                    await stream.exchange(http2.a_request(b"POST", body=BytesBody(b"x" * 100_000)), None, None)
                )
            except UpstreamFailure as failure:
                outcome.append(failure.reason)
            stream.release()

        world.tasks.start_soon(run)
        await wait_all_tasks_blocked()
        assert outcome == []
        if end == "answered":
            world.peer.session.send_head(1, OK, ended=True)
            await world.peer.send()
            assert outcome[0].status == 200
            assert world.peer.of(1)[-1] == Reset(1, h2session.INTERNAL_ERROR)
            assert world.client.owner.endings == [Ending.RESET_BY_US]
        elif end == "reset":
            world.peer.session.reset(1, h2session.CANCEL)
            await world.peer.send()
            assert outcome == ["remote reset"]
        elif end == "lost":
            world.peer.channel.reset()
            await wait_all_tasks_blocked()
            assert outcome == ["connection termination"]
        else:
            world.peer.channel.send(b"\0\0\x08\7\0\0\0\0\0" + bytes(8))
            await wait_all_tasks_blocked()
            assert outcome == ["remote refused stream reset"]
        assert world.client.active == 0
