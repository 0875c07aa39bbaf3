"""Queries of paths."""

import pytest

from trio_envoy.http.query import bare_path, parameters, query_of


@pytest.mark.parametrize(
    ("path", "bare", "query"),
    [
        (b"/a", b"/a", None),
        (b"/a?", b"/a", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/a#f", b"/a", None),
        (b"/a#f?q", b"/a", b"q"),
        (b"", b"", None),
    ],
)
def test_a_path_ends_at_its_query_or_fragment(path, bare, query):
    assert bare_path(path) == bare
    assert query_of(path) == query


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", {}),
        (b"/?", {}),
        (b"/?a", {b"a": b""}),
        (b"/?a=1&a=2&b=%20&=x", {b"a": b"1", b"b": b"%20", b"": b"x"}),
        (b"/?a=b=c", {b"a": b"b=c"}),
    ],
)
def test_the_first_of_a_name_counts_and_nothing_is_decoded(path, expected):
    assert parameters(path) == expected
