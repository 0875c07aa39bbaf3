from math import nan

import pytest

from trio_envoy.stats import numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (18.25, "18.25"), (1050.0, "1050"), (300000.0, "300000"), (2 / 3, "0.6666666666666666"), (nan, "nan")],
)
def test_plain(number, text):
    assert numbers.plain(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (18.25, "18.25"),
        (10000.0, "10000"),
        (100000, "1e+05"),
        (300000, "3e+05"),
        (145000.0, "145000"),
        (1800000, "1800000"),
        (766666.6666666666, "766666.6666666666"),
        (110.00000000000001, "110.00000000000001"),
        (0.00001, "1e-05"),
        (-2.5, "-2.5"),
        (nan, "null"),
    ],
)
def test_json(number, text):
    assert numbers.json(number) == text


def test_six_digits():
    assert [numbers.six_digits(number) for number in (0.5, 110.00000000000001, 1800000.0)] == ["0.5", "110", "1.8e+06"]


def test_exact():
    assert numbers.exact(10266471.301059544) == "10266471.301059544086456298828125"
    assert numbers.exact(3600000) == "3600000"
