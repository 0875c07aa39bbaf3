"""JSON templates; the lines are what Envoy 1.40.0 wrote."""

import pytest

from tests.messages import a_context, a_request, a_response
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.json import compile_json, json_string
from trio_envoy.http.headers import Headers

TEMPLATE = {
    "z": "%PROTOCOL%",
    "a": "%RESPONSE_CODE%",
    "m": {"n": "%BYTES_SENT%", "list": ["%RESPONSE_CODE%", "x", 1, True, None, {"k": "%REQ(NOPE)%"}]},
    "num": 1.5,
    "int": 3,
    "big": 1e21,
    "t": True,
    "nul": None,
    "mix": "a %RESPONSE_CODE% b",
    "two": "%RESPONSE_CODE%%BYTES_SENT%",
    "miss": "%REQ(NOPE)%",
    "missmix": "x%REQ(NOPE)%y",
    "lit": "plain",
    "pct": "100%%",
    "empty": "",
    'é"k': 'é"v',
    "dur": "%DURATION%",
    "neg": -0.0,
    "exp": 123456789.123,
    "bigint": 12345678901234567890,
}


def rendered(template, context=None, **options):
    return compile_json(template, **options)(context or a_context()).decode()


def test_keys_are_sorted_and_types_kept():
    context = a_context(status=502, protocol="HTTP/1.1", bytes_sent=87)

    assert rendered(TEMPLATE, context) == (
        '{"a":502,"big":1e+21,"bigint":12345678901234567168,"dur":3,"empty":"","exp":123456789.123,"int":3,'
        '"lit":"plain","m":{"list":[502,"x",1,true,null,{"k":null}],"n":87},"miss":null,"missmix":"x-y",'
        '"mix":"a 502 b","neg":-0,"nul":null,"num":1.5,"pct":"100%","t":true,"two":"50287","z":"HTTP/1.1",'
        '"é\\"k":"é\\"v"}\n'
    )


def test_what_is_not_there_is_left_out_when_empty_values_are_omitted():
    context = a_context(status=502, protocol="HTTP/1.1", bytes_sent=87)

    assert rendered(TEMPLATE, context, omit_empty=True) == (
        '{"a":502,"big":1e+21,"bigint":12345678901234567168,"dur":3,"empty":"","exp":123456789.123,"int":3,'
        '"lit":"plain","m":{"list":[502,"x",1,true],"n":87},"missmix":"xy",'
        '"mix":"a 502 b","neg":-0,"num":1.5,"pct":"100%","t":true,"two":"50287","z":"HTTP/1.1",'
        '"é\\"k":"é\\"v"}\n'
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({}, "{}\n"),
        ({"a": "%REQ(NOPE)%"}, "{}\n"),
        (
            {"l": ["%REQ(NOPE)%", "%PROTOCOL%"], "m": {"n": "%REQ(NOPE)%"}, "e": "%REQ(X-E)%", "mix": "x%REQ(NOPE)%"},
            '{"e":"","l":["HTTP/1.1"],"mix":"x"}\n',
        ),
    ],
)
def test_omitting(template, expected):
    context = a_context(a_request("/", ("x-e", "")), protocol="HTTP/1.1")

    assert rendered(template, context, omit_empty=True) == expected


def test_an_empty_object_is_a_line_too():
    assert rendered({}) == "{}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"a\xffb", '"a\\u00ffb"'),
        (b"\xc3", '"\\u00c3"'),
        (b"\xc3\xa9\xff", '"\\u00c3\\u00a9\\u00ff"'),
        ('say "hi"\\ \t/<>é&\'\u2028😀'.encode(), '"say \\"hi\\"\\\\ \\t/<>é&\'\u2028😀"'),
        (b"\x01\x1f\b\f\n\r\t", '"\\u0001\\u001f\\b\\f\\n\\r\\t"'),
    ],
)
def test_strings(value, text):
    response = a_response()
    response.headers = Headers([(b"x", value)])

    assert json_string(value) == text
    assert rendered({"x": "%RESP(X)%"}, a_context(response=response)) == f'{{"x":{text}}}\n'
    assert rendered({"x": "é %RESP(X)% z"}, a_context(response=response)) == f'{{"x":"é {text[1:-1]} z"}}\n'


@pytest.mark.parametrize("omit", [False, True])
def test_values_of_every_kind(omit):
    metadata = {"ns": {"map": {"b": [1, "é"]}, "text": "long"}}
    template = {
        "meta": "%DYNAMIC_METADATA(ns:map)%",
        "cut": "%DYNAMIC_METADATA(ns:text):2%",
        "port": "%DOWNSTREAM_REMOTE_PORT%",
        "head": "%REQ(X-A):2%",
        "100%%": "5%%",
    }
    context = a_context(a_request("/", ("x-a", "12345")), metadata=metadata)

    assert rendered(template, context, omit_empty=omit) == (
        '{"100%%":"5%","cut":"lo","head":"12","meta":{"b":[1,"é"]},"port":4567}\n'
    )


@pytest.mark.parametrize("omit", [False, True])
def test_a_fault_in_a_nested_string_names_the_object(omit):
    at = object()

    with pytest.raises(ConfigError, match="Not supported field in StreamInfo: FOO") as caught:
        compile_json({"a": {"b": ["%FOO%"]}}, omit_empty=omit, at=at, field="json_format")

    assert (caught.value.at, caught.value.field) == (at, ("json_format",))
