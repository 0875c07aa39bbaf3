import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_envoy.http import path

# What Envoy 1.40 sent on with normalize_path.
NORMAL = {
    b"/": b"/",
    b"/..": b"/",
    b"/../..": b"/",
    b"/x/..": b"/",
    b"/x/../": b"/",
    b"/x/.": b"/x/",
    b"/x/./": b"/x/",
    b"/./x": b"/x",
    b"/x/../../y": b"/y",
    b"/x/..y": b"/x/..y",
    b"/x/...": b"/x/...",
    b"/x/.../y": b"/x/.../y",
    b"/x//..//y": b"/x//y",
    b"/x//../y": b"/x/y",
    b"///..//x": b"///x",
    b"/..//x": b"//x",
    b"/x/%2e": b"/x/",
    b"/x/%2E%2e/y": b"/y",
    b"/x/.%2e/y": b"/y",
    b"/x/%2e%2ey": b"/x/..y",
    b"/x/a%2e%2e/y": b"/x/a../y",
    b"/x/%252e%252e/y": b"/x/%252e%252e/y",
    b"/x/%41%7e%2D": b"/x/A~-",
    b"/x/%2f../y": b"/x/%2f../y",
    b"/x/%5c../y": b"/x/%5c../y",
    b"/x/%c3%a9": b"/x/%c3%a9",
    b"/x/%zz": b"/x/%zz",
    b"/x/%": b"/x/%",
    b"/x\\y\\..\\z": b"/x/z",
    b"/x/..\\y": b"/y",
    b'/x/a"b<c>d^e`f{g|h}': b"/x/a%22b%3Cc%3Ed%5Ee%60f%7Bg%7Ch%7D",
    b"/x/..?y=/../%41": b"/?y=/../%41",
    b"/x?y/../z#": b"/x?y/../z#",
    b"/x/.;/y": b"/x/y",
    b"/x/..;a=b/y": b"/y",
    b"/x/..;": b"/",
    b"/x/..;..;/y": b"/y",
    b"/x/%2e%2e;/y": b"/x/..;/y",
    b"/x/;../y": b"/x/;../y",
    b"/x/...;/y": b"/x/...;/y",
    b"/x/a;b=c/../d": b"/x/d",
}


@pytest.mark.parametrize(("target", "normal"), NORMAL.items())
def test_normalize(target, normal):
    assert path.normalize(target) == normal


@pytest.mark.parametrize("target", [b"/x%00", b"/x#y", b"/#?"])
def test_what_cannot_be_normalised(target):
    assert path.normalize(target) is None


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b"%2e", b"%41", b"..;x", b"\\"])))
def test_a_normal_path_has_no_dot_segments(segments):
    normal = path.normalize(b"/" + b"/".join(segments))

    assert normal.startswith(b"/")
    assert not {b".", b".."} & set(normal.split(b"/"))


@given(st.binary().filter(lambda tail: b"#" not in tail and b"%00" not in tail))
def test_the_query_is_never_touched(query):
    assert path.normalize(b"/a/../b?" + query) == b"/b?" + query


@pytest.mark.parametrize(
    ("target", "merged"),
    [
        (b"/x", b"/x"),
        (b"//x", b"/x"),
        (b"/x///y/", b"/x/y/"),
        (b"/x//", b"/x/"),
        (b"//", b"//"),
        (b"///?a", b"///?a"),
        (b"/x//y?//z", b"/x/y?//z"),
        (b"/x/%2f/y", b"/x/%2f/y"),
    ],
)
def test_merge_slashes(target, merged):
    assert path.merge_slashes(target) == merged


@pytest.mark.parametrize(
    ("target", "unescaped"),
    [
        (b"/x%2fy", b"/x/y"),
        (b"/x%2Fy%5cz%5C", b"/x/y\\z\\"),
        (b"/x%2fy?q=%2f", b"/x/y?q=%2f"),
        (b"/x%252fy", b"/x%252fy"),
    ],
)
def test_unescape_slashes(target, unescaped):
    assert path.unescape_slashes(target) == unescaped
    assert path.has_escaped_slashes(target) == (target != unescaped)


def test_escaped_slashes_in_the_query_do_not_count():
    assert not path.has_escaped_slashes(b"/x?%2f")
