"""The other end, which speaks HTTP/2 through the `h2` package: a client of our server, a server of our client."""

from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import trio
import trio.testing

from tests.http.h2.events import Data, GoAway, Head, Pong, Reset, Trailers, Window
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import read_all
from trio_envoy.http.h2.client import Http2ClientConnection
from trio_envoy.http.h2.frames import PREFACE
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.options import CodecOptions
from trio_envoy.net.memory_channel import memory_channel_pair

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"a")]
OK = [(b":status", b"200")]
_HEAD, _RST_STREAM, _GOAWAY = 9, 3, 7


class _Library(h2.connection.H2Connection):
    open_outbound_streams = 0  # it keeps no limit of the server's


class H2:
    """The package behind the methods of our own session; it may be wicked, and it goes on after a GOAWAY."""

    def __init__(self, options=None, *, client=True):
        self.lib = _Library(
            h2.config.H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=True,
            )
        )
        options = options or Http2Options()
        codes = h2.settings.SettingCodes
        self.lib.local_settings = h2.settings.Settings(
            client=client,
            initial_values={codes.INITIAL_WINDOW_SIZE: options.stream_window, codes.ENABLE_PUSH: 0} if client else {},
        )
        self.lib.initiate_connection()
        if options.connection_window > 65535:
            self.lib.increment_flow_control_window(options.connection_window - 65535)
        self.pending = b""
        self.preface = 0 if client else len(PREFACE)

    def next_stream_id(self):
        return self.lib.get_next_available_stream_id()

    def send_head(self, stream_id, fields, *, ended):
        self.lib.send_headers(stream_id, fields, end_stream=ended)

    def send_data(self, stream_id, data, *, ended):
        self.lib.send_data(stream_id, data, end_stream=ended)

    def room(self, stream_id):
        return min(self.lib.local_flow_control_window(stream_id), self.lib.max_outbound_frame_size)

    def reset(self, stream_id, code):
        with suppress(h2.exceptions.StreamClosedError):
            self.lib.reset_stream(stream_id, code)

    def ping(self):
        self.lib.ping(b"12345678")

    def credit(self, stream_id, size):
        self.lib.acknowledge_received_data(size, stream_id)

    def take_output(self):
        return self.lib.data_to_send()

    def receive(self, data):
        self.pending += data
        events = []
        if self.preface:
            self.lib.receive_data(self.pending[: self.preface])
            self.pending, self.preface = self.pending[self.preface :], 0
        while len(self.pending) >= _HEAD:
            end = _HEAD + int.from_bytes(self.pending[:3], "big")
            if len(self.pending) < end:
                break
            frame, self.pending = self.pending[:end], self.pending[end:]
            if frame[3] == _GOAWAY:
                events.append(GoAway(int.from_bytes(frame[9:13], "big"), int.from_bytes(frame[13:17], "big")))
                continue
            if frame[3] == _RST_STREAM:  # the package keeps those of streams that are over to itself
                events.append(Reset(int.from_bytes(frame[5:9], "big"), int.from_bytes(frame[9:13], "big")))
            events += [ours for event in self.lib.receive_data(frame) if (ours := _translate(event)) is not None]
        return events


def _translate(event):
    match event:
        case h2.events.RequestReceived() | h2.events.ResponseReceived() | h2.events.InformationalResponseReceived():
            ended = getattr(event, "stream_ended", None) is not None
            return Head(event.stream_id, [tuple(field) for field in event.headers], ended)
        case h2.events.DataReceived():
            return Data(event.stream_id, event.data, event.flow_controlled_length, event.stream_ended is not None)
        case h2.events.TrailersReceived():
            return Trailers(event.stream_id, [tuple(field) for field in event.headers])
        case h2.events.WindowUpdated():
            return Window(event.stream_id)
        case h2.events.PingAckReceived():
            return Pong()
    return None


