"""What may differ from run to run is replaced by what it is: dates, ids, ports, paths, durations."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

_RULES: list[tuple[str, str]] = [
    (
        r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
        r"\d\d:\d\d:\d\d GMT",
        "<date>",
    ),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b", r"<uuid \1>"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", "<time>"),
    (r"(?i)^(x-envoy-upstream-service-time: )\d+$", r"\1<ms>"),
]
_LONG = 2000  # bytes; a longer body is recorded by its length and digest


class Unordered(list[Any]):
    """A list whose order is left to chance: written in order of text, after normalising."""


class Distinct(list[Any]):
    """A list of which each different entry counts once, in order of text."""


class Cycle(list[Any]):
    """A list that has no first entry: it is written from where it reads smallest."""


class Normaliser:
    """The rules for one run of one case.

    Args:
        words: the names of texts that hold in this run only, as ports and directories.
        own: the case's own rules, (pattern, replacement); they come last.
    """

    def __init__(self, words: Mapping[str, str], own: Sequence[Sequence[str]] = ()) -> None:
        self._ports = ports = {text: name for text, name in words.items() if text.isdigit()}
        paths = [(text, name) for text, name in words.items() if not text.isdigit()]
        self._paths = sorted(paths, key=lambda item: -len(item[0]))
        self._port = re.compile(rf"(?<=[:_ ])({'|'.join(ports)})\b") if ports else None
        self._rules = [(re.compile(pattern, re.MULTILINE), new) for pattern, new in _RULES]
        self._own = [(re.compile(pattern, re.MULTILINE), new) for pattern, new in own]

    def tree(self, node: Any) -> Any:
        """A document's node with every text normalised; bytes become text, or length and digest."""
        if isinstance(node, Mapping):
            return {self.text(key): self.tree(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return self._arranged(node, [self.tree(value) for value in node])
        if isinstance(node, bytes):
            return self.body(node)
        if isinstance(node, int) and str(node) in self._ports:
            return f"${{{self._ports[str(node)]}}}"
        return self.text(node) if isinstance(node, str) else node

    def _arranged(self, kind: Sequence[Any], values: list[Any]) -> list[Any]:
        if isinstance(kind, Cycle):
            return min((values[start:] + values[:start] for start in range(len(values))), key=repr, default=[])
        if isinstance(kind, Distinct):
            values = [value for number, value in enumerate(values) if value not in values[:number]]
        return sorted(values, key=repr) if isinstance(kind, Distinct | Unordered) else values

    def body(self, data: bytes) -> Any:
        """A body as text, as a list of lines if it has several, or as length and digest."""
        if len(data) > _LONG and b"\n" not in data:
            return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        lines = [self.text(line) for line in text.split("\n")]
        return lines if len(lines) > 1 else lines[0]

    def text(self, text: str) -> str:
        """One text; a very long one by its length."""
        for old, name in self._paths:
            text = text.replace(old, f"${{{name}}}")
        if self._port is not None:
            text = self._port.sub(lambda match: f"${{{self._ports[match[0]]}}}", text)
        text = re.sub(r"\b127\.0\.0\.1:[1-9]\d{3,4}\b", "127.0.0.1:<port>", text)
        for pattern, new in (*self._rules, *self._own):
            text = pattern.sub(new, text)
        return text if len(text) <= _LONG else f"{text[:40]}... {len(text)} characters"
