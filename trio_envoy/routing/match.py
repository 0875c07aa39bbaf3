"""Which of a virtual host's routes takes a request: the first that matches.

Routes are compiled to steps that are tried in turn. Neighbouring routes with nothing but a path to match, when there
are enough of them, become one step: a look-up by path, so that a hundred prefixes don't cost a hundred comparisons.
Rules, as measured on 1.40.0 (router/config_impl.cc): query and fragment are not part of the path, nor, with
ignore_path_parameters_in_path_matching, what follows a `;`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from trio_envoy.config.route_match import RouteMatch
from trio_envoy.http.message import Request
from trio_envoy.http.query import bare_path
from trio_envoy.matching.headers import request_test
from trio_envoy.matching.regex import full_match
from trio_envoy.matching.requests import RequestTest, cookie_test, is_grpc, query_test
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.entry import Route

_ENOUGH: Final = 4  # routes that are worth an index

_EXACT: Final = "exact"
_PREFIX: Final = "prefix"
_SEPARATED: Final = "separated"  # path_separated_prefix

Pick = Callable[[Request, StreamInfo], Route]
"""Settle what differs from request to request: the weighted cluster, the cluster_header."""
Target = Route | Pick
Step = Callable[[Request, StreamInfo], Route | None]

PathTest = Callable[[bytes], bool]


@attrs.frozen(eq=False)
class Candidate:
    """A compiled route before its request.

    Attributes:
        match: its conditions as configured.
        target: the route, or what picks it.
        takes: the condition on the path.
        tests: all conditions but the path and the fraction.
        fraction: runtime_fraction.
    """

    match: RouteMatch
    target: Target
    takes: PathTest
    tests: tuple[RequestTest, ...]
    fraction: Callable[[int], bool] | None

    @property
    def plain(self) -> bool:
        """Nothing but a path, and not a regex: fit for an index."""
        match = self.match
        return not self.tests and self.fraction is None and match.safe_regex is None and not connects(match)


def compile_candidate(
    match: RouteMatch, target: Target, context: RouteContext, *, ignore_parameters: bool
) -> Candidate:
    """Compile the conditions of a route.

    Args:
        match: the conditions.
        target: the route, or what picks it.
        context: surroundings.
        ignore_parameters: RouteConfiguration.ignore_path_parameters_in_path_matching.

    Raises:
        ConfigError: a bad regex.
    """
    runtime = context.runtime
    tests: list[RequestTest] = [request_test(config, runtime) for config in match.headers]
    if match.query_parameters:
        tests.append(query_test(match.query_parameters, runtime))
    tests += [cookie_test(config, runtime) for config in match.cookies]
    if match.grpc is not None:
        tests.append(is_grpc)
    fraction = runtime.fraction(match.runtime_fraction) if match.runtime_fraction is not None else None
    takes = path_test(match, context, ignore_parameters=ignore_parameters)
    return Candidate(match, target, takes, tuple(tests), fraction)


def connects(match: RouteMatch) -> bool:
    """Whether it takes CONNECT requests, which have no path, and only those."""
    return match.connect_matcher is not None


def random_of(info: StreamInfo, context: RouteContext) -> int:
    """The stream's 64 random bits; every decision about a stream uses the same, as in Envoy."""
    value = info.random
    if value is None:
        value = info.random = context.random.getrandbits(64)
    return value


def compile_steps(
    candidates: Sequence[Candidate], context: RouteContext, *, ignore_parameters: bool
) -> tuple[Step, ...]:
    """The steps that find the first match."""
    steps: list[Step] = []
    run: list[Candidate] = []
    for candidate in candidates:
        if candidate.plain:
            run.append(candidate)
            continue
        steps += _steps_of_run(run, context, ignore_parameters)
        run = []
        steps.append(_step(candidate, context))
    return *steps, *_steps_of_run(run, context, ignore_parameters)


def _steps_of_run(run: Sequence[Candidate], context: RouteContext, ignore_parameters: bool) -> Iterable[Step]:
    if len(run) < _ENOUGH:
        return [_step(candidate, context) for candidate in run]
    return [PathIndex(run, ignore_parameters=ignore_parameters).step]


def _step(candidate: Candidate, context: RouteContext) -> Step:
    takes, target = candidate.takes, candidate.target
    if not candidate.tests and candidate.fraction is None:
        if isinstance(target, Route):
            return _plain_step(candidate.match, takes, target)
        return lambda request, info: target(request, info) if takes(request.path) else None
    tests, fraction = candidate.tests, candidate.fraction

    def step(request: Request, info: StreamInfo) -> Route | None:
        if not takes(request.path):
            return None
        for test in tests:
            if not test(request):
                return None
        if fraction is not None and not fraction(random_of(info, context)):
            return None
        return target if isinstance(target, Route) else target(request, info)

    return step


