"""What a route table is compiled with."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

from trio_envoy.runtime import Runtime


@attrs.frozen(eq=False)
class RouteContext:
    """The surroundings of one route table.

    Attributes:
        runtime: for runtime_fraction and weights.
        random: 64 bits are drawn for a request when a route first needs them.
        cluster_exists: is there a cluster of this name?
        static: the table stands in the bootstrap, so its clusters are checked unless validate_clusters is false;
            a table that was fetched is only checked when validate_clusters is true.
    """

    runtime: Runtime
    random: Random
    cluster_exists: Callable[[str], bool]
    static: bool = True
