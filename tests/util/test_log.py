import logging

import pytest

from trio_envoy.util.log import COMPONENTS, LEVEL_NAMES, LEVELS, level_of, logger


def test_components_are_loggers_below_envoy():
    assert logger("http").name == "envoy.http"
    with pytest.raises(AssertionError):
        logger("nobody")


def test_components_are_named_once():
    assert len(set(COMPONENTS)) == len(COMPONENTS)


def test_levels_rise():
    numbers = list(LEVELS.values())

    assert numbers == sorted(numbers)
    assert LEVEL_NAMES[logging.WARNING] == "warning"


def test_a_level_is_told_in_envoys_word():
    target = logger("mcp")
    before = target.level
    try:
        for word, number in LEVELS.items():
            target.setLevel(number)
            assert level_of("mcp") == word
        target.setLevel(7)
        assert level_of("mcp") == "info"  # one that Envoy has no word for
    finally:
        target.setLevel(before)
