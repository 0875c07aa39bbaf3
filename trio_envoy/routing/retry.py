"""Retry policies: when a request is worth another try, and how long to wait before it."""

from __future__ import annotations

import attrs


@attrs.frozen(eq=False)
class RetryPolicy:
    """A compiled retry policy."""
