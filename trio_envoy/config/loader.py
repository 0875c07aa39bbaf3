"""A configuration file to a Bootstrap object: read, upgrade from v2, check, merge, structure; all faults at once.

Formats are told by the name as in Envoy: `.yaml` and `.yml` are YAML, everything else is JSON; protobuf's binary and
text formats are refused by name. `--config-yaml` is laid over the file as protobuf merges messages, so what must be
there may be in either. Positions are looked for only when there is something to tell.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_envoy.config import document, schema
from trio_envoy.config.bootstrap import Bootstrap
from trio_envoy.config.check import TYPED_STRUCTS, check
from trio_envoy.config.converter import Complaint, ConfigConverter, Resolve
from trio_envoy.config.findings import Findings
from trio_envoy.config.locate import Positions
from trio_envoy.config.merge import merge, origin
from trio_envoy.config.salvage import salvage
from trio_envoy.config.v2.scan import may_be_v2
from trio_envoy.errors import ConfigError, ConfigErrors, Fault, Path

if TYPE_CHECKING:
    from trio_envoy.config.v2.upgrade import UpgradeResult

BOOTSTRAP: Final = Bootstrap.__proto__
YAML_SOURCE: Final = "--config-yaml"
_YAML: Final = (".yaml", ".yml")
_NOT_READ: Final = (".pb", ".pb_text", ".pb_length_delimited")


@attrs.define(eq=False)
class _Source:
    """One text on its way.

    Attributes:
        document: as read.
        upgraded: the tree in v3 terms, and where its parts come from; None when nothing in it is v2.
        tree: canonical.
    """

    document: document.Document
    upgraded: UpgradeResult | None
    tree: Any = None

    @property
    def v3(self) -> Any:
        """The tree before it is checked."""
        return self.upgraded.tree if self.upgraded else self.document.root

    @cached_property
    def positions(self) -> Positions:
        return Positions(self.document)

    def fault(self, path: Path, text: str, *, original: bool = False) -> Fault:
        """A fault with line and column.

        Args:
            path: in the upgraded tree.
            text: what is wrong.
            original: the path is one of the document itself.
        """
        if not original:
            path = _spelled(self.v3, path)
            path = self.upgraded.origin(path) if self.upgraded else path
        line, column = self.positions.at(path)
        return Fault(text, path, self.document.source, line, column)


@attrs.frozen(eq=False)
class Loaded:
    """What came out.

    Attributes:
        bootstrap: the configuration as objects.
        tree: the same as canonical v3 JSON tree, for /config_dump.
        warnings: deprecated fields, repeated keys and the like, in document order.
        changes: what the upgrade from v2 changed; empty for a v3 file.
    """

    bootstrap: Bootstrap
    tree: Mapping[str, Any]
    warnings: tuple[Fault, ...]
    changes: tuple[Fault, ...]
    _sources: Sequence[_Source]

    def path_of(self, target: object) -> Path | None:
        """The path of a config object in `tree`, found by identity; None when it isn't part of it."""
        return _find(self.bootstrap, self.tree, {id(target)}).get(id(target))

    def locate(self, errors: Iterable[ConfigError]) -> ConfigErrors:
        """The errors, and those told with them, with file, line and column, in document order."""
        errors = tuple(one for error in errors for one in (error, *error.others))
        paths = _find(self.bootstrap, self.tree, {id(error.at) for error in errors if error.at is not None})
        return ConfigErrors(_in_order(self._sources, (self._fault(error, paths) for error in errors)))

    def in_order(self, faults: Iterable[Fault]) -> ConfigErrors:
        """Faults of this configuration, sorted."""
        return ConfigErrors(_in_order(self._sources, faults))

    def _fault(self, error: ConfigError, paths: Mapping[int, Path]) -> Fault:
        path = paths.get(id(error.at))
        if path is None:
            return Fault(error.text, error.field, self._sources[0].document.source)
        return _place(self._sources, (*path, *error.field), error.text)


def load(config_path: str, config_yaml: str, *, resolve: Resolve, allow_unknown: bool = False) -> Loaded:
    """Load a configuration.

    Args:
        config_path: name of a file, or "".
        config_yaml: YAML text that is merged into it, or "".
        resolve: finds the config class of an extension by the full name of its message.
        allow_unknown: unknown fields are warned of, not refused (`--allow-unknown-static-fields`).

    Raises:
        ConfigErrors: all faults, in document order.
    """
    with _no_collection():
        return _Loading(resolve, allow_unknown).run(_read(config_path, config_yaml))


