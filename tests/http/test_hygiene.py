import pytest

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http import hygiene
from trio_envoy.http.headers import Headers


@pytest.mark.parametrize(
    "authority", [b"", b"a", b"a.b:80", b"[::1]:80", b"a@b", b"a%20b", b"a_b", b"a,b", b"*", b"~!$&'()+;="]
)
def test_authorities_that_pass(authority):
    assert hygiene.authority_is_valid(authority)


@pytest.mark.parametrize(
    "authority",
    [b"a b", b"a/b", b"a#b", b"a?b", b"a\\b", b"a<b", b"a>b", b"a|b", b'a"b', b"a{b", b"a}", b"a^b", b"a`b", b"\xc3"],
)
def test_authorities_that_do_not(authority):
    assert not hygiene.authority_is_valid(authority)


def test_options_are_words_in_lower_case():
    assert hygiene.options_of(b" Close ,,\tX-A,") == [b"close", b"x-a"]


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"3", 3), (b"03", 3), (b"0" * 5000 + b"7", 7), (b"18446744073709551615", 2**64 - 1)],
)
def test_lengths(value, length):
    assert hygiene.content_length(value) == length


@pytest.mark.parametrize(
    "value", [b"", b"+3", b"-1", b"3,3", b"3 3", b"0x3", b"\xb3", b"18446744073709551616", b"9" * 5000]
)
def test_what_is_no_length(value):
    with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
        hygiene.content_length(value)


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([b"trailers"], b"trailers"),
        ([b"gzip, trailers"], b"trailers"),
        ([b"gzip", b"trailers"], b"trailers"),
        ([b"Trailers"], None),
        ([b"gzip"], None),
        ([b""], b""),
    ],
)
def test_only_trailers_of_te_goes_on(values, left):
    assert hygiene.te_that_goes_on(values) == left


def test_nominated_fields_go():
    headers = Headers([(b"x-a", b"1"), (b"x-b", b"2"), (b"te", b"trailers"), (b"cookie", b"c")])

    host = hygiene.remove_nominated(headers, [b"close", b"x-a", b"te", b"cookie", b"x-none"])

    assert not host
    assert headers.items == [(b"x-b", b"2"), (b"te", b"trailers")]


def test_a_nominated_host_is_told():
    assert hygiene.remove_nominated(Headers(), [b"host"])


@pytest.mark.parametrize(
    "options", [[b"x-forwarded-for"], [b"x-forwarded-host"], [b"x-forwarded-proto"], [b":path"], [b"a"] * 10]
)
def test_what_may_not_be_nominated(options):
    with pytest.raises(RemoteProtocolError) as caught:
        hygiene.remove_nominated(Headers(), options)

    assert caught.value.details == "http1.connection_header_rejected"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("connection", "upgrades", "wanted"),
    [
        ([b"upgrade"], [b"websocket"], b"websocket"),
        ([b"keep-alive", b"upgrade"], [b"WebSocket"], b"WebSocket"),
        ([b"upgrade"], [b"websocket", b"foo"], b"websocket,foo"),
        ([b"upgrade"], [b"H2C"], b""),
        ([b"upgrade"], [b"websocket, h2c"], b"websocket, h2c"),
        ([b"upgrade"], [b""], hygiene.NAMELESS),
        ([b"upgrade"], [], b""),
        ([], [b"websocket"], b""),
    ],
)
def test_what_a_request_wants_to_go_on_with(connection, upgrades, wanted):
    assert hygiene.wanted_upgrade(connection, upgrades) == wanted


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"x")], True),
        ([(b"connection", b"keep-alive"), (b"upgrade", b"x")], False),
        ([(b"upgrade", b"x")], False),
        ([(b"connection", b"upgrade")], False),
    ],
)
def test_an_upgrade_needs_both_fields(fields, says):
    assert hygiene.says_upgrade(Headers(fields)) is says
