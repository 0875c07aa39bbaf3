"""Who is asked for the client's address, and what x-forwarded-for says."""

import pytest

from tests.fakes import a_services
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.hcm import HttpConnectionManager
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.extensions.http.original_ip_detection.xff import ByHops, XffConfig
from trio_envoy.hcm.client_address import detectors, entries_of, from_right, ip_of
from trio_envoy.net.address import IpAddress

XFF = TypedExtensionConfig(name="x", typed_config=XffConfig())


def made(*extensions, **fields):
    config = HttpConnectionManager(original_ip_detection_extensions=extensions, **fields)
    return detectors(config, a_services())


def test_without_extensions_nobody_is_asked():
    assert made(use_remote_address=True, xff_num_trusted_hops=1) == ()


def test_extensions_are_asked_in_order():
    assert [type(each) for each in made(XFF, XFF)] == [ByHops, ByHops]


@pytest.mark.parametrize("name", ["use_remote_address", "xff_num_trusted_hops"])
def test_they_are_instead_of(name):
    with pytest.raises(ConfigError, match=f"Original IP detection extensions and {name} may not be mixed"):
        made(XFF, **{name: 1})


def test_what_is_no_such_extension_is_refused():
    with pytest.raises(ConfigError, match="Original IP detection extension not found: 'r'"):
        made(TypedExtensionConfig(name="r", typed_config=Router()))


@pytest.mark.parametrize(
    ("skip", "expected"), [(0, "3.3.3.3"), (1, "2.2.2.2"), (2, None), (3, "1.1.1.1"), (4, None), (9, None)]
)
def test_entries_are_counted_from_the_right(skip, expected):
    address = from_right(b"1.1.1.1, bad,2.2.2.2 ,\t3.3.3.3", skip)

    assert address == (None if expected is None else IpAddress(expected, 0))


def test_entries_are_listed_from_the_left():
    assert entries_of(b"1.1.1.1, 2.2.2.2 ,x") == [b"1.1.1.1", b"2.2.2.2", b"x"]


def test_addresses_are_written_in_one_way():
    assert ip_of(b"0:0::1") == IpAddress("::1", 0)
    assert ip_of(b"[::1]") is None
