"""envoy.type.v3: percentages, ranges and codec names that many messages share.

Source: envoy/type/v3/{percent,range,http}.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs


@attrs.frozen(kw_only=True)
class Percent:
    """A percentage.

    Attributes:
        value: percent, 0 to 100.
    """

    __proto__: ClassVar[str] = "envoy.type.v3.Percent"

    value: float = 0.0


class DenominatorType(enum.StrEnum):
    """What a numerator is counted against.

    Proto: envoy.type.v3.FractionalPercent.DenominatorType
    """

    HUNDRED = "HUNDRED"
    TEN_THOUSAND = "TEN_THOUSAND"
    MILLION = "MILLION"


@attrs.frozen(kw_only=True)
class FractionalPercent:
    """A fraction, exact to one in a million.

    Attributes:
        numerator: share of the denominator; more than the denominator means always.
        denominator: HUNDRED, TEN_THOUSAND or MILLION.
    """

    __proto__: ClassVar[str] = "envoy.type.v3.FractionalPercent"

    numerator: int = 0
    denominator: DenominatorType = DenominatorType.HUNDRED


@attrs.frozen(kw_only=True)
class Int64Range:
    """A half-open range of integers.

    Attributes:
        start: first value inside.
        end: first value outside.
    """

    __proto__: ClassVar[str] = "envoy.type.v3.Int64Range"

    start: int = 0
    end: int = 0


class CodecClientType(enum.StrEnum):
    """The protocol that a client of our own speaks.

    Proto: envoy.type.v3.CodecClientType
    """

    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"
    HTTP3 = "HTTP3"
