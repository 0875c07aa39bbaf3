"""Layered runtime: values that change while we run, read as one frozen snapshot.

Layers from the bootstrap (static tree, directory on disk, admin overrides); the last one that has a key wins.
A directory is re-read when the symbolic link at its root is swapped. Sources: Envoy, configuration/operations/runtime;
envoy.config.bootstrap.v3.LayeredRuntime; measured on 1.40.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from trio_envoy.config.core import RuntimeFractionalPercent
from trio_envoy.config.runtime_layers import DiskLayer, LayeredRuntime
from trio_envoy.config.types import DenominatorType, FractionalPercent
from trio_envoy.errors import ConfigError
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock
from trio_envoy.util.log import logger

_LOG: Final = logger("runtime")
_DENOMINATORS: Final = {
    DenominatorType.HUNDRED: 100,
    DenominatorType.TEN_THOUSAND: 10_000,
    DenominatorType.MILLION: 1_000_000,
}
_WATCH_INTERVAL: Final = 0.5  # s; Envoy is told by inotify, we look at the link
_MAX_FILE_BYTES: Final = 64 * 1024  # a runtime value is a word; a directory of other things is a mistake


class RuntimeStats(StatsBlock):
    """`runtime.`: how loading went."""

    admin_overrides_active: Gauge
    deprecated_feature_seen_since_process_start: Gauge
    deprecated_feature_use: Counter
    load_error: Counter
    load_success: Counter
    num_keys: Gauge
    num_layers: Gauge
    override_dir_exists: Counter
    override_dir_not_exists: Counter


@attrs.frozen
class Entry:
    """One value.

    Attributes:
        text: as /runtime shows it.
        number: its numeric reading, None when it has none (true is 1, false is 0).
        fraction: (numerator, denominator) when it is a FractionalPercent.
    """

    text: str
    number: float | None = None
    fraction: tuple[int, int] | None = None


@attrs.frozen(eq=False)
class Snapshot:
    """All values at one moment.

    Attributes:
        layers: (name, entries) in order; the last one that has a key wins.
        entries: the winners.
    """

    layers: tuple[tuple[str, Mapping[str, Entry]], ...] = ()
    entries: Mapping[str, Entry] = attrs.Factory(dict)

    def get(self, key: str) -> str | None:
        """The text of a value, or None."""
        entry = self.entries.get(key)
        return None if entry is None else entry.text

    def get_int(self, key: str, default: int) -> int:
        """A whole number >= 0; the default when the key is missing or no such number."""
        entry = self.entries.get(key)
        if entry is None or entry.number is None or entry.number < 0 or entry.number != int(entry.number):
            return default
        return int(entry.number)

    def get_double(self, key: str, default: float) -> float:
        """A number; the default when the key is missing or no number."""
        entry = self.entries.get(key)
        return default if entry is None or entry.number is None else entry.number

    def get_bool(self, key: str, *, default: bool) -> bool:
        """A boolean: true/false, or a number other than 0."""
        entry = self.entries.get(key)
        return default if entry is None or entry.number is None else entry.number != 0

    def enabled(self, key: str, numerator: int, denominator: int, random: int) -> bool:
        """Whether a share of the denominator is hit by this random number.

        A plain number under the key is a percentage; a FractionalPercent brings its own denominator.
        """
        entry = self.entries.get(key)
        if entry is not None:
            if entry.fraction is not None:
                numerator, denominator = entry.fraction
            elif entry.number is not None and entry.number >= 0:
                numerator, denominator = int(entry.number), 100
        return random % denominator < numerator


class Runtime:
    """The layers and the snapshot that they give.

    Attributes:
        snapshot: replaced whole on a change; read it once per decision.
        stats: `runtime.*`.
        on_change: called with a new snapshot; a main process tells its workers.
    """

    def __init__(self, config: LayeredRuntime | None, stats: RuntimeStats, service_cluster: str = "") -> None:
        """Read all layers.

        Raises:
            ConfigError: a layer that can't be: two admin layers, two of one name, a list as a value.
        """
        self.stats = stats
        self.snapshot = Snapshot()
        self.on_change: Callable[[Snapshot], None] | None = None
        self._layers: list[_Layer] = []
        self._admin: _AdminLayer | None = None
        names: set[str] = set()
        for layer in config.layers if config is not None else ():
            if layer.name in names:
                raise ConfigError(f"duplicate runtime layer name {layer.name!r}", at=layer, field="name")
            names.add(layer.name)
            if layer.static_layer is not None:
                try:
                    self._layers.append(_StaticLayer(layer.name, dict(_flatten("", layer.static_layer))))
                except ValueError as error:
                    raise ConfigError(str(error), at=layer, field="static_layer") from None
            elif layer.disk_layer is not None:
                _check_root(layer.disk_layer)
                self._layers.append(_DiskLayer(layer.name, layer.disk_layer, service_cluster))
            elif layer.admin_layer is not None:
                if self._admin is not None:
                    raise ConfigError("too many admin layers, at most one is possible", at=layer)
                self._admin = _AdminLayer(layer.name)
                self._layers.append(self._admin)
        self._load()

    def fraction(self, config: RuntimeFractionalPercent) -> Callable[[int], bool]:
        """A test of a random number against this fraction, with the runtime key looked up at each call."""
        default = FractionalPercent() if config.default_value is None else config.default_value
        numerator, denominator = default.numerator, _DENOMINATORS[default.denominator]
        key = config.runtime_key
        if not key:
            return lambda random: random % denominator < numerator
        return lambda random: self.snapshot.enabled(key, numerator, denominator, random)

    def modify(self, changes: Mapping[str, str]) -> bool:
        """Set overrides of the admin layer ("" removes one); False when there is no such layer."""
        if self._admin is None:
            return False
        for key, value in changes.items():
            if value:
                self._admin.entries[key] = _from_text(value)
            else:
                self._admin.entries.pop(key, None)
        self.stats.admin_overrides_active = 1 if self._admin.entries else 0
        self._load()
        return True

    async def run(self) -> None:
        """Look after the directories until cancelled; returns at once when there are none."""
        watched = [layer for layer in self._layers if isinstance(layer, _DiskLayer)]
        if not watched:
            return
        while True:
            await trio.sleep(_WATCH_INTERVAL)
            swapped = [layer for layer in watched if layer.swapped()]  # ask all of them
            if swapped:
                self._load()

    def _load(self) -> None:
        layers: list[tuple[str, Mapping[str, Entry]]] = []
        merged: dict[str, Entry] = {}
        disk = False
        for layer in self._layers:
            try:
                entries = layer.load()
            except (OSError, ValueError) as error:
                _LOG.warning("error loading runtime values for layer %s: %s", layer.name, error)
                self.stats.load_error += 1
                return
            disk = disk or (isinstance(layer, _DiskLayer) and layer.override)
            layers.append((layer.name, entries))
            merged.update(entries)
        self.snapshot = Snapshot(tuple(layers), merged)
        self.stats.load_success += 1
        self.stats.num_keys = len(merged)
        self.stats.num_layers = len(layers)
        if disk:
            self.stats.override_dir_exists += 1
        else:
            self.stats.override_dir_not_exists += 1
        if self.on_change is not None:
            self.on_change(self.snapshot)


class _StaticLayer:
    """Values from the bootstrap."""

    def __init__(self, name: str, entries: dict[str, Entry]) -> None:
        self.name = name
        self.entries = entries

    def load(self) -> Mapping[str, Entry]:
        """Always the same."""
        return self.entries


class _AdminLayer(_StaticLayer):
    """Values from /runtime_modify."""

    def __init__(self, name: str) -> None:
        super().__init__(name, {})

    def load(self) -> Mapping[str, Entry]:
        """A copy: snapshots don't change."""
        return dict(self.entries)


