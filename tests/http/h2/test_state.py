"""What a session tells and keeps."""

import gc
import inspect

from trio.testing import wait_all_tasks_blocked

from tests.http.h2.events import Ours
from tests.http.h2.fakes import serving
from trio_envoy.http.body import BytesBody, read_all
from trio_envoy.http.h2.client import Http2ClientConnection
from trio_envoy.http.h2.server import Http2ServerConnection
from trio_envoy.http.h2.session import Session
from trio_envoy.http.h2.state import Events, SessionError, StreamState


def test_everyone_who_is_told_takes_all_events():
    names = [name for name, value in vars(Events).items() if inspect.isfunction(value) and name.startswith("on_")]

    assert len(names) == 9
    for taker in (Http2ClientConnection, Http2ServerConnection, Ours):
        for name in names:
            assert getattr(taker, name) is not getattr(Events, name)


def test_most_of_what_is_wrong_is_one_thing_for_the_log():
    error = SessionError("why")

    assert (str(error), error.details, error.stat) == ("why", "codec_error:The_user_callback_function_failed", "")
    assert error.silent


def test_a_stream_begins_with_nothing():
    stream = StreamState(3, 100)

    assert (stream.id, stream.send_window, stream.received, stream.read, stream.kept) == (3, 100, 0, 0, 0)
    assert stream.user is None
    assert not stream.local_done
    assert not stream.remote_done


def living(kind):
    return sum(isinstance(each, kind) for each in gc.get_objects())


async def test_a_stream_that_is_over_is_gone_without_a_collection(http2, autojump_clock):
    gc.collect()
    gc.disable()
    before = living(StreamState)
    try:
        async with http2.connected() as world:
            for data in (b"", b"x" * 100):
                stream = world.client.open()
                request = http2.a_request(body=BytesBody(data) if data else None)
                response = await stream.exchange(request, world.tasks, None)
                assert (await read_all(response.body, 1000) if response.body is not None else b"") == data
                assert living(StreamState) > before
                stream.release()
            await wait_all_tasks_blocked()
            del stream, request, response
            assert living(StreamState) == before
    finally:
        gc.enable()


async def test_a_downstream_connection_that_is_over_is_gone_without_a_collection(http2, autojump_clock):
    gc.collect()
    gc.disable()
    before = living(Http2ServerConnection), living(Session)
    try:
        async with serving(http2) as world:
            await world.peer.ask()
            assert living(Http2ServerConnection) == before[0] + 1
            world.channel.close()
            await wait_all_tasks_blocked()
        del world
        assert (living(Http2ServerConnection), living(Session)) == before
    finally:
        gc.enable()
