from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http.hpack.table import SearchTable, Table

fields = st.tuples(st.sampled_from([b"a", b"b", b"cc"]), st.sampled_from([b"", b"1", b"x" * 40]))


def test_the_newest_is_first_and_the_oldest_goes():
    table = Table(80)
    table.add((b"a", b"1"))
    table.add((b"b", b"2"))
    assert list(table.fields) == [(b"b", b"2"), (b"a", b"1")]
    assert table.size == 68
    table.add((b"c", b"3"))
    assert list(table.fields) == [(b"c", b"3"), (b"b", b"2")]


def test_a_field_larger_than_the_table_empties_it():
    table = Table(80)
    table.add((b"a", b"1"))
    table.add((b"b", b"2" * 100))
    assert not table.fields
    assert table.size == 0


def test_a_smaller_table_forgets():
    table = Table(80)
    table.add((b"a", b"1"))
    table.add((b"b", b"2"))
    table.resize(40)
    assert list(table.fields) == [(b"b", b"2")]
    table.resize(80)
    assert table.size == 34


@given(st.lists(st.one_of(fields, st.integers(0, 300))), st.integers(0, 300))
def test_what_is_found_is_there_and_what_is_there_is_found(actions, limit):
    table = SearchTable(limit)
    for action in actions:
        if isinstance(action, int):
            table.resize(action)
        else:
            table.add(action)
        kept = list(table.fields)
        assert table.size == sum(len(name) + len(value) + 32 for name, value in kept) <= table.limit
        for name in (b"a", b"b", b"cc"):
            at = table.name_index(name)
            assert at == next((at for at, field in enumerate(kept, 62) if field[0] == name), 0)
            for value in (b"", b"1", b"x" * 40):
                at = table.index((name, value))
                assert at == next((at for at, field in enumerate(kept, 62) if field == (name, value)), 0)
