"""typed_per_filter_config: what route table, virtual host, route and weighted cluster say about one filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs


@attrs.frozen
class Override:
    """What a route says about one filter.

    Attributes:
        disabled: FilterConfig.disabled; None: not said, True/False: off or on whatever the HCM says.
        configs: per-route messages, least specific (route table) to most specific (weighted cluster).
    """

    disabled: bool | None = None
    configs: tuple[object, ...] = ()


@attrs.frozen(eq=False)
class Overrides:
    """By filter name; gathered once at load and compared by identity, so equal ones should be shared."""

    by_name: Mapping[str, Override]


NO_OVERRIDES: Final = Overrides({})
NOTHING_SAID: Final = Override()
