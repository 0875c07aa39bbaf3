"""Early changes of headers; parity headers/early_mutation has the transcript."""

import pytest

from tests.fakes import a_services, a_stream
from trio_envoy.config.core import HeaderAppendAction, HeaderValue, HeaderValueOption
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.mutation_rules import HeaderMutation as Mutation
from trio_envoy.config.mutation_rules import RemoveOnMatch
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.http.early_header_mutation.header_mutation import HeaderMutation, make

OVERWRITE = HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def add(name, value, action=HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD):
    return Mutation(append=HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=action))


def changed(*mutations, fields=()):
    stream = a_stream(fields=fields)
    make(HeaderMutation(mutations=mutations), a_services()).mutate(stream.request, stream.info)
    return stream.request


def test_one_after_the_other():
    request = changed(
        add("x-a", "1"),
        add("X-B", "%REQ(x-a)%%REQ(x-old)%"),
        Mutation(remove="X-Old"),
        add("x-a", "2", OVERWRITE),
        add("x-c", "%REQ(x-old)%"),
        fields={"x-old": "o"},
    )

    assert list(request.headers) == [(b"x-b", b"1o"), (b"x-a", b"2")]


def test_names_that_fit_are_removed():
    matcher = RemoveOnMatch(key_matcher=StringMatcher(prefix="x-no-"))

    request = changed(
        Mutation(remove_on_match=matcher), fields=[("x-no-a", "1"), ("x-yes", "2"), ("x-no-b", "3"), ("x-no-a", "4")]
    )

    assert list(request.headers) == [(b"x-yes", b"2")]


def test_a_scheme_that_is_removed_is_found_anew():
    assert changed(Mutation(remove=":scheme")).scheme == b""


@pytest.mark.parametrize("name", [":path", ":method", ":authority", "Host"])
def test_what_every_request_needs_stays(name):
    with pytest.raises(ConfigError, match="is needed, it may not be removed"):
        changed(Mutation(remove=name))


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError, match="may not be modified") as raised:
        changed(add(":path", "/"), add("x", "%NONSENSE%"), Mutation())

    assert len(raised.value.others) == 2
