"""Header operations; the outcomes are what Envoy 1.40.0 sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages import a_context, a_request, a_response, from_yaml
from trio_envoy.config.core import HeaderAppendAction, HeaderValue, HeaderValueOption
from trio_envoy.config.route import RouteConfiguration
from trio_envoy.errors import ConfigError
from trio_envoy.http.fields import REQUEST_ONCE
from trio_envoy.http.headers import Headers
from trio_envoy.routing.header_ops import combine, request_level, response_level


def fields(headers):
    return [f"{name.decode()}: {value.decode()}" for name, value in headers]


def level(text, **options):
    return request_level(from_yaml(text, RouteConfiguration), **options)


def test_one_level_does_all_in_envoys_order():
    ops = combine([level("""
request_headers_to_remove: [x-gone, x-re]
request_headers_to_add:
- {header: {key: x-a, value: new}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
- {header: {key: x-b, value: new}, append_action: OVERWRITE_IF_EXISTS}
- {header: {key: x-bb, value: new}, append_action: OVERWRITE_IF_EXISTS}
- {header: {key: x-c, value: new}, append_action: ADD_IF_ABSENT}
- {header: {key: x-cc, value: new}, append_action: ADD_IF_ABSENT}
- {header: {key: x-d, value: new}}
- {header: {key: x-re, value: '%REQ(x-re)%'}}
- {header: {key: x-copy, value: '%REQ(x-a)%'}}
- {header: {key: x-empty, value: ''}}
- {header: {key: x-empty2, value: '%REQ(nope)%'}}
- {header: {key: x-keep, value: '%REQ(nope)%'}, keep_empty_value: true}
- {header: {key: X-Case, value: V}}
- {header: {key: x-dash, value: 'a%REQ(nope)%b'}}
- {header: {key: x-old, value: o}, append: false}
- {header: {key: x-older, value: o}, append: true}
- {header: {key: user-agent, value: add}}
- {header: {key: x-forwarded-for, value: zz}}
- {header: {key: x-lat, value: é}}
- {header: {key: x-raw, raw_value: Yv8=}, append_action: ADD_IF_ABSENT}
""")])  # fmt: skip
    request = a_request(
        "/", ("x-a", "1"), ("x-z", "1"), ("x-a", "2"), ("x-b", "1"), ("x-c", "1"), ("x-d", "1"), ("x-gone", "1"),
        ("x-re", "v"), ("x-old", "1"), ("x-older", "1"), ("user-agent", "me"), ("x-forwarded-for", "1.1.1.1"),
    )  # fmt: skip

    ops.apply(request.headers, a_context(request))

    assert [(name, value) for name, value in request.headers if name == b"x-raw"] == [(b"x-raw", b"b\xff")]
    request.headers.remove(b"x-raw")
    assert fields(request.headers) == [
        "x-z: 1", "x-c: 1", "x-d: 1", "x-older: 1", "user-agent: me,add", "x-forwarded-for: 1.1.1.1,zz", "x-a: new",
        "x-b: new", "x-old: o", "x-cc: new", "x-d: new", "x-copy: 1", "x-keep: ", "x-case: V", "x-dash: ab",
        "x-older: o", "x-lat: é",
    ]  # fmt: skip


def test_a_later_level_sees_what_an_earlier_one_did():
    ops = combine([
        level("request_headers_to_add: [{header: {key: x-l, value: r}}]"),
        None,
        level("""
request_headers_to_remove: [x-gone]
request_headers_to_add: [{header: {key: x-see, value: '%REQ(x-l)%'}}]
"""),
    ])  # fmt: skip
    request = a_request("/", ("x-gone", "1"))

    ops.apply(request.headers, a_context(request))

    assert fields(request.headers) == ["x-l: r", "x-see: r"]


def test_the_authority_of_a_level_is_set_behind_its_headers():
    ops = combine([
        level("request_headers_to_add: [{header: {key: x-1, value: '%REQ(:AUTHORITY)%'}}]", authority=b"w.host"),
        level("request_headers_to_add: [{header: {key: x-2, value: '%REQ(:AUTHORITY)%'}}]"),
        level("{}", authority=b"w2.host"),
    ])  # fmt: skip
    request = a_request("/")

    ops.apply(request.headers, a_context(request))

    assert fields(request.headers) == ["x-1: a.com", "x-2: w.host"]
    assert request.authority == b"w2.host"


def test_responses():
    config = from_yaml("""
response_headers_to_remove: [X-Two]
response_headers_to_add:
- {header: {key: x-one, value: r}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
- {header: {key: x-st, value: '%RESP(:STATUS)% %RESPONSE_CODE%'}}
- {header: {key: server, value: mine}}
- {header: {key: user-agent, value: x}}
""", RouteConfiguration)  # fmt: skip
    response = a_response(200, ("x-one", "1"), ("x-two", "2"), ("x-one", "3"), ("server", "s"), ("user-agent", "y"))

    combine([response_level(config)]).apply(response.headers, a_context(response=response, status=200))

    assert fields(response.headers) == [
        "server: s,mine", "user-agent: y", "x-one: r", "x-st: 200 200", "user-agent: x",
    ]  # fmt: skip


def test_nothing_to_do_is_none():
    assert level("{}") is None
    assert combine([None, None]) is None


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("request_headers_to_add: [{header: {key: ':path', value: x}}]", "may not be modified", ("key",)),
        ("request_headers_to_add: [{header: {key: Host, value: x}}]", "may not be modified", ("key",)),
        ("request_headers_to_remove: [a, ':path']", "may not be removed", ("request_headers_to_remove", 1)),
        ("request_headers_to_remove: [HOST]", "may not be removed", ("request_headers_to_remove", 0)),
        (
            "request_headers_to_add: [{header: {key: a, value: b}, append: true, append_action: ADD_IF_ABSENT}]",
            "Both append and append_action are set and it's not allowed",
            (),
        ),
        ("request_headers_to_add: [{header: {key: a, value: '%FOO%'}}]", "StreamInfo: FOO", ("value",)),
        ("request_headers_to_add: [{header: {key: a, value: '100%'}}]", "valid command at position 3", ("value",)),
    ],
)
def test_faults(text, message, field):
    with pytest.raises(ConfigError) as caught:
        level(text)

    assert message in caught.value.text
    assert caught.value.field == field


def test_response_faults():
    config = from_yaml("response_headers_to_remove: [':status']", RouteConfiguration)

    with pytest.raises(ConfigError, match=":-prefixed or host headers may not be removed"):
        response_level(config)


NAMES = ["x-a", "x-b", "user-agent"]
changes = st.builds(
    lambda name, value, action, keep: HeaderValueOption(
        header=HeaderValue(key=name, value=value), append_action=action, keep_empty_value=keep
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["", "1", "2", "%REQ(x-a)%", "%REQ(x-b)%"]),
    st.sampled_from(list(HeaderAppendAction)),
    st.booleans(),
)
levels = st.builds(
    lambda add, remove: RouteConfiguration(request_headers_to_add=tuple(add), request_headers_to_remove=tuple(remove)),
    st.lists(changes, max_size=4),
    st.lists(st.sampled_from(NAMES), max_size=2),
)


def naive(configs, items):
    """Envoy's evaluateHeaders, said with plain lists."""

    def get(name):
        return next((value for n, value in items if n == name), None)

    for config in configs:
        items = [(n, v) for n, v in items if n not in config.request_headers_to_remove]
        overwrites, additions = [], []
        for option in config.request_headers_to_add:
            name, value = option.header.key, option.header.value
            value = (get(value[5:-2]) or "") if value.startswith("%") else value
            if not value and not option.keep_empty_value:
                continue
            absent = get(name) is None
            action = option.append_action.name
            if action == "APPEND_IF_EXISTS_OR_ADD" or (action == "ADD_IF_ABSENT" and absent):
                additions.append((name, value))
            elif action == "OVERWRITE_IF_EXISTS_OR_ADD" or (action == "OVERWRITE_IF_EXISTS" and not absent):
                overwrites.append((name, value))
        for name, value in overwrites:
            items = [(n, v) for n, v in items if n != name] + [(name, value)]
        for name, value in additions:
            if name.encode() in REQUEST_ONCE and get(name) is not None:
                items = [(n, f"{v},{value}") if n == name else (n, v) for n, v in items]
            else:
                items = [*items, (name, value)]
    return items


@settings(deadline=None)
@given(
    st.lists(levels, max_size=3),
    st.lists(st.tuples(st.sampled_from(["x-a", "x-b", "x-c"]), st.sampled_from(["o", ""])), max_size=4),
    st.booleans(),
)
def test_levels_do_what_envoys_algorithm_does(configs, items, with_agent):
    items = [*items, ("user-agent", "ua")] if with_agent else items
    request = a_request("/", *items)
    ops = combine(request_level(config) for config in configs)

    if ops is not None:
        ops.apply(request.headers, a_context(request))

    expected = naive(configs, items)
    assert request.headers.items == [(name.encode(), value.encode()) for name, value in expected]
    assert request.headers.first == Headers(request.headers.items).first