def _plain_step(match: RouteMatch, takes: PathTest, route: Route) -> Step:
    if match.prefix == "/":  # paths begin with it: no call for the most common route of all
        return lambda request, _: route if request.path[:1] == b"/" else None
    wanted = (match.prefix or "").encode()
    if match.prefix is not None and match.case_sensitive is not False and not _may_lie_behind(wanted):
        return lambda request, _: route if request.path.startswith(wanted) else None
    return lambda request, _: route if takes(request.path) else None


def path_test(match: RouteMatch, context: RouteContext, *, ignore_parameters: bool) -> PathTest:
    """The condition on the path.

    Raises:
        ConfigError: a bad regex.
    """
    cut = _without_parameters if ignore_parameters else bare_path
    if match.safe_regex is not None:
        matches = full_match(match.safe_regex, context.runtime)
        return lambda path: matches(cut(path))
    folded = match.case_sensitive is False
    kind, wanted = _wanted(match, folded)  # of a connect_matcher: each path begins with nothing
    if kind is _PREFIX:
        if _may_lie_behind(wanted):
            return lambda path: _fold(cut(path), folded).startswith(wanted)
        return (lambda path: path.lower().startswith(wanted)) if folded else (lambda path: path.startswith(wanted))
    if kind is _EXACT:
        return lambda path: _fold(cut(path), folded) == wanted
    below = wanted + b"/"

    def separated(path: bytes) -> bool:
        bare = _fold(cut(path), folded)
        return bare == wanted or bare.startswith(below)

    return separated


def _wanted(match: RouteMatch, folded: bool) -> tuple[str, bytes]:
    if match.path is not None:
        return _EXACT, _fold(match.path.encode(), folded)
    if match.path_separated_prefix is not None:
        return _SEPARATED, _fold(match.path_separated_prefix.encode(), folded)
    return _PREFIX, _fold((match.prefix or "").encode(), folded)


def _may_lie_behind(prefix: bytes) -> bool:
    """The prefix may reach beyond the end of a path, into its query or fragment."""
    return any(mark in prefix for mark in b"?#;")


def _fold(path: bytes, folded: bool) -> bytes:
    return path.lower() if folded else path


def _without_parameters(path: bytes) -> bytes:
    return bare_path(path).partition(b";")[0]


@attrs.define(eq=False)
class _Paths:
    """Positions of routes by what they want of the path; the first of equal ones."""

    exact: dict[bytes, int] = attrs.Factory(dict)
    prefixes: dict[int, dict[bytes, int]] = attrs.Factory(dict)

    def add(self, kind: str, wanted: bytes, position: int) -> None:
        if kind is not _PREFIX:
            self.exact.setdefault(wanted, position)
        if kind is not _EXACT:
            prefix = wanted + b"/" if kind is _SEPARATED else wanted
            self.prefixes.setdefault(len(prefix), {}).setdefault(prefix, position)

    def first(self, path: bytes, none: int) -> int:
        """The position of the first route that takes the path, else `none`."""
        best = self.exact.get(path, none)
        for length, by_prefix in self.prefixes.items():
            position = by_prefix.get(path[:length], none)
            if position < best:
                best = position
        return best


class PathIndex:
    """Many routes that have only a path to match: finds the first one by look-up; immutable."""

    def __init__(self, candidates: Sequence[Candidate], *, ignore_parameters: bool) -> None:
        self._targets = tuple(candidate.target for candidate in candidates)
        self._cut = _without_parameters if ignore_parameters else bare_path
        self._as_is = _Paths()
        self._folded = _Paths()
        for position, candidate in enumerate(candidates):
            folded = candidate.match.case_sensitive is False
            (self._folded if folded else self._as_is).add(*_wanted(candidate.match, folded), position)
        self._any_folded = any(candidate.match.case_sensitive is False for candidate in candidates)

    def step(self, request: Request, info: StreamInfo) -> Route | None:
        """A Step."""
        path = self._cut(request.path)
        none = len(self._targets)
        position = self._as_is.first(path, none)
        if self._any_folded:
            position = min(position, self._folded.first(path.lower(), none))
        if position == none:
            return None
        target = self._targets[position]
        return target if isinstance(target, Route) else target(request, info)
