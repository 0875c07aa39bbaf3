from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http.headers import Headers

FIELDS = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]


def test_look_ups():
    headers = Headers(FIELDS)

    assert headers.get(b"a") == b"1"
    assert headers.get(b"c") is None
    assert headers.get_all(b"a") == [b"1", b"3"]
    assert headers.get_all(b"c") == []
    assert headers.joined(b"a") == b"1,3"
    assert headers.joined(b"a", b"; ") == b"1; 3"
    assert headers.joined(b"c") is None
    assert b"a" in headers
    assert b"c" not in headers
    assert list(headers) == FIELDS
    assert len(headers) == 3
    assert headers.byte_size() == 6
    assert repr(headers) == f"Headers({FIELDS!r})"


def test_set_takes_the_place_of_the_first():
    headers = Headers(FIELDS)

    headers.set(b"a", b"9")
    headers.set(b"c", b"0")

    assert headers.items == [(b"a", b"9"), (b"b", b"2"), (b"c", b"0")]
    assert headers.get(b"a") == b"9"


def test_add_and_remove():
    headers = Headers(FIELDS)

    headers.add(b"b", b"4")

    assert headers.get(b"b") == b"2"
    assert headers.remove(b"b")
    assert not headers.remove(b"b")
    assert headers.items == [(b"a", b"1"), (b"a", b"3")]


def test_remove_prefix():
    headers = Headers([(b"x-a", b"1"), (b"y", b"2"), (b"x-b", b"3")])

    headers.remove_prefix(b"x-")

    assert headers.items == [(b"y", b"2")]
    assert headers.get(b"x-a") is None


def test_a_copy_is_independent():
    headers = Headers(FIELDS)
    copy = headers.copy()

    copy.set(b"a", b"9")

    assert headers.items == FIELDS
    assert headers.get(b"a") == b"1"


names = st.sampled_from([b"a", b"b", b"c"])
steps = st.one_of(
    st.tuples(st.just("add"), names, st.binary(max_size=2)),
    st.tuples(st.just("set"), names, st.binary(max_size=2)),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("remove_prefix"), names),
)


class Plain:
    """What Headers are to behave like: one list."""

    def __init__(self):
        self.items = []

    def add(self, name, value):
        self.items.append((name, value))

    def set(self, name, value):
        names = [n for n, _ in self.items]
        position = names.index(name) if name in names else len(names)
        rest = [n != name for n in names[position:]]
        self.items[position:] = [
            (name, value),
            *[field for field, other in zip(self.items[position:], rest, strict=True) if other],
        ]

    def remove(self, name):
        self.items = [field for field in self.items if field[0] != name]

    remove_prefix = remove  # all names are of one letter


@given(st.lists(steps))
def test_the_fields_are_those_of_a_plain_list(actions):
    headers, plain = Headers(), Plain()
    for action, *arguments in actions:
        for each in (headers, plain):
            getattr(each, action)(*arguments)
        assert headers.items == list(headers) == plain.items
        assert len(headers) == len(plain.items)
        for name in (b"a", b"b", b"c"):
            assert headers.get_all(name) == [value for known, value in plain.items if known == name]
            assert headers.joined(name) == (b",".join(headers.get_all(name)) if name in headers else None)


@given(st.lists(steps))
def test_the_first_value_is_always_that_of_the_first_item(actions):
    headers = Headers()
    for action, *arguments in actions:
        getattr(headers, action)(*arguments)

    first = {}
    for name, value in headers.items:
        first.setdefault(name, value)
    assert list(headers.first.items()) == list(first.items())
    assert headers.every == (headers.items if len(headers) > len(first) else None)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from([b"", b"1", b"2"]))))
def test_what_is_appended_comes_behind_all_that_was_said(fields):
    headers = Headers(fields)
    before = headers.joined(b"a", b", ")

    headers.append(b"a", b"9", b", ")

    assert headers.get_all(b"a") == [before + b", 9" if before else b"9"]
