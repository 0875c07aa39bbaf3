"""Templates taken apart."""

import pytest

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command, parse


@pytest.mark.parametrize(
    ("template", "pieces"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("%%", ["%"]),
        ("a%%b%%", ["a%b%"]),
        ("%PROTOCOL%", [Command("PROTOCOL")]),
        ("%PROTOCOL()%", [Command("PROTOCOL")]),
        ("a%REQ(X?Y):7%b", ["a", Command("REQ", "X?Y", 7), "b"]),
        ("%REQ(X):1%%REQ(X):2%", [Command("REQ", "X", 1), Command("REQ", "X", 2)]),
        ("%START_TIME(%s.%3f)%", [Command("START_TIME", "%s.%3f")]),
        ("%REQ(x)a)%", [Command("REQ", "x)a")]),
        ("%REQ(a%b)%", [Command("REQ", "a%b")]),
        ("\n%_A1%\n", ["\n", Command("_A1"), "\n"]),
    ],
)
def test_pieces(template, pieces):
    assert parse(template) == pieces


@pytest.mark.parametrize(
    ("template", "position"),
    [
        ("100%", 3),
        ("é 100%", 6),
        ("%PROTOCOL", 0),
        ("%req(X)%", 0),
        ("% PROTOCOL%", 0),
        ("%PROTOCOL %", 0),
        ("%RESPONSE_CODE%%", 15),
        ("%REQ(X):a%", 0),
        ("%REQ(X):-1%", 0),
        ("%REQ(X):5:6%", 0),
        ("%REQ(X%", 0),
        ("%REQ(x\ny)%", 0),
        ("%REQ(X):99999999999999999999%", 0),
        ("%RÉQ%", 0),
    ],
)
def test_what_is_no_command_is_refused_in_envoys_words(template, position):
    with pytest.raises(ConfigError) as caught:
        parse(template)

    expected = f"Incorrect configuration: {template}. Couldn't find valid command at position {position}"
    assert caught.value.text == expected