def _check_root(config: DiskLayer) -> None:
    """The link itself may be missing; where it is to be may not, and has to be said."""
    root = config.symlink_root
    above, slash, _ = root.rpartition("/")
    if not slash:
        raise ConfigError(f"invalid file path {root}".rstrip(), at=config, field="symlink_root")
    if not Path(above or "/").is_dir():
        text = f"unable to add filesystem watch for file {root}: No such file or directory"
        raise ConfigError(text, at=config, field="symlink_root")


class _DiskLayer:
    """A directory tree under a symbolic link; a directory is a step of the key, a file holds the value."""

    def __init__(self, name: str, config: DiskLayer, service_cluster: str) -> None:
        self.name = name
        self.override = False
        self._link = Path(config.symlink_root)
        below = self._link / config.subdirectory
        if config.append_service_cluster:
            below /= service_cluster
            self.override = below.is_dir()
        self._root = below
        self._seen = self._identity()

    def _identity(self) -> tuple[str, int]:
        try:
            target = os.readlink(self._link) if self._link.is_symlink() else ""
            return target, self._link.stat().st_ino
        except OSError:
            return "", 0

    def swapped(self) -> bool:
        """Whether the link leads elsewhere than at the last look."""
        now = self._identity()
        if now == self._seen:
            return False
        self._seen = now
        return True

    def load(self) -> Mapping[str, Entry]:
        """Read all files; a directory that isn't there is an empty layer, as in Envoy."""
        if not self._root.is_dir():
            return {}
        return dict(self._walk(self._root, ""))

    def _walk(self, directory: Path, prefix: str) -> Iterator[tuple[str, Entry]]:
        for item in sorted(directory.iterdir()):
            if item.is_dir():
                yield from self._walk(item, f"{prefix}{item.name}.")
            elif item.is_file():
                if item.stat().st_size > _MAX_FILE_BYTES:
                    raise ValueError(f"{item}: larger than {_MAX_FILE_BYTES} bytes")
                lines = item.read_text().splitlines()
                text = "\n".join(line for line in lines if not line.startswith("#")).rstrip()
                yield prefix + item.name, _from_text(text)


