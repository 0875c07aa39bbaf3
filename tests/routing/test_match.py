"""Conditions of routes; the tables are what Envoy 1.40.0 answered (Y matches, n does not)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages import a_request, a_runtime, an_info, from_yaml
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.entry import DirectResponseAction, Route, VirtualHost
from trio_envoy.routing.match import PathIndex, compile_candidate, compile_steps, random_of
from trio_envoy.routing.overrides import NO_OVERRIDES

PATHS = (
    "/", "/api", "/api/", "/apix", "/API", "/api?x", "/api/x?y=/z", "/api;p=1", "/api%2f", "//api", "/apI?api",
)  # fmt: skip

MEASURED = [
    ("{prefix: /api}", "nYYYnYYYYnn", "nYYYnYYYYnn"),
    ("{prefix: '/api?x'}", "nnnnnnnnnnn", "nnnnnnnnnnn"),
    ("{prefix: '/api;'}", "nnnnnnnYnnn", "nnnnnnnnnnn"),
    ("{prefix: ''}", "YYYYYYYYYYY", "YYYYYYYYYYY"),
    ("{prefix: /}", "YYYYYYYYYYY", "YYYYYYYYYYY"),
    ("{path: /api}", "nYnnnYnnnnn", "nYnnnYnYnnn"),
    ("{path: /api, case_sensitive: false}", "nYnnYYnnnnY", "nYnnYYnYnnY"),
    ("{prefix: /API, case_sensitive: false}", "nYYYYYYYYnY", "nYYYYYYYYnY"),
    ("{path_separated_prefix: /api}", "nYYnnYYnnnn", "nYYnnYYYnnn"),
    ("{path_separated_prefix: /API, case_sensitive: false}", "nYYnYYYnnnY", "nYYnYYYYnnY"),
    ("{safe_regex: {regex: /api}}", "nYnnnYnnnnn", "nYnnnYnYnnn"),
    ("{safe_regex: {regex: /API}, case_sensitive: false}", "nnnnYnnnnnn", "nnnnYnnnnnn"),
    ("{safe_regex: {regex: '/a.*'}}", "nYYYnYYYYnY", "nYYYnYYYYnY"),
    ("{prefix: api}", "nnnnnnnnnnn", "nnnnnnnnnnn"),
    ("{prefix: '/apI?'}", "nnnnnnnnnnn", "nnnnnnnnnnn"),
    ("{path: ''}", "nnnnnnnnnnn", "nnnnnnnnnnn"),
]


def a_route(name=""):
    return Route(name=name, virtual_host=VirtualHost("v"), overrides=NO_OVERRIDES, action=DirectResponseAction(200))


def first(steps, request, info=None):
    for step in steps:
        route = step(request, info or an_info())
        if route is not None:
            return route
    return None


@pytest.mark.parametrize("ignore_parameters", [False, True])
@pytest.mark.parametrize(("match", "plain", "without_parameters"), MEASURED)
def test_paths(context, match, plain, without_parameters, ignore_parameters):
    expected = without_parameters if ignore_parameters else plain
    route = a_route()
    candidate = compile_candidate(from_yaml(match, RouteMatch), route, context, ignore_parameters=ignore_parameters)
    steps = compile_steps([candidate], context, ignore_parameters=ignore_parameters)

    assert "".join("Y" if first(steps, a_request(path)) is route else "n" for path in PATHS) == expected
    if candidate.plain:
        index = PathIndex([candidate], ignore_parameters=ignore_parameters)
        assert "".join("Y" if first([index.step], a_request(path)) is route else "n" for path in PATHS) == expected


parts = st.sampled_from(["/", "/a", "/A", "/ab", "/a/b", "/b", "/b/", "", "/a/b/c"])
matches = st.one_of(
    parts.map(lambda path: f"{{prefix: '{path}'}}"),
    parts.map(lambda path: f"{{path: '{path}'}}"),
    parts.map(lambda path: f"{{prefix: '{path}', case_sensitive: false}}"),
    parts.map(lambda path: f"{{path: '{path}', case_sensitive: false}}"),
    st.sampled_from(["/a", "/a/b", "/A"]).map(lambda path: f"{{path_separated_prefix: '{path}'}}"),
    st.sampled_from(["/a", "/B"]).map(lambda path: f"{{path_separated_prefix: '{path}', case_sensitive: false}}"),
)


@settings(deadline=None)
@given(st.lists(matches, min_size=1, max_size=8), st.lists(st.sampled_from(["/", "a", "A", "b", "?"]), max_size=6))
def test_the_index_finds_what_a_walk_finds(texts, pieces):
    context = RouteContext(runtime=a_runtime(), random=None, cluster_exists=None)
    candidates = [
        compile_candidate(from_yaml(text, RouteMatch), a_route(text), context, ignore_parameters=False)
        for text in texts
    ]
    request = a_request("/" + "".join(pieces))
    walk = next((candidate.target for candidate in candidates if candidate.takes(request.path)), None)

    assert PathIndex(candidates, ignore_parameters=False).step(request, an_info()) is walk
    assert first(compile_steps(candidates, context, ignore_parameters=False), request) is walk


@pytest.mark.parametrize(
    ("match", "request_", "expected"),
    [
        ("{prefix: /, headers: [{name: x}]}", a_request("/", ("x", "1")), True),
        ("{prefix: /, headers: [{name: x}, {name: xx}]}", a_request("/", ("x", "1")), False),
        ("{prefix: /, query_parameters: [{name: a}]}", a_request("/?a"), True),
        ("{prefix: /, query_parameters: [{name: a}]}", a_request("/"), False),
        ("{prefix: /, cookies: [{name: s, string_match: {exact: '1'}}]}", a_request("/", ("cookie", "s=1")), True),
        ("{prefix: /, cookies: [{name: s, string_match: {exact: '1'}}]}", a_request("/"), False),
        ("{prefix: /, grpc: {}}", a_request("/", ("content-type", "application/grpc")), True),
        ("{prefix: /, grpc: {}}", a_request("/"), False),
        ("{prefix: /a, headers: [{name: x}]}", a_request("/b", ("x", "1")), False),
    ],
)
def test_all_conditions_must_hold(context, match, request_, expected):
    candidate = compile_candidate(from_yaml(match, RouteMatch), a_route(), context, ignore_parameters=False)
    steps = compile_steps([candidate], context, ignore_parameters=False)

    assert not candidate.plain
    assert (first(steps, request_) is not None) is expected


def test_a_fraction_is_drawn_once_for_a_stream(context):
    half = "{prefix: /, runtime_fraction: {default_value: {numerator: 50}}}"
    candidates = [
        compile_candidate(from_yaml(half, RouteMatch), a_route(str(n)), context, ignore_parameters=False)
        for n in range(2)
    ]
    steps = compile_steps(candidates, context, ignore_parameters=False)
    found = {first(steps, a_request("/"), an_info(random=n)) for n in range(100)}

    assert found == {candidates[0].target, None}  # never the second: the same number misses both


def test_the_random_number_of_a_stream_is_kept(context):
    info = an_info(random=None)

    assert random_of(info, context) == random_of(info, context) == info.random


def test_neighbours_with_other_conditions_keep_their_order(context):
    texts = [
        "{prefix: /a}", "{prefix: /b}", "{prefix: /c}", "{prefix: /d}", "{prefix: /, headers: [{name: x}]}",
        "{prefix: /e}", "{prefix: /}",
    ]  # fmt: skip
    steps = compile_steps(
        [compile_candidate(from_yaml(t, RouteMatch), a_route(t), context, ignore_parameters=False) for t in texts],
        context,
        ignore_parameters=False,
    )

    assert len(steps) == 4
    assert first(steps, a_request("/d", ("x", "1"))).name == texts[3]
    assert first(steps, a_request("/e", ("x", "1"))).name == texts[4]
    assert first(steps, a_request("/e")).name == texts[5]
    assert first(steps, a_request("/z")).name == texts[6]


def test_a_target_may_be_picked(context):
    route = a_route()
    for texts in (["{prefix: /}"], ["{prefix: /, headers: [{name: x}]}"], ["{prefix: /}"] * 4):
        candidates = [
            compile_candidate(from_yaml(t, RouteMatch), lambda _request, _info: route, context, ignore_parameters=False)
            for t in texts
        ]
        assert first(compile_steps(candidates, context, ignore_parameters=False), a_request("/", ("x", "1"))) is route
