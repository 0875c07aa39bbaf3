"""Typing of scalars, limits and errors as measured on Envoy 1.40.0 (config_dump of node.metadata, --mode validate)."""

import pytest

from trio_envoy.config.document import parse, plain_scalar
from trio_envoy.errors import ConfigErrors


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")),
        *((word, False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")),
        *((word, None) for word in ("~", "null", "Null", "NULL")),
        *((word, word) for word in ("yEs", "tRUE", "nULL", "nil", "none")),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("-5", -5),
        ("010", 8),
        ("-010", -8),
        ("007", 7),
        ("0x1F", 31),
        ("2147483647", 2147483647),
        ("-2147483648", -2147483648),
        *((number, number) for number in ("2147483648", "-2147483649", "9223372036854775808", "18446744073709551615")),
        *((text, text) for text in ("08", "0o17", "0b11", "1_000", "0x", "1e3", "1.0", "1.10", ".5", "1.", "1:30")),
        *((text, text) for text in (".inf", ".nan", "inf", "2020-01-01", "2020-01-01T00:00:00Z")),
    ],
)
def test_a_plain_scalar_means_what_it_means_to_envoy(text, value):
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)
    assert parse(f"a: {text}", "x").root == {"a": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'12'", "12"),
        ('"yes"', "yes"),
        ("|\n  12\n", "12\n"),
        (">-\n  yes\n", "yes"),
        ("! 12", "12"),
        ("!!str 12", 12),
        ("!!int '12'", 12),
        ("!foo 12", 12),
        ("!!null abc", "abc"),
        ("!!str", ""),
        ("", None),
        ('"\\u00e9\\x41\\n"', "éA\n"),
        ("'\\u00e9'", "\\u00e9"),
        ("&x {b: 1}", {"b": 1}),
        ("!!set {b}", {"b": None}),
        ("[1, [2, x], {}]", [1, [2, "x"], {}]),
    ],
)
def test_quotes_and_tags(text, value):
    assert parse(f"a: {text}", "x").root == {"a": value}


def test_what_an_empty_scalar_means_depends_on_its_tag_alone():
    assert parse("{a: !!str '', b: , c: !!str }", "x").root == {"a": "", "b": None, "c": ""}


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("1: a\nyes: b\n1.10: c\n~: d\n", {"1": "a", "yes": "b", "1.10": "c", "null": "d"}),
        ("? a\n: b", {"a": "b"}),
        ("'~': a", {"~": "a"}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("x: &k a\n*k : 1", {"x": "a", "a": 1}),
        ("x: &k 1\n*k : 2", {"x": 1, "1": 2}),
        ("{a: &x 1, b: &x 2, c: *x}", {"a": 1, "b": 2, "c": 2}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("a:\t{}\r\nb: c\r\n", {"a": {}, "b": "c"}),
        ("\ufeffa: 1", {"a": 1}),
        ("%YAML 1.2\n---\na: 1", {"a": 1}),
        ("[1]", [1]),
    ],
)
def test_keys_anchors_and_documents(text, root):
    assert parse(text, "x").root == root


def test_aliases_share_their_value():
    root = parse("a: &x {b: 1}\nc: *x\n", "x").root

    assert root["a"] is root["c"]


@pytest.mark.parametrize(
    ("text", "repeats"), [("a: 1\nb: 2", False), ("a: 1\na: 2", True), ("x: {a: 1, b: {c: 1, c: 2}}", True)]
)
def test_a_repeated_key_is_noted_and_the_last_one_counts(text, repeats):
    document = parse(text, "x")

    assert document.repeats is repeats
    assert document.root.get("a", 2) in (1, 2)
    assert parse("a: 1\na: 2", "x").root == {"a": 2}


@pytest.mark.parametrize("rest", ["\n---\nb: [", "\n---\nb: 1", " foo", "\n...\nfoo"])
def test_only_the_first_document_is_read(rest):
    document = parse("{a: 1}" + rest, "x")

    assert document.root == {"a": 1}
    assert document.rest
    assert not parse("{a: 1}\n...\n", "x").rest


@pytest.mark.parametrize(
    ("text", "error"),
    [
        *((text, "f:1:1: $: the file has no configuration") for text in ("", "# x", "---\n", "~", "foo", "5")),
        ("---\n---\na: 1", "f:1:1: $: the file has no configuration"),
        ("a:\n\tb: c", "f:2:1: $: not valid YAML"),
        ("a: {b: c\nd", "not valid YAML"),
        ("a: @b", "f:1:4: $: not valid YAML"),
        ('a: "\\q"', "f:1:5: $: not valid YAML: while parsing a quoted scalar found unknown escape character"),
        ("a: b: c", "f:1:5: $: not valid YAML: mapping values are not allowed in this context"),
        ("a: *x", "f:1:4: $: alias 'x' has no anchor before it"),
        ("a: &x {b: *x}", "f:1:11: $: alias 'x' has no anchor before it, or stands inside its own"),
        ("{[a]: b}", "f:1:2: $: a key must be a scalar"),
        ("x: &x [1]\n*x : 1", "f:2:1: $: a key must be a scalar"),
        ("a: 1\nb: \x07", "f:2:4: $: not valid YAML: control characters are not allowed"),
        ("{a: " * 101 + "1" + "}" * 101, "nested more than 100 levels deep"),
    ],
)
def test_what_is_not_yaml_says_where(text, error):
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "f")

    assert error in str(caught.value)


def test_a_hundred_levels_are_fine():
    assert parse("{a: " * 100 + "1" + "}" * 100, "f").root


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ('{"a": [1, 2.5, 1e3, true, null, "x"]}', {"a": [1, 2.5, 1000.0, True, None, "x"]}),
        ('{"a": "a\tb"}', {"a": "a\tb"}),
        ('{"a": "\\u00e9"}', {"a": "é"}),
        ("{'a': 'b', }", {"a": "b"}),
        ('{node: {id: "x"}}', {"node": {"id": "x"}}),
    ],
)
def test_json_and_its_leniencies(text, root):
    document = parse(text, "x", is_json=True)

    assert document.root == root
    assert document.is_json


def test_a_repeated_key_in_json():
    assert parse('{"a": 1, "a": 2}', "x", is_json=True).repeats
    assert parse("{a: 1, a: 2}", "x", is_json=True).repeats
    assert not parse('{"a": {"a": 2}}', "x", is_json=True).repeats


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "f:1:1: $: not valid JSON: unexpected EOF (a file whose name doesn't end in .yaml or .yml"),
        ("a: 1", "f:1:1: $: not valid JSON: unexpected character: 'a'"),
        ("[1]", "not valid JSON: an object is expected at the top"),
        ('\ufeff{"a": 1}', "not valid JSON: unexpected character"),
        ('{"a": NaN}', "f:1:7: $: not valid JSON: unexpected character: 'N'"),
        ('{"a": 1}\n x', "f:2:2: $: not valid JSON: extraneous characters"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": ' + "[" * 100_000, "nested more than 100 levels deep"),
    ],
)
def test_what_is_not_json_says_where(text, error):
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "f", is_json=True)

    assert error in str(caught.value)
