"""Back-off: how long to wait before trying again.

Source: Envoy's backoff_strategy (JitteredExponentialBackOffStrategy, JitteredLowerBoundBackOffStrategy).
"""

from __future__ import annotations

from random import Random


class JitteredBackoff:
    """Fully jittered, exponential: the n-th wait is anywhere in [0, base * 2^(n-1)), and never above the maximum.

    The doubling is measured (Envoy 1.40); its documentation says base * (2^n - 1).

    Args:
        base: seconds, > 0.
        maximum: seconds, >= base.
        random: where the jitter comes from.
    """

    __slots__ = ("_base", "_interval", "_maximum", "_random")

    def __init__(self, base: float, maximum: float, random: Random) -> None:
        assert 0 < base <= maximum, (base, maximum)
        self._base = self._interval = base
        self._maximum = maximum
        self._random = random

    def next(self) -> float:
        """Seconds to wait now."""
        interval = self._interval
        self._interval = min(interval * 2, self._maximum)
        return self._random.random() * interval

    def reset(self) -> None:
        """It went well: begin at the base again."""
        self._interval = self._base


def at_least(minimum: float, random: Random) -> float:
    """Seconds to wait when a peer said `minimum` (Retry-After and the like): up to half as much again."""
    return minimum * (1 + random.random() / 2)
