import pytest

from trio_envoy.config.findings import BAD, Findings, path_of, show


def test_a_fault_gives_its_path_and_a_stand_in():
    found = Findings()

    assert found.fault(((None, "a"), 0), "wrong") is BAD
    found.warn(None, "odd")

    assert found.faults == [(("a", 0), "wrong")]
    assert found.warnings == [((), "odd")]
    assert found.rules
    assert not found.allow_unknown


def test_a_linked_path():
    assert path_of(None) == ()
    assert path_of((((None, "a"), 1), "b")) == ("a", 1, "b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        ("x", "'x'"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        ("x" * 200, "'" + "x" * 76 + "..."),
    ],
)
def test_values_in_messages_are_short(value, text):
    assert show(value) == text
