import pytest

from trio_envoy.config.matcher import GoogleRE2, RegexMatchAndSubstitute, RegexMatcher, StringMatcher


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("exact: ''", StringMatcher(exact="")),
        ("{prefix: a, ignore_case: true}", StringMatcher(prefix="a", ignore_case=True)),
        ("suffix: a", StringMatcher(suffix="a")),
        ("contains: a", StringMatcher(contains="a")),
        ("safe_regex: {regex: a.*}", StringMatcher(safe_regex=RegexMatcher(regex="a.*"))),
    ],
)
def test_a_string_matcher(structure, text, made):
    assert structure(text, StringMatcher) == made


def test_the_old_form_of_a_regex(structure, warnings):
    text = "{google_re2: {max_program_size: 100}, regex: a}"

    assert structure(text, RegexMatcher) == RegexMatcher(google_re2=GoogleRE2(max_program_size=100), regex="a")
    assert len(warnings(text, RegexMatcher.__proto__)) == 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "$: one of exact, prefix, suffix, safe_regex, contains, custom is required (match_pattern)"),
        ("prefix: ''", "$.prefix: value length must be at least 1 characters"),
        ("safe_regex: {}", "$.safe_regex.regex: value length must be at least 1 characters"),
        ("{exact: a, prefix: b}", "$.prefix: 'exact' is set already, and only one of them may be"),
    ],
)
def test_what_is_no_string_matcher(faults, text, fault):
    assert faults(text, StringMatcher.__proto__) == [fault]


def test_a_substitution_holds_no_line_break(structure, faults):
    made = structure("{pattern: {regex: a}, substitution: b}", RegexMatchAndSubstitute)

    assert made == RegexMatchAndSubstitute(pattern=RegexMatcher(regex="a"), substitution="b")
    assert len(faults('{pattern: {regex: a}, substitution: "b\\nc"}', RegexMatchAndSubstitute.__proto__)) == 1