class _Loading:
    """One load under way."""

    def __init__(self, resolve: Resolve, allow_unknown: bool) -> None:
        self._resolve = resolve
        self._allow_unknown = allow_unknown
        self._sources: list[_Source] = []
        self._faults: list[Fault] = []
        self._warnings: list[Fault] = []
        self._at_fault: list[Path] | None = []

    def run(self, documents: Sequence[document.Document]) -> Loaded:
        self._sources = [_Source(each, _upgrade(each.root)) for each in documents]
        for source in self._sources:
            self._check(source, rules=len(self._sources) == 1)
        tree = self._merged()
        if self._faults:
            self._survey()
            raise self._errors(tree)
        converter = ConfigConverter(self._resolve)
        bootstrap = converter.structure(tree, Bootstrap)
        if converter.faults:
            for path, complaint in _paths_of(tree, converter.faults):
                self._note(path)
                self._faults.append(_place(self._sources, path, complaint.text))
            raise self._errors(tree)
        self._complain(tree, converter.warnings, self._warnings)
        return self._loaded(bootstrap, tree)

    def _errors(self, tree: Any) -> ConfigErrors:
        """All faults so far, with what is left without them."""
        rest = None if self._at_fault is None else salvage(tree, self._at_fault)
        loaded: Loaded | None = None
        if rest is not None:
            converter = ConfigConverter(self._resolve)
            bootstrap = converter.structure(rest, Bootstrap)
            loaded = None if converter.faults else self._loaded(bootstrap, rest)
        return ConfigErrors(_in_order(self._sources, self._faults), loaded)

    def _note(self, path: Path | None) -> None:
        """A path of the canonical tree is at fault; None: nobody can say where, so nothing is left."""
        if path is None:
            self._at_fault = None
        elif self._at_fault is not None:
            self._at_fault.append(path)

    def _loaded(self, bootstrap: Bootstrap, tree: Any) -> Loaded:
        return Loaded(
            bootstrap,
            tree,
            tuple(_in_order(self._sources, self._warnings)),
            tuple(
                source.fault(change.path, change.text, original=True)
                for source in self._sources
                if source.upgraded
                for change in source.upgraded.changes
            ),
            tuple(self._sources),
        )

    def _check(self, source: _Source, *, rules: bool) -> None:
        """Check one document by itself."""
        found = Findings(rules=rules, allow_unknown=self._allow_unknown)
        source.tree = check(source.v3, BOOTSTRAP, found)
        for path, _ in found.faults:
            self._note(path if rules else None)
        if source.upgraded:
            if source.upgraded.faults:
                self._note(None)
            self._faults += (source.fault(fault.path, fault.text, original=True) for fault in source.upgraded.faults)
        self._faults += (source.fault(path, text) for path, text in found.faults)
        self._warnings += (source.fault(path, text) for path, text in found.warnings)
        if source.document.repeats:
            for path, line, column in source.positions.repeats():
                text = "this key stands here already; the last one counts"
                self._warnings.append(Fault(text, path, source.document.source, line, column))
        if source.document.rest:
            text = "only the first document of the file is read; something follows it"
            self._warnings.append(source.fault((), text))

    def _merged(self) -> Any:
        """The tree of all documents; with more than one the rules are checked on what they are together."""
        first = self._sources[0].tree
        if len(self._sources) == 1 or self._faults:
            return first
        tree = merge(first, self._sources[1].tree, BOOTSTRAP)
        found = Findings(allow_unknown=self._allow_unknown)
        tree = check(tree, BOOTSTRAP, found)
        for path, text in found.faults:
            self._note(path)
            self._faults.append(_place(self._sources, path, text))
        known = set(self._warnings)
        warnings = (_place(self._sources, path, text) for path, text in found.warnings)
        self._warnings += (each for each in warnings if each not in known)
        return tree

    def _survey(self) -> None:
        """There are faults already: add what isn't supported here."""
        for source in self._sources:
            converter = ConfigConverter(self._resolve)
            converter.survey(source.tree, Bootstrap)
            for path, complaint in _paths_of(source.tree, converter.faults):
                self._note(path)
                self._faults.append(source.fault(path, complaint.text))

    def _complain(self, tree: Any, complaints: Sequence[Complaint], into: list[Fault]) -> None:
        """Find where the nodes are that the converter complains of."""
        into += (_place(self._sources, path, each.text) for path, each in _paths_of(tree, complaints))


