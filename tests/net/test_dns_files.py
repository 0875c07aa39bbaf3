from __future__ import annotations

import pytest

from trio_envoy.net.address import IpAddress
from trio_envoy.net.dns_files import ParsedFile, ResolvConf, candidates, parse_hosts, parse_resolv_conf


def test_hosts():
    text = """
# comment
127.0.0.1 localhost Self.Example. # me
::1       localhost
10.0.0.1  self.example
10.0.0.1  self.example
10.0.0.2  self.example
nonsense  name
"""
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1", "::1"),
        "self.example": ("127.0.0.1", "10.0.0.1", "10.0.0.2"),
    }


def test_resolv_conf():
    text = """
; comment
nameserver 10.0.0.1
nameserver 2001:db8::1
nameserver garbage
nameserver
domain old.example
search a.example. b.example
options ndots:2 timeout:3 attempts:5 rotate edns0 trust-ad ndots:x
unknown thing
"""
    assert parse_resolv_conf(text) == ResolvConf(
        servers=(IpAddress("10.0.0.1", 53), IpAddress("2001:db8::1", 53)),
        search=("a.example", "b.example"),
        ndots=2,
        timeout=3,
        attempts=5,
        rotate=True,
    )


def test_an_empty_resolv_conf_leaves_all_open():
    assert parse_resolv_conf("") == ResolvConf()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api", ("api.a.x", "api.b.x", "api")),
        ("api.y", ("api.y", "api.y.a.x", "api.y.b.x")),
        ("api.", ("api",)),
    ],
)
def test_candidates(name, expected):
    assert candidates(name, ResolvConf(search=("a.x", "b.x"))) == expected


def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "hosts"
    file = ParsedFile(str(path), parse_hosts)
    assert file.get() == {}

    path.write_text("10.0.0.1 a\n")
    assert file.get() == {"a": ("10.0.0.1",)}
    assert file.get() == {"a": ("10.0.0.1",)}
    assert file.reads == 1

    path.write_text("10.0.0.1 a b\n")
    assert file.get() == {"a": ("10.0.0.1",), "b": ("10.0.0.1",)}
    path.unlink()
    assert "b" in file.get()
