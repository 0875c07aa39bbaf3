import pytest

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1 import target


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (b"/", True),
        (b'/a"b|{}?x#y', True),
        (b"*", True),
        (b"*x", True),
        (b"a", False),
        (b"", False),
        (b"/\x80", False),
        (b"/a b", False),
        (b"/\t", False),
        (b"http://a/b", True),
        (b"ftp://?x", True),
        (b"a.b:80", False),
        (b"?x", False),
        (b"http:/x", False),
        (b"http:x", False),
        (b"http://a#b", False),
        (b"http://a\\b/", False),
        (b"http://a@@b/", False),
        (b"http://a/\x80", False),
        (b"1http://a/", False),
    ],
)
def test_what_can_be_a_target(text, taken):
    assert target.is_target(text, b"GET") is taken


@pytest.mark.parametrize(("text", "taken"), [(b"a.b:80", True), (b"/x", True), (b"", False), (b"a b", False)])
def test_what_can_be_a_target_of_connect(text, taken):
    assert target.is_target(text, b"CONNECT") is taken


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (b"http://b", (b"http", b"b", b"/")),
        (b"HTTP://B:80/x?y", (b"http", b"B:80", b"/x?y")),
        (b"https://[::1]:8/x", (b"https", b"[::1]:8", b"/x")),
        (b"http://u:p@b/x@y", (b"http", b"b", b"/x@y")),
        (b"http://@b/", (b"http", b"b", b"/")),
        (b"http://b?x", (b"http", b"b", b"?x")),
        (b"http://b/c#d", (b"http", b"b", b"/c#d")),
    ],
)
def test_absolute(url, parts):
    assert target.absolute(url) == parts


@pytest.mark.parametrize(
    ("url", "details"),
    [
        (b"ftp://b/x", "invalid_scheme"),
        (b"ws://b/x", "invalid_scheme"),
        (b"http://", "invalid_url"),
        (b"http:///x", "invalid_url"),
        (b"http://?x", "invalid_url"),
        (b"http://a:b/", "invalid_url"),
        (b"http://a:99999/", "invalid_url"),
        (b"http://[::1/", "invalid_url"),
        (b"http://a_b/", "invalid_url"),
        (b"http://a%41/", "invalid_url"),
    ],
)
def test_what_is_no_absolute_url(url, details):
    with pytest.raises(RemoteProtocolError) as caught:
        target.absolute(url)

    assert caught.value.details == f"http1.{details}"


@pytest.mark.parametrize("authority", [b"a:80", b"a:0", b"[::1]:80"])
def test_connect(authority):
    assert target.connect_authority(authority) == authority


@pytest.mark.parametrize("authority", [b"a", b"a:", b":80", b"a:b", b"a:99999", b"a/b:80", b"/x", b"http://a:80", b""])
def test_what_cannot_be_connected_to(authority):
    with pytest.raises(RemoteProtocolError, match=r"http1\.invalid_url"):
        target.connect_authority(authority)
