"""What a session tells, as values that can be compared; and a session of ours that is spoken to by stream ids."""

import attrs

from trio_envoy.http.h2.session import Session
from trio_envoy.http.h2.state import SessionError, StreamState


@attrs.frozen
class Head:
    """A request, a response or an informational response has begun."""

    stream_id: int
    fields: list
    ended: bool


@attrs.frozen
class Data:
    """Payload; `size` is what it costs in the window."""

    stream_id: int
    data: bytes
    size: int
    ended: bool


@attrs.frozen
class Trailers:
    """The stream has ended with these fields."""

    stream_id: int
    fields: list


@attrs.frozen
class Reset:
    """The peer has given the stream up."""

    stream_id: int
    code: int


@attrs.frozen
class Broken:
    """We have reset a stream because of its windows."""

    stream_id: int


@attrs.frozen
class TooLarge:
    """A head or trailers over the limits, which is reset."""

    stream_id: int
    crowded: bool = False


@attrs.frozen
class GoAway:
    """The peer takes no streams above last_stream_id."""

    last_stream_id: int
    code: int


@attrs.frozen
class Window:
    """There is more room to send; stream_id 0: for all streams."""

    stream_id: int


@attrs.frozen
class Pong:
    """The peer has answered a PING."""


class Ours:
    """Our session; its streams by id, and what it tells as values.

    Attributes:
        session: the thing itself.
    """

    def __init__(self, options, *, client):
        self.session = Session(options, self, client=client)
        self._told = []
        self._states = {}

    def __getattr__(self, name):
        return getattr(self.session, name)

    def receive(self, data):
        """The events, then the SessionError if there is one."""
        wrong = None
        try:
            self.session.receive(data)
        except SessionError as error:
            wrong = error
        told, self._told = self._told, []
        yield from told
        if wrong is not None:
            raise wrong

    def _state(self, stream_id):
        return self._states.get(stream_id) or StreamState(stream_id)

    def next_stream_id(self):
        """Open a stream."""
        state = StreamState()
        state.user = "opened"
        self.session.open(state)
        self._states[state.id] = state
        return state.id

    def send_head(self, stream_id, fields, *, ended):
        self.session.send_head(self._state(stream_id), fields, ended=ended)

    def send_data(self, stream_id, data, *, ended):
        self.session.send_data(self._state(stream_id), data, ended=ended)

    def room(self, stream_id):
        return self.session.room(self._state(stream_id))

    def credit(self, stream_id, size):
        return self.session.credit(self._state(stream_id), size)

    def reset(self, stream_id, code, *, late=False):
        return self.session.reset(self._state(stream_id), code, late=late)

    def release(self, stream_id):
        self.session.release(self._state(stream_id))

    # trio_envoy.http.h2.state.Events

    def on_fields(self, state, fields, size, ended):
        assert size == sum(len(name) + len(value) for name, value in fields)
        self._states[state.id] = state
        if state.user == "begun":
            self._told.append(Trailers(state.id, fields) if ended else Head(state.id, fields, ended))
            return
        if dict(fields).get(b":status", b"200")[:1] != b"1":
            state.user = "begun"
        self._told.append(Head(state.id, fields, ended))

    def on_too_large(self, state, error):
        self._told.append(TooLarge(state.id))
        self.session.reset(state, 2)

    def on_crowded(self, state):
        self._told.append(TooLarge(state.id, crowded=True))
        self.session.reset(state, 7, late=True)

    def on_data(self, state, data, size, ended):
        self._told.append(Data(state.id, data, size, ended))

    def on_reset(self, state, code):
        self._told.append(Reset(state.id, code))

    def on_broken(self, state):
        self._told.append(Broken(state.id))

    def on_goaway(self, last_stream_id, code):
        self._told.append(GoAway(last_stream_id, code))

    def on_window(self, state):
        self._told.append(Window(state.id if state else 0))

    def on_pong(self):
        self._told.append(Pong())
