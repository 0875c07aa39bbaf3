"""Log lines in Envoy's format: spdlog patterns as text, or JSON whose values are patterns.

Sources: --log-format of Envoy; spdlog's "Custom formatting"; ApplicationLogConfig.LogFormat; measured on 1.40.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final

from trio_envoy.util.log import LEVEL_NAMES, ROOT

DEFAULT_FORMAT: Final = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"

_FLAG: Final = re.compile(r"%(?:([-=]?)(\d+)(!?))?(.)", re.DOTALL)
_STARTED: Final = time.time()  # noqa: TID251 - %O and its kin count wall time between log lines
Flag = Callable[[logging.LogRecord], str]


def _level(record: logging.LogRecord) -> str:
    return LEVEL_NAMES.get(record.levelno, record.levelname.lower())


def _source(record: logging.LogRecord) -> str:
    """The file, from the package on."""
    parts = PurePath(record.pathname).parts
    if "trio_envoy" in parts:
        return "/".join(parts[len(parts) - 1 - parts[::-1].index("trio_envoy") :])
    return record.filename


def _time(pattern: str) -> Flag:
    return lambda record: datetime.fromtimestamp(record.created).strftime(pattern)


def _zone(record: logging.LogRecord) -> str:
    text = datetime.fromtimestamp(record.created).astimezone().strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def _fraction(scale: int, digits: int) -> Flag:
    return lambda record: f"{int(record.created % 1 * scale):0{digits}d}"


_FLAGS: Final[Mapping[str, Flag]] = {
    "v": logging.LogRecord.getMessage,
    "_": lambda record: _escape(record.getMessage()),
    "j": lambda record: json.dumps(record.getMessage(), ensure_ascii=False)[1:-1],
    "t": lambda _: str(threading.get_native_id()),
    "P": lambda _: str(os.getpid()),
    "n": lambda record: record.name.removeprefix(f"{ROOT}."),
    "l": _level,
    "L": lambda record: _level(record)[:1].upper(),
    "e": _fraction(1000, 3),
    "f": _fraction(1_000_000, 6),
    "F": _fraction(1_000_000_000, 9),
    "E": lambda record: str(int(record.created)),
    "z": _zone,
    "T": _time("%H:%M:%S"),
    "X": _time("%H:%M:%S"),
    "D": _time("%m/%d/%y"),
    "x": _time("%m/%d/%y"),
    "r": _time("%I:%M:%S %p"),
    "R": _time("%H:%M"),
    "c": _time("%a %b %e %H:%M:%S %Y"),
    "C": _time("%y"),
    **{flag: _time(f"%{flag}") for flag in "aAbBYmdHIMSp"},
    "h": _time("%b"),
    "@": lambda record: f"{_source(record)}:{record.lineno}",
    "s": lambda record: record.filename,
    "g": _source,
    "#": lambda record: str(record.lineno),
    "!": lambda record: record.funcName or "",
    "i": lambda record: str(int((time.time() - _STARTED) * 1000)),  # noqa: TID251
    "O": lambda record: str(int(record.created - _STARTED)),
    "o": lambda record: str(int((record.created - _STARTED) * 1000)),
    "u": lambda record: str(int((record.created - _STARTED) * 1e6)),
    "^": lambda _: "",  # colour on; none is written
    "$": lambda _: "",
    "*": lambda _: "",  # tags of Envoy's ENVOY_TAGGED_LOG; there are none here
    "%": lambda _: "%",
    "+": lambda record: record.getMessage(),
}


def _escape(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def compile_pattern(pattern: str, *, json_value: bool = False) -> Flag:
    """A renderer for one spdlog pattern; flags that spdlog does not know stay as they are.

    Raises:
        ValueError: %v or %_ in a JSON value, where they would break the JSON.
    """
    parts: list[Flag | str] = []
    at = 0
    for match in _FLAG.finditer(pattern):
        align, width, truncate, flag = match.groups()
        if json_value and flag in "v_":
            raise ValueError(f"Usage of %{flag} is unavailable for JSON log formats")
        parts.append(pattern[at : match.start()])
        at = match.end()
        render = _FLAGS.get(flag)
        parts.append(match.group() if render is None else _padded(render, align or "", int(width or 0), bool(truncate)))
    parts.append(pattern[at:])
    compiled = [part for part in parts if part != ""]
    return lambda record: "".join([part if isinstance(part, str) else part(record) for part in compiled])


def _padded(render: Flag, align: str, width: int, truncate: bool) -> Flag:
    if not width:
        return render
    pad = {"-": str.ljust, "=": str.center}.get(align, str.rjust)

    def padded(record: logging.LogRecord) -> str:
        text = pad(render(record), width)
        return text[:width] if truncate else text

    return padded


class TextFormatter(logging.Formatter):
    """Lines by one pattern; a traceback follows on lines of its own."""

    def __init__(self, pattern: str = DEFAULT_FORMAT) -> None:
        super().__init__()
        self._render = compile_pattern(pattern)

    def format(self, record: logging.LogRecord) -> str:
        line = self._render(record)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line; strings in the tree are patterns, the rest stands as it is."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        super().__init__()
        self._pattern = compile_pattern(json.dumps(tree, ensure_ascii=False, separators=(",", ":")), json_value=True)

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info:
            record = logging.makeLogRecord(record.__dict__)
            record.msg = f"{record.getMessage()}\n{self.formatException(record.exc_info)}" if record.exc_info else ""
            record.args = None
        return self._pattern(record)
