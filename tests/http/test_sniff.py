import pytest

from trio_envoy.http.sniff import PREFACE, is_http2


@pytest.mark.parametrize("size", range(12))
def test_a_beginning_of_the_preface_decides_nothing(size):
    assert is_http2(PREFACE[:size]) is None


@pytest.mark.parametrize("beginning", [PREFACE[:12], PREFACE, PREFACE + b"frames"])
def test_the_preface_is_http2(beginning):
    assert is_http2(beginning) is True


@pytest.mark.parametrize("beginning", [b"G", b"GET / HTTP/1.1\r\n", b"PUT", b"PRI / HTTP/1.1\r\n", b"\x16\x03\x01"])
def test_anything_else_is_http1(beginning):
    assert is_http2(beginning) is False
