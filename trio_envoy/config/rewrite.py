"""`trio-envoy upgrade FILE`: the v3 form of a configuration file, its comments and layout kept.

What is written is read again and compared with the upgraded tree before it is given out.
"""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any, Final, TextIO

import attrs
import yaml

from trio_envoy.config.document import Document, parse, plain_scalar
from trio_envoy.config.locate import Positions
from trio_envoy.config.v2.emit import Emitter, UnusualText
from trio_envoy.config.v2.upgrade import BOOTSTRAP, DISCOVERY_RESPONSE, UpgradeResult, upgrade
from trio_envoy.errors import ConfigErrors, Fault, Path, render_path

_COMMENTS_LOST: Final = "the layout is new, and comments are lost: this text can't be changed in place"


class _Dumper(yaml.SafeDumper):
    """Writes strings so that Envoy reads them as strings: it takes more words for booleans than PyYAML does."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if plain_scalar(value) == value else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _string)


@attrs.frozen
class FileChange:
    """A change in a file.

    Attributes:
        text: what was changed.
        path: where, in the old document.
        source: name of the file.
        line: 1-based, in the old file.
        column: 1-based.
    """

    text: str
    path: Path
    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {render_path(self.path)}: {self.text}"


def rewrite(text: str, source: str) -> tuple[str, list[FileChange]]:
    """The v3 form of a configuration: a bootstrap, or a file of xDS resources.

    Args:
        text: YAML, or JSON if `source` ends in .json.
        source: its file name.

    Returns:
        The new text, the very same if nothing was v2, and what was changed, in the order of the old text.

    Raises:
        ConfigErrors: it can't be read, or holds something that has no v3 form.
    """
    document = parse(text, source, is_json=source.endswith(".json"))
    result = upgrade(document.root, _message_of(document.root))
    positions = Positions(document)
    if result.faults:
        raise ConfigErrors(_located(fault, source, positions) for fault in result.faults)
    changes = [FileChange(each.text, each.path, source, *positions.at(each.path)) for each in result.changes]
    changes.sort(key=lambda change: (change.line, change.column))
    if result.tree is document.root:
        return text, changes
    new = _written(document, result)
    if new is None:
        changes.append(FileChange(_COMMENTS_LOST, (), source, 1, 1))
        new = yaml.dump(result.tree, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return new, changes


def _message_of(root: Any) -> str:
    """What a file holds: resources for a path-based xDS source say so."""
    return DISCOVERY_RESPONSE if isinstance(root, dict) and "resources" in root else BOOTSTRAP


def _located(fault: Fault, source: str, positions: Positions) -> Fault:
    line, column = positions.at(fault.path)
    return attrs.evolve(fault, source=source, line=line, column=column)


def _written(document: Document, result: UpgradeResult) -> str | None:
    """The new text in the layout of the old one; None if it doesn't say the new tree."""
    if document.is_json:
        return json.dumps(result.tree, indent=2, ensure_ascii=False) + "\n"
    text = document.text.replace("\r\n", "\n")
    try:
        written = Emitter(text, document.root, result).document()
        if parse(written, document.source).root != result.tree:
            return None
    except (UnusualText, ConfigErrors):
        return None
    return written.replace("\n", "\r\n") if "\r\n" in document.text else written


def run_upgrade(path: str, out: TextIO, err: TextIO) -> int:
    """Write the v3 form of a file to `out`, and to `err` one line for each change or fault.

    Returns:
        The exit code: 0, or 1 if the file can't be read or upgraded; then nothing is written to `out`.
    """
    try:
        text = FilePath(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        err.write(f"{path}: {error.strerror if isinstance(error, OSError) else 'is not UTF-8 text'}\n")
        return 1
    try:
        new, changes = rewrite(text, path)
    except ConfigErrors as errors:
        err.writelines(f"{fault}\n" for fault in errors.faults)
        return 1
    err.writelines(f"{change}\n" for change in changes)
    if not changes:
        err.write(f"{path}: nothing to change: this is v3 already\n")
    out.write(new)
    return 0
