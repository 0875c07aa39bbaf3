"""Cookies of a request."""

import pytest

from trio_envoy.http.cookies import cookie
from trio_envoy.http.headers import Headers


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], None),
        ([b""], None),
        ([b"s=1"], b"1"),
        ([b'a=0; s="1"'], b"1"),
        ([b'a=0;s="1'], b'"1'),
        ([b"s"], None),
        ([b"s="], b""),
        ([b"a=1", b"s=2; s=3"], b"2"),
    ],
)
def test_the_first_of_all_fields_counts(fields, expected):
    headers = Headers([(b"cookie", field) for field in fields])

    assert cookie(headers, b"s") == expected
