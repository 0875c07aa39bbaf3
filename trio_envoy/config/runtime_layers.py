"""envoy.config.bootstrap.v3.LayeredRuntime: where runtime values come from, the last layer wins.

Source: envoy/config/bootstrap/v3/bootstrap.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs


@attrs.frozen(kw_only=True)
class DiskLayer:
    """A directory tree: a file per key.

    Attributes:
        symlink_root: a symbolic link that is swapped to change all values at once.
        append_service_cluster: look in the subdirectory named like the node's cluster.
        subdirectory: below the root.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.RuntimeLayer.DiskLayer"

    symlink_root: str = ""
    append_service_cluster: bool = False
    subdirectory: str = ""


@attrs.frozen(kw_only=True)
class AdminLayer:
    """What `/runtime_modify` sets."""

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.RuntimeLayer.AdminLayer"


@attrs.frozen(kw_only=True)
class RuntimeLayer:
    """One layer (oneof layer_specifier, required).

    Attributes:
        name: unique, not empty.
        static_layer: a tree of values.
        disk_layer: a directory.
        admin_layer: the admin interface; at most one.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.RuntimeLayer"

    name: str = ""
    static_layer: Mapping[str, Any] | None = None
    disk_layer: DiskLayer | None = None
    admin_layer: AdminLayer | None = None


@attrs.frozen(kw_only=True)
class LayeredRuntime:
    """All layers, the lowest first.

    Attributes:
        layers: later ones win.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.LayeredRuntime"

    layers: tuple[RuntimeLayer, ...] = ()
