"""Virtual hosts by domain."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trio_envoy.errors import ConfigError
from trio_envoy.routing.domains import Domains, without_port


def domains(*entries, ignore_port=False):
    return Domains(((None, (domain,), domain) for domain in entries), table="rc", ignore_port=ignore_port)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        (b"a.com", "a.com"),
        (b"A.COM", "a.com"),
        (b"x.a.com", "*.a.com"),
        (b"y.x.a.com", "*.x.a.com"),
        (b"foo-bar.com", "*-bar.com"),
        (b".a.com", "*"),  # a suffix needs something before it
        (b"foo.", "*"),
        (b"foo.org", "foo.*"),
        (b"foo.bar.org", "foo.bar.*"),
        (b"a.com:80", "a.com:80"),
        (b"a.com:81", "*"),
        (b"", "*"),
        (b"other", "*"),
    ],
)
def test_the_most_specific_domain_wins(authority, expected):
    search = domains("*", "a.com", "a.com:80", "*.a.com", "*.x.a.com", "*-bar.com", "foo.*", "foo.bar.*")

    assert search.find(authority) == expected


def test_a_default_alone_takes_all():
    assert domains("*").find(b"") == "*"
    assert domains().find(b"a") is None
    assert domains("a").find(b"b") is None


def test_the_port_can_be_ignored():
    search = domains("a.com", "[::1]", ignore_port=True)

    assert search.find(b"a.com:1234") == "a.com"
    assert search.find(b"[::1]:80") == "[::1]"


@pytest.mark.parametrize(
    ("host", "expected"),
    [(b"a", b"a"), (b"a:1", b"a"), (b"a:", b"a"), (b"[::1]", b"[::1]"), (b"[::1]:1", b"[::1]"), (b"", b"")],
)
def test_ports(host, expected):
    assert without_port(host) == expected


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        (("a.com", "A.com"), "Duplicate entry of domain a.com in route rc"),
        (("*.a", "*.a"), "Duplicate entry of domain *.a in route rc"),
        (("a.*", "a.*"), "Duplicate entry of domain a.* in route rc"),
        (("*", "*"), "Only a single wildcard domain is permitted in route rc"),
    ],
)
def test_a_domain_may_be_there_once(entries, text):
    at = object()

    with pytest.raises(ConfigError) as caught:
        Domains([(at, entries, 1)], table="rc", ignore_port=False)

    assert caught.value.text.endswith(text)
    assert (caught.value.at, caught.value.field) == (at, ("domains", 1))


def naive(entries, host):
    """Envoy's rule said as a walk over everything."""
    host = host.lower()
    if host in entries and "*" not in (host[:1], host[-1:]):
        return host
    suffixes = [e for e in entries if e.startswith("*") and e != "*"]
    prefixes = [e for e in entries if e.endswith("*") and not e.startswith("*")]
    fits = [e for e in suffixes if host.endswith(e[1:]) and len(host) > len(e) - 1]
    fits = fits or [e for e in prefixes if host.startswith(e[:-1]) and len(host) > len(e) - 1]
    return max(fits, key=len, default="*" if "*" in entries else None)


labels = st.text("ab.", min_size=1, max_size=4)


@settings(deadline=None)
@given(
    st.sets(labels | labels.map(lambda text: f"*{text}") | labels.map(lambda text: f"{text}*") | st.just("*")),
    st.text("abAB.", max_size=6),
)
@example({"*a", "a*", "*"}, "aa")
def test_the_search_finds_what_a_walk_finds(entries, host):
    assert domains(*sorted(entries)).find(host.encode()) == naive(entries, host)
