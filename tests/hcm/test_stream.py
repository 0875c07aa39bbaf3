import pytest
import trio

from tests.messages import a_request, an_info
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.util.deadlines import Guard, Timers


def make(**attributes):
    return HttpStream(a_request(), an_info(), None, Guard(Timers()), codec=None, **attributes)


def test_nothing_has_happened_to_a_new_stream():
    stream = make()

    assert stream.response is None
    assert stream.first_route is None
    assert stream.local is None
    assert stream.on_complete == []
    assert (stream.tasks, stream.inform, stream.chain, stream.timeout_reply) == (None, None, None, None)
    assert stream.now is trio.current_time


def test_streams_share_no_callbacks():
    one, other = make(), make()

    one.on_complete.append(print)

    assert other.on_complete == []


def test_a_misspelt_attribute_is_no_attribute():
    with pytest.raises(AttributeError):
        make().respones = None