_Layer = _StaticLayer | _DiskLayer


def _flatten(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    """(dotted key, entry) of a tree; a {numerator, denominator} is one entry."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            fraction = _as_fraction(value)
            if fraction is None:
                yield from _flatten(f"{key}.", value)
            else:
                yield key, fraction
        elif isinstance(value, bool):
            yield key, Entry("true" if value else "false", float(value))
        elif isinstance(value, (int, float)):
            yield key, Entry(f"{value:g}" if isinstance(value, float) else str(value), float(value))
        elif isinstance(value, str):
            yield key, _from_text(value)
        else:
            raise ValueError(f"invalid runtime entry value for {key}")


def _from_text(text: str) -> Entry:
    stripped = text.strip()
    if stripped in {"true", "false"}:
        return Entry(text, float(stripped == "true"))
    try:
        return Entry(text, float(stripped))
    except ValueError:
        pass
    pairs = [line.partition(":") for line in stripped.splitlines()]
    fraction = _as_fraction({name.strip(): value.strip() for name, _, value in pairs})
    return fraction or Entry(text)


def _as_fraction(tree: Mapping[str, Any]) -> Entry | None:
    """A FractionalPercent written as a tree; None when it is something else."""
    if not tree or not set(tree) <= {"numerator", "denominator"}:
        return None
    try:
        numerator = int(tree.get("numerator", 0))
        denominator = _DENOMINATORS[DenominatorType(str(tree.get("denominator", "HUNDRED")))]
    except ValueError:
        return None
    text = "\n".join(f"{name}: {value}" for name, value in tree.items())
    return Entry(text, fraction=(numerator, denominator))
