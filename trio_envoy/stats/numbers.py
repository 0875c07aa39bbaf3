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
    sign, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    assert isinstance(exponent, int), "infinity is no value of a histogram"
    text = "".join(map(str, digits))
    power = len(text) - 1 + exponent
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    scientific = f"{text[0]}{fraction}e{power:+03d}"
    fixed = f"{Decimal(repr(float(number))).normalize().copy_abs():f}"
    shorter = fixed if len(fixed) <= len(scientific) else scientific
    return f"-{shorter}" if sign else shorter
