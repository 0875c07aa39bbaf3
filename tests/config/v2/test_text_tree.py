import pytest

from trio_envoy.config.v2.text_tree import TextTree

TEXT = """\
# top
a: &x   # head
  # first
  - - b: 1  # one
      c: |
         x
         y

    - &q 1
  -
    # in
    z: {a: 1, # ca
        b: 2,
        # cc
        c: [1, 2]  # cd
        # foot
       }
  -
  - x # last
# end
d: *x  # al
e:
f: 'x
  y'
"""


@pytest.fixture(scope="module")
def tree():
    return TextTree(TEXT)


@pytest.mark.parametrize(
    ("path", "item", "value"),
    [
        (("a", 0), "- - b: 1  # one\n      c: |\n         x\n         y\n\n    - &q 1", "- b: 1  # one"),
        (("a", 0, 0, "b"), "b: 1", "1"),
        (("a", 0, 0, "c"), "c: |\n         x\n         y", "|\n         x\n         y"),
        (("a", 0, 1), "- &q 1", "&q 1"),
        (("a", 2), "-", ""),
        (("a", 3), "- x", "x"),
        (("a", 1, "z", "c", 1), "2", "2"),
        (("d",), "d: *x", "*x"),
        (("e",), "e:", ""),
        (("f",), "f: 'x\n  y'", "'x\n  y'"),
    ],
)
def test_where_an_item_and_its_value_stand(tree, path, item, value):
    piece = tree.pieces[path]

    assert TEXT[piece.item : piece.end] == item
    assert TEXT[piece.start : piece.end].startswith(value)


@pytest.mark.parametrize(
    ("path", "lead", "tail", "header"),
    [
        (("a",), [], "", " &x   # head"),
        (("a", 0), ["  # first"], "", ""),
        (("a", 0, 0, "b"), [], "  # one", ""),
        (("a", 0, 1), [""], "", ""),
        (("a", 1, "z"), ["    # in"], "", ""),
        (("a", 1, "z", "a"), [], " # ca", ""),
        (("a", 1, "z", "b"), [], "", ""),
        (("a", 1, "z", "c"), ["# cc"], "  # cd", ""),
        (("a", 3), [], " # last", ""),
        (("d",), ["# end"], "  # al", ""),
    ],
)
def test_comments(tree, path, lead, tail, header):
    piece = tree.pieces[path]

    assert (tree.lead(piece), tree.tail(piece), tree.header(piece)) == (lead, tail, header)


def test_the_comments_in_front_of_a_bracket(tree):
    assert tree.foot(("a", 1, "z")) == ["# foot"]
    assert tree.foot(("a", 0)) == tree.foot(("a", 1, "z", "c")) == []


def test_an_alias_is_what_it_stands_for(tree):
    alias = tree.pieces[("d",)]

    assert alias.is_alias
    assert alias.kind == "sequence"
    assert ("d", 0) not in tree.pieces


def test_of_a_key_that_comes_twice_the_last_one_counts():
    text = "a: 1\na: 2\n"

    piece = TextTree(text).pieces[("a",)]

    assert text[piece.item : piece.end] == "a: 2"


def test_columns_and_lines(tree):
    piece = tree.pieces[("a", 1, "z", "b")]

    assert (tree.line(piece.item), tree.column(piece.item)) == (12, 8)
    assert tree.lines(0, 1) == ["# top", "a: &x   # head"]
