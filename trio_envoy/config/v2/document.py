"""The walk of a whole document, with every rule registered."""

from __future__ import annotations

from typing import Any

# The rules register themselves.
from trio_envoy.config.v2 import bootstrap_rules as _bootstrap_rules  # noqa: F401
from trio_envoy.config.v2 import cluster_rules as _cluster_rules  # noqa: F401
from trio_envoy.config.v2 import holders as _holders  # noqa: F401
from trio_envoy.config.v2 import http_rules as _http_rules  # noqa: F401
from trio_envoy.config.v2 import listener_rules as _listener_rules  # noqa: F401
from trio_envoy.config.v2 import route_rules as _route_rules  # noqa: F401
from trio_envoy.config.v2.run import IsV2, Run
from trio_envoy.config.v2.walk import Era, upgrade_message


def upgrade_document(tree: Any, fqn: str) -> tuple[Any, Run]:
    """Upgrade a document: the v3 tree, and what the upgrade has found.

    Args:
        tree: the document.
        fqn: v3 name of the message that it is.
    """
    try:
        run = Run(is_v2=False)
        return upgrade_message(run, tree, (), fqn, Era.EITHER, None), run
    except IsV2:
        run = Run(is_v2=True)
        return upgrade_message(run, tree, (), fqn, Era.EITHER, None), run