def _upgrade(tree: Any) -> UpgradeResult | None:
    """The v3 form of a document that is v2; the rules are imported for those alone."""
    if not may_be_v2(tree):
        return None
    from trio_envoy.config.v2.upgrade import upgrade

    return upgrade(tree, BOOTSTRAP)


def _read(config_path: str, config_yaml: str) -> list[document.Document]:
    documents = []
    if config_path:
        suffix = File(config_path).suffix.lower()
        if suffix in _NOT_READ:
            raise ConfigErrors([Fault(f"{config_path}: {suffix} files aren't read here; use YAML or JSON")])
        documents.append(document.parse(_text(config_path, suffix), config_path, is_json=suffix not in _YAML))
    if config_yaml:
        documents.append(document.parse(config_yaml, YAML_SOURCE))
    if not documents:
        raise ConfigErrors([Fault("at least one of --config-path or --config-yaml should be non-empty")])
    return documents


def _text(name: str, suffix: str) -> str:
    try:
        return File(name).read_bytes().decode("utf-8-sig" if suffix in _YAML else "utf-8")
    except OSError as failed:
        raise ConfigErrors([Fault(f"unable to read file: {name}: {failed.strerror}")]) from None
    except UnicodeDecodeError as failed:
        raise ConfigErrors([Fault(f"{name} isn't UTF-8 text: byte {failed.start}: {failed.reason}")]) from None


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """A big file makes some hundred thousand objects, all to stay: collecting meanwhile takes three times as long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _spelled(node: Any, path: Path) -> Path:
    """A path of the canonical tree as the document spells it: lowerCamelCase, a list of one without brackets."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(step, str):
            here = node if isinstance(node, dict) else {}
            step = schema.camel(step) if step not in here and schema.camel(step) in here else step
            node = here.get(step)
        elif isinstance(node, list):
            node = node[step] if step < len(node) else None
        elif step == 0:
            continue
        steps.append(step)
    return tuple(steps)


def _place(sources: Sequence[_Source], path: Path, text: str) -> Fault:
    """A fault at a path of the tree of all documents."""
    if len(sources) == 1:
        return sources[0].fault(path, text)
    index, path = origin(sources[0].tree, sources[1].tree, path)
    return sources[index].fault(path, text)


def _in_order(sources: Sequence[_Source], faults: Iterable[Fault]) -> list[Fault]:
    names = [source.document.source for source in sources]
    unique = dict.fromkeys(faults)
    return sorted(unique, key=lambda each: (names.index(each.source), each.line, each.column))


def _paths_of(tree: Any, complaints: Sequence[Complaint]) -> list[tuple[Path, Complaint]]:
    """Where the nodes are that were complained of, found by identity."""
    if not complaints:
        return []
    by_node: dict[int, list[Complaint]] = {}
    for complaint in complaints:
        by_node.setdefault(id(complaint.node), []).append(complaint)
    found: list[tuple[Path, Complaint]] = []
    waiting: list[tuple[Path, Any]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        found.extend(((*path, each.key), each) for each in by_node.get(id(node), ()))
        if isinstance(node, dict):
            waiting.extend(((*path, key), value) for key, value in node.items())
        elif isinstance(node, list):
            waiting.extend(((*path, index), value) for index, value in enumerate(node))
    return found


def _find(root: Any, tree: Any, wanted: set[int]) -> dict[int, Path]:
    """Paths of config objects by identity; `tree` is the canonical tree of the root."""
    found: dict[int, Path] = {}
    waiting: list[tuple[Path, Any, Any]] = [((), root, tree)]
    while waiting:
        path, value, node = waiting.pop()
        if isinstance(node, Mapping) and str(node.get("@type", "")).rpartition("/")[2] in TYPED_STRUCTS:
            path, node = (*path, "value"), node["value"]
        if id(value) in wanted:
            found[id(value)] = path
        for step, below in _parts(value):
            inner = node[step] if isinstance(node, list) else node.get(step) if isinstance(node, Mapping) else None
            waiting.append(((*path, step), below, inner))
    return found


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a config object, a tuple or a mapping holds and may be wanted: no scalars."""
    if isinstance(value, tuple):
        steps: Iterable[tuple[Any, Any]] = enumerate(value)
    elif isinstance(value, Mapping):
        steps = value.items()
    else:
        steps = ((field.name.rstrip("_"), getattr(value, field.name)) for field in attrs.fields(type(value)))
    for step, below in steps:
        if isinstance(below, tuple | Mapping) or attrs.has(type(below)):
            yield step, below
