"""Regular expressions; sizes and results as Envoy 1.40.0 gave them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages import a_runtime, from_yaml
from trio_envoy.config.matcher import GoogleRE2, RegexMatchAndSubstitute, RegexMatcher
from trio_envoy.errors import ConfigError
from trio_envoy.matching.regex import compile_regex, full_match, substitution

SIZES = [
    ("[a-z]{200}.*x{100}", 306),
    ("abcdef", 10),
    (".", 6),
    ("[^/]+", 7),
    ("/svc/[0-9]+/.*", 14),
    ("(?i)abc", 7),
    ("é+", 7),
    (r"\d+\w*", 10),
    ("(foo|bar|baz).*", 15),
    (r"\pL", 11),
    ("(a|b)*c{3,5}$", 14),
    (".*\\.(png|jpg|gif)", 18),
    (".{3}", 10),
    ("(?s).*", 6),
    ("x*", 5),
]


@pytest.mark.parametrize(("regex", "size"), SIZES)
def test_a_program_is_as_large_as_envoys(regex, size):
    matcher = RegexMatcher(google_re2=GoogleRE2(max_program_size=size - 1), regex=regex)

    with pytest.raises(ConfigError) as caught:
        full_match(matcher, a_runtime())

    assert caught.value.text == (
        f"regex '{regex}' RE2 program size of {size} > max program size of {size - 1}. "
        "Increase configured max program size if necessary."
    )
    assert (caught.value.at, caught.value.field) == (matcher, ("regex",))


def test_the_limit_is_100_and_the_runtime_may_raise_it():
    matcher = RegexMatcher(regex="[a-z]{200}.*x{100}")

    with pytest.raises(ConfigError, match="306 > max program size of 100 set for the error level threshold"):
        full_match(matcher, a_runtime())

    assert full_match(matcher, a_runtime(re2__max_program_size__error_level=400))(b"a" * 200 + b"x" * 100)


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("a(", "missing ): a("),
        ("(?=a)", "invalid perl operator: (?="),
        ("a**", "bad repetition operator: **"),
        (r"\8", r"invalid escape sequence: \8"),
        ("x{2000}", "invalid repetition size: {2000}"),
    ],
)
def test_bad_syntax_is_refused_in_re2s_words(regex, text):
    with pytest.raises(ConfigError) as caught:
        compile_regex(RegexMatcher(regex=regex), a_runtime())

    assert caught.value.text == text


@pytest.mark.parametrize(
    ("regex", "yes", "no"),
    [
        ("/svc/[0-9]+/.*", [b"/svc/1/", b"/svc/77/a/b"], [b"/svc/x/", b"x/svc/1/", b"/svc/1"]),
        ("a$", [b"a"], [b"a\n"]),
        ("a|ab", [b"ab", b"a"], [b"abc"]),
        ("", [b""], [b"a"]),
        (".", [b"a", b"\xff"], ["é".encode(), b"\n"]),
        ("é", ["é".encode()], [b"\xe9"]),
        (r"\bfoo\b", [b"foo"], [b"foobar"]),
    ],
)
def test_the_whole_value_must_match_byte_by_byte(regex, yes, no):
    test = full_match(RegexMatcher(regex=regex), a_runtime())

    assert [value for value in yes if not test(value)] == []
    assert [value for value in no if test(value)] == []


@settings(deadline=None)
@given(
    st.text("ab.", max_size=8),
    st.lists(st.sampled_from(["a", "b", ".", "a*", "(a|b)", "[ab]+", "b?", "(ab)*", "\\."]), max_size=5),
)
def test_a_set_of_one_decides_as_python_does_on_what_both_know(value, atoms):
    regex = "".join(atoms)

    assert full_match(RegexMatcher(regex=regex), a_runtime())(value.encode()) is bool(re.fullmatch(regex, value))


@pytest.mark.parametrize(
    ("pattern", "replacement", "value", "expected"),
    [
        ("/([a-z]+)", r"[\1]", "/a/rx/ab1cd", "[a][rx][ab]1cd"),
        ("a", r"\2", "/a/badgrp/a", "/a/badgrp/a"),  # no such group: nothing is replaced
        ("a", r"\x", "/a/badesc/a", "//bdesc/"),  # the text ends at an escape that isn't known
        ("a", r"b\xc", "/a/", "/b/"),
        ("a", "\\\\", "/a/bs", "/\\/bs"),
        ("a", "b\\", "/a/", "/b/"),
        ("zzz", "y", "/a", "/a"),
        ("x*", "-", "/a/empty/x", "-/-a-/-e-m-p-t-y-/-"),
        ("^/a", "/b", "/a/anch/a", "/b/anch/a"),
        ("/a/(g)(0)", r"/\0-\1\2", "/a/g0", "//a/g0-g0"),
        (".*", "", "/a/gone/x", ""),
        ("(a)|b", r"<\1>", "ab", "<a><>"),
        ("[0-9]+", r"<\0>", "/12/34", "/<12>/<34>"),
    ],
)
def test_substitutions(pattern, replacement, value, expected):
    replace = substitution(
        RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=replacement), a_runtime()
    )

    assert replace(value.encode()) == expected.encode()


def test_the_old_engine_choice_still_loads():
    matcher = from_yaml("{google_re2: {}, regex: 'a+'}", RegexMatcher)

    assert full_match(matcher, a_runtime())(b"aa")
