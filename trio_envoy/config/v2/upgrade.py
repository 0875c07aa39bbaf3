"""The entrance of the v2 upgrade: a tree in, the v3 tree, what changed and where everything stood out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_envoy.config.v2.run import Change, Run
from trio_envoy.config.v2.scan import may_be_v2
from trio_envoy.errors import Fault, Path

BOOTSTRAP: Final = "envoy.config.bootstrap.v3.Bootstrap"
DISCOVERY_RESPONSE: Final = "envoy.service.discovery.v3.DiscoveryResponse"


@attrs.frozen
class UpgradeResult:
    """A tree in v3 form.

    Attributes:
        tree: the tree; the very same object if nothing in it was v2. Parts in which nothing changed are the old ones.
        changes: what was changed, in the order of the walk, with paths in the original document.
        faults: what can't be upgraded; such parts are left out of the tree.
    """

    tree: Any
    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()
    _moved: Mapping[tuple[int, str | int], Path] = attrs.field(factory=dict, alias="moved", repr=False)
    _run: Run | None = attrs.field(default=None, alias="run", repr=False)

    def origin(self, path: Path) -> Path:
        """Where in the original document the thing stood that is at `path` in the new tree.

        For something that was written anew: where that stood which called for it. A path that ends in no part of the
        tree is followed as far as it goes, and the rest is added.
        """
        old: Path = ()
        node = self.tree
        for step in path:
            old = self.item_origin(node, step, old)
            node = _child(node, step)
        return old

    def is_literal(self, container: Any) -> bool:
        """Whether a container of the new tree is none of the old tree upgraded, but one that a rule wrote."""
        return self._run is not None and id(container) in self._run.literals

    def item_origin(self, container: Any, step: str | int, where: Path) -> Path:
        """The same for one item of a container of the new tree that itself stood at `where`."""
        return self._moved.get((id(container), step), (*where, step))


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def upgrade(tree: Any, fqn: str = BOOTSTRAP) -> UpgradeResult:
    """Upgrade a document to v3 where it is v2, node by node.

    Args:
        tree: the document as plain dicts, lists and scalars; it isn't changed.
        fqn: v3 name of the message that it is: the bootstrap, or a discovery response with resources of any version.
    """
    if not may_be_v2(tree):
        return UpgradeResult(tree)
    from trio_envoy.config.v2.document import upgrade_document  # most documents don't need it

    new, run = upgrade_document(tree, fqn)
    return UpgradeResult(new, tuple(run.changes), tuple(run.faults), run.moved, run)
