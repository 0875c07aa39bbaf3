"""Heads that come again: the same request and response each time, and none of them another's."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h2.fakes import OK, REQUEST
from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.heads import Requests, Responses
from trio_envoy.http.h2.messages import byte_size
from trio_envoy.http.h2.options import Http2Options, Http2Stats

FIELDS = st.lists(st.sampled_from([(b"x", b"1"), (b"x", b"2"), (b"cookie", b"a"), (b"y", b""), (b"host", b"b")]))


def facts(request):
    headers = request.headers
    return (
        request.method,
        request.authority,
        request.path,
        request.scheme,
        headers.items,
        headers.first,
        request.body,
        request.protocol,
        request.host_missing,
    )


def outcome(make):
    try:
        request, length = make()
    except RemoteProtocolError as error:
        return error.details
    return facts(request), length


@given(st.lists(st.tuples(st.sampled_from([b"/a", b"/b", b"bad"]), FIELDS, st.booleans()), max_size=40))
def test_a_head_is_what_it_is_however_often_it_comes(heads):
    options = Http2Options()
    requests = Requests(options, Http2Stats())
    for path, more, ended in heads:
        fields = [*REQUEST[:2], (b":path", path), REQUEST[3], *more]

        got = outcome(lambda fields=fields, ended=ended: requests.request(fields, byte_size(fields), ended=ended))

        expected = outcome(
            lambda fields=fields, ended=ended: messages.request(fields, options, Http2Stats(), ended=ended)
        )
        assert got == expected


def test_whoever_changes_a_request_changes_no_other():
    requests = Requests(Http2Options(), Http2Stats())
    for _ in range(5):
        request, length = requests.request([*REQUEST, (b"x", b"1")], 100, ended=True)
        assert request.headers.items == [(b"x", b"1")]
        assert length == inf
        request.headers.set(b"x", b"2")
        request.headers.add(b"y", b"3")
        request.path = b"/other"


def test_a_length_is_wrong_each_time():
    requests = Requests(Http2Options(), Http2Stats())
    for _ in range(3):
        assert requests.request([*REQUEST, (b"content-length", b"5")], 100, ended=False)[1] == 5
        with pytest.raises(RemoteProtocolError):
            requests.request([*REQUEST, (b"content-length", b"5")], 100, ended=True)


def test_names_that_are_dropped_are_counted_each_time():
    stats = Http2Stats()
    requests = Requests(Http2Options(underscores=HeadersWithUnderscoresAction.DROP_HEADER), stats)
    for _ in range(4):
        assert requests.request([*REQUEST, (b"x_y", b"1")], 50, ended=True)[0].headers.items == []
    assert stats.dropped_headers_with_underscores == 4


def test_responses():
    responses = Responses()
    for _ in range(4):
        pseudo, headers = responses.split([*OK, (b"x", b"1")], 20)
        assert (pseudo, headers.items) == ({b":status": b"200"}, [(b"x", b"1")])
        headers.remove(b"x")
        with pytest.raises(RemoteProtocolError):
            responses.split([*OK, (b"X", b"1")], 20)


def test_little_is_remembered():
    requests, responses = Requests(Http2Options(), Http2Stats()), Responses()
    for number in range(100):
        fields = [*REQUEST, (b"x", b"%d" % number)]
        for _ in range(2):
            requests.request(fields, byte_size(fields), ended=True)
            responses.split([*OK, fields[-1]], 20)
    long = [*REQUEST, (b"x", b"y" * 600)]
    for _ in range(3):
        assert requests.request(long, byte_size(long), ended=True)[0].headers.items == long[4:]
        responses.split([*OK, long[-1]], 620)

    assert len(requests._known) <= 8
    assert len(responses._known) <= 8
