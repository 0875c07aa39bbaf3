"""Expectations are what Envoy 1.40 passes on."""

import string

import pytest

from trio_envoy.hcm.referer import is_valid_referer


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"http://a.com",
        b"HTTP://a.com/x",
        b"http://a.com/#",
        b"http://a.com/?#",
        b"android-app://com.x/",
        b"x-1.2+3://a.com/",
        b"http://[::1]:8/x",
        b"http://[1.2.3.4]/",
        b"http://-a./",
        b"http://./",
        b"http://a.com:0/",
        b"http://a.com:65535/",
        b"http://a.com:000080/",
        b"https://a.com/%zz",
        b'https://a.com/<>"{}|^`',
        b"http://a.com/\\x",
        b"/relative",
        b"//a.com/",
        b"/a?b",
        b"a/b:c",
        b"*",
        b"https://a.com/x,foo",
    ],
)
def test_these_stay(value):
    assert is_valid_referer(value)


@pytest.mark.parametrize(
    "value",
    [
        b"http://u:p@a.com/x?y=1",
        b"https://user@/x",
        b"https://a@b@c/",
        b"about:blank",
        b"http://a.com:80/x y",
        b"http://a.com:99999/x",
        b"http://a.com:65536/",
        b"http://a.com:x/x",
        b"http://a.com:/x",
        b"http:///x",
        b"http://a_b.com/x",
        b"http://a,b/",
        b"http://a~b/",
        b"http://a%20b/",
        b"http://a.com?x#f",
        b"http://a.com#",
        "http://a.com/é".encode(),
        b"https://A.com\\x",
        b"https://[zz]/",
        b"http://[::1%25eth]/",
        b"1http://a.com/",
        b"https:/a.com/",
        b"https://::1/",
        b"not a url",
        b"/a#",
        b"/a#b",
        b"a?b:c",
        b"?a:b",
        "/é".encode(),
        b"/a\tb",
        b"foo,https://a.com/x",
    ],
)
def test_these_are_removed(value):
    assert not is_valid_referer(value)


def test_the_characters_of_a_relative_reference():
    refused = {c for c in map(chr, range(33, 127)) if not is_valid_referer(b"/" + c.encode())}

    assert refused == set('"#<>[\\]^`{|}')
    assert set(string.ascii_letters + string.digits).isdisjoint(refused)
