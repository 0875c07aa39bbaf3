"""SETTINGS of both ends, value by value."""

import pytest

from trio_envoy.http.h2 import frames
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.h2.settings import PeerSettings, ours


def payload(*values):
    return b"".join(frames.SETTING.pack(*value) for value in values)


def test_ours_are_said_in_envoys_order_behind_the_custom_ones():
    options = Http2Options(table_size=100, max_streams=7, stream_window=70_000, custom_settings=((99, 5),))

    assert ours(options, client=False) == [(99, 5), (1, 100), (8, 0), (3, 7), (4, 70_000)]
    assert ours(options, client=True) == [(99, 5), (1, 100), (2, 0), (4, 70_000)]


def test_what_the_peer_says_counts_and_the_last_word_wins():
    peer = PeerSettings()
    assert (peer.table_size, peer.window, peer.frame_bytes, peer.connect) == (4096, 65535, 16384, False)

    said = payload((1, 0), (3, 9), (4, 1), (4, 2), (5, 20_000), (8, 1), (6, 100), (1234, 2**32 - 1))

    assert peer.take(said, client=True) == ""
    assert (peer.table_size, peer.max_streams, peer.window, peer.frame_bytes, peer.connect) == (0, 9, 2, 20_000, True)


@pytest.mark.parametrize(
    ("client", "identifier", "value", "good"),
    [
        (False, 2, 1, True),
        (False, 2, 2, False),
        (True, 2, 0, True),
        (True, 2, 1, False),
        (False, 4, 2**31 - 1, True),
        (False, 4, 2**31, False),
        (False, 5, 16383, False),
        (False, 5, 16384, True),
        (False, 5, 2**24 - 1, True),
        (False, 5, 2**24, False),
        (False, 8, 1, True),
        (False, 8, 2, False),
        (False, 9, 1, True),
        (False, 9, 2, False),
        (False, 1, 2**32 - 1, True),
        (False, 3, 0, True),
    ],
)
def test_values_that_may_not_be(client, identifier, value, good):
    wrong = PeerSettings().take(payload((identifier, value)), client=client)

    assert (wrong == "") is good


def test_a_server_that_takes_extended_connect_may_not_change_its_mind():
    peer = PeerSettings()

    assert peer.take(payload((8, 1)), client=True) == ""
    assert peer.take(payload((8, 0)), client=True)
    assert PeerSettings().take(payload((8, 1), (8, 0)), client=False) == ""


def test_priorities_are_settled_by_the_first_frame():
    for first, then, good in (([(9, 1)], [(9, 1)], True), ([(9, 1)], [(9, 0)], False), ([], [(9, 1)], False)):
        peer = PeerSettings()
        assert peer.take(payload(*first), client=False) == ""
        assert (peer.take(payload(*then), client=False) == "") is good
