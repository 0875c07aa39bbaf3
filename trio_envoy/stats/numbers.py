"""Floating-point numbers as Envoy's C++ prints them."""

from __future__ import annotations

from decimal import Decimal
from math import isnan


def plain(number: float) -> str:
    """The shortest form, without an exponent below 1e16 (fmt `{}`): 18.25, 1050, 296666.6666666667, nan."""
    return repr(float(number)).removesuffix(".0")


def six_digits(number: float) -> str:
    """Six digits at most (printf `%g`): 0.5, 1050, 1.8e+06."""
    return f"{number:g}"


def exact(number: float) -> str:
    """Up to 32 digits (printf `%.32g`): 10266471.301059544086456298828125."""
    return f"{number:.32g}"


def json(number: float) -> str:
    """The shortest form at all (std::to_chars): 18.25, 1800000, 3e+05; null for nan."""
    if isnan(number):
        return "null"
    text = plain(number)
    if number >= 0.1 and "e" not in text and not text.endswith("00000"):
        return text  # nearly always: an exponent would not be shorter
    decimal = Decimal(text).normalize()
    _, digits, exponent = decimal.as_tuple()
    assert isinstance(exponent, int), "infinity is no value of a histogram"
    first, *rest = map(str, digits)
    sign = "-" if decimal < 0 else ""
    scientific = f"{sign}{first}{'.' if rest else ''}{''.join(rest)}e{len(rest) + exponent:+03d}"
    fixed = f"{decimal:f}"
    return fixed if len(fixed) <= len(scientific) else scientific