class Peer:
    """The other end of a memory channel: what it sends, and the events it gets.

    Attributes:
        events: so far; without Window, which is a matter of the library.
        closed_at: when ours closed.
        mute: it neither reads nor answers.
        eager: it gives window back as soon as data comes.
    """

    def __init__(self, channel, options=None, *, client=True):
        self.channel = channel
        self.session = H2(options, client=client)
        self.events = []
        self.closed_at = None
        self.mute = False
        self.eager = True

    async def run(self):
        buffer = bytearray(65536)
        while True:
            if self.mute:
                await trio.sleep_forever()
            try:
                received = self.channel.recv_into(buffer)
            except OSError:
                received = 0
            if received is None:
                await self.channel.wait_read()
            elif not received:
                self.closed_at = trio.current_time()
                return
            else:
                self.take_in(self.session.receive(bytes(buffer[:received])))
                self.flush()

    def take_in(self, events):
        for event in events:
            if isinstance(event, Window):
                continue
            if isinstance(event, Data) and self.eager:
                self.session.credit(event.stream_id, event.size)
            self.events.append(event)

    def flush(self):
        data = self.session.take_output()
        with suppress(OSError):
            self.channel.send(data)

    async def send(self):
        self.flush()
        await trio.testing.wait_all_tasks_blocked()

    async def ask(self, fields=REQUEST, *, body=None):
        """Begin a request; `body` is its first piece, None if there is none."""
        stream_id = self.session.next_stream_id()
        self.session.send_head(stream_id, fields, ended=body is None)
        if body:
            self.session.send_data(stream_id, body, ended=False)
        await self.send()
        return stream_id

    def of(self, stream_id):
        return [event for event in self.events if getattr(event, "stream_id", 0) == stream_id]

    def take(self):
        events, self.events = self.events, []
        return events


@asynccontextmanager
async def serving(helpers, answer=None, *, peer=None, limit_bytes=1 << 20, **options):
    """A server of ours and a Peer; options are CodecOptions'."""
    async with helpers.serving(
        answer or helpers.echo, options=CodecOptions(**options), limit_bytes=limit_bytes
    ) as world:
        world.peer = Peer(world.channel, peer)
        world.tasks.start_soon(world.peer.run)
        await world.peer.send()
        world.peer.take()
        yield world


def status_of(events):
    return [dict(event.fields)[b":status"] for event in events if isinstance(event, Head)]


def payload_of(events):
    return b"".join(event.data for event in events if isinstance(event, Data))


def at_rest(world):
    """Nothing of any stream is left, and the client may send as much as in the beginning."""
    session, stats = world.server.session, world.stats.http2
    return (
        world.server.streams == {}
        and session.open_streams == 0
        and session.kept == 0
        and stats.streams_active == stats.outbound_frames_active == stats.outbound_control_frames_active == 0
        and window_is_full(session)
    )


def window_is_full(session):
    """The peer may send as much as in the beginning, or will when it is half of its window."""
    return session._received == session._read


@asynccontextmanager
async def calling(options=None, *, limit_bytes=1 << 20):
    """A client of ours, and a Peer as the server."""
    near, far = memory_channel_pair(limit_bytes=limit_bytes)
    stats = Http2Stats()
    client = Http2ClientConnection(near, options or Http2Options(), stats, memoryview(bytearray(65536)))
    peer = Peer(far, client=False)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(client.run)
        tasks.start_soon(peer.run)
        await peer.send()
        yield SimpleNamespace(client=client, peer=peer, stats=stats, tasks=tasks)
        tasks.cancel_scope.cancel()


class Owner:
    """What a pool is told."""

    def __init__(self):
        self.endings = []
        self.changes = 0

    def stream_ended(self, connection, ending):
        self.endings.append(ending)

    def room_changed(self, connection):
        self.changes += 1


class Exchange:
    """One exchange under way, and what became of it."""

    def __init__(self, world, request):
        self.world = world
        self.request = request
        self.stream = world.client.open()
        self.response = self.body = self.failure = None

    async def run(self):
        try:
            self.response = await self.stream.exchange(self.request, self.world.tasks, None)
            if self.response.body is not None:
                self.body = await read_all(self.response.body, 1 << 20)
        except UpstreamFailure as failure:
            self.failure = failure
        finally:
            self.stream.release()

    @property
    def why(self):
        return self.failure and (self.failure.reason, self.failure.flag)


async def begin(world, request):
    world.client.owner = world.client.owner or Owner()
    exchange = Exchange(world, request)
    world.tasks.start_soon(exchange.run)
    await trio.testing.wait_all_tasks_blocked()
    return exchange


def frames_of(data):
    """The frames in these bytes."""
    while data:
        size = _HEAD + int.from_bytes(data[:3], "big")
        yield data[:size]
        data = data[size:]
