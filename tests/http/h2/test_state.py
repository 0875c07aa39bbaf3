"""What a session tells and keeps."""

import inspect

from tests.http.h2.events import Ours
from trio_envoy.http.h2.client import Http2ClientConnection
from trio_envoy.http.h2.server import Http2ServerConnection
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
