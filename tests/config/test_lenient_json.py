"""Measured on Envoy 1.40.0 with `-c x.json`: what its JSON parser takes and what not."""

import json

import pytest

from trio_envoy.config.lenient_json import LenientReader


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": {"b": [1, -2.5, 1e3, true, false, null]}}', {"a": {"b": [1, -2.5, 1000.0, True, False, None]}}),
        (" \n{}\n ", {}),
        ("{a: 1, _b2: 2, $c: 3}", {"a": 1, "_b2": 2, "$c": 3}),
        ("{'a': 'b', \"c\": 'd'}", {"a": "b", "c": "d"}),
        ("{'a': 'x\"y'}", {"a": 'x"y'}),
        ("{'a': 'x\\'y'}", {"a": "x'y"}),
        ('{"a": "x\\\'y"}', {"a": "x'y"}),
        ('{"a": "\\u00e9\\n\\\\"}', {"a": "é\n\\"}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": [1,], "b": 2,}', {"a": [1], "b": 2}),
        ("[]", []),
    ],
)
def test_what_is_taken(text, value):
    assert LenientReader(text).read() == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "unexpected EOF: line 1 column 1"),
        ("{", "expected a key"),
        ('{"a": [,]}', "unexpected character: ','"),
        ("{,}", "expected a key"),
        ("{no-de: 1}", "expected ':'"),
        ("{1: 1}", "expected a key"),
        ('{"a" 1}', "expected ':'"),
        ('{"a": 1 "b": 2}', "expected ','"),
        ('{"a": 1', "expected ','"),
        ('{"a": b}', "unexpected character: 'b'"),
        ('{"a": tru}', "unexpected character: 't'"),
        ('{"a": +1}', "unexpected character: '+'"),
        ('{"a": .5}', "unexpected character: '.'"),
        ('{"a": 1.}', "unexpected character: '1'"),
        ('{"a": 010}', "unexpected character: '0'"),
        ('{"a": 0x10}', "unexpected character: '0'"),
        ('{"a": Infinity}', "unexpected character: 'I'"),
        ('{"a": "b}', "a string without its end"),
        ('{"a": "\\q"}', "Invalid \\escape"),
        ('{"a": 1} x', "extraneous characters after the end"),
        ('{\n "a": x}', "line 2 column 7"),
        ("{/*x*/}", "expected a key"),
    ],
)
def test_what_is_not_taken(text, error):
    with pytest.raises(json.JSONDecodeError) as caught:
        LenientReader(text).read()

    assert error in str(caught.value)


def test_repeated_keys_are_noted():
    reader = LenientReader("{a: 1, b: {a: 1}, a: 2}")

    assert reader.read()["a"] == 2
    assert reader.repeats
