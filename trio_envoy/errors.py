"""The errors that cross floors: configuration faults, upstream failures, protocol faults."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

import attrs

Path = tuple[str | int, ...]
"""Where in a document: keys and indexes from the root, as ("static_resources", "clusters", 0, "name")."""


def render_path(path: Path) -> str:
    """The path as people write it: `$.static_resources.clusters[0].name`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


@attrs.frozen
class Fault:
    """One thing that is wrong in a configuration.

    Attributes:
        text: what is wrong: lower case, no full stop, the value with !r.
        path: where, from the root of the document.
        source: file name, or "" for text given on the command line.
        line: 1-based; 0 when it isn't known.
        column: 1-based; 0 when it isn't known.
    """

    text: str
    path: Path = ()
    source: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = f"{self.source or 'config'}:{self.line}:{self.column}: " if self.line else ""
        return f"{where}{render_path(self.path)}: {self.text}"


class ConfigError(Exception):
    """A fault found where only the config object is known; the loader adds file, line and column.

    Args:
        text: what is wrong.
        at: the attrs config object at fault (found by identity in the loaded tree), or None.
        field: the field of that object, if one is at fault; may be a path below it.

    Attributes:
        others: faults of the same part that were found with this one, and are to be told with it.
    """

    def __init__(self, text: str, *, at: object | None = None, field: str | Path = ()) -> None:
        super().__init__(text)
        self.text = text
        self.at = at
        self.field: Path = (field,) if isinstance(field, str) else field
        self.others: tuple[ConfigError, ...] = ()


class Faults:
    """Collects the faults of parts that are built one after the other, so that all of them are told at once.

    `with faults:` around a part keeps its ConfigError, and the ones told with it; raise_all() raises what was kept.

    Attributes:
        errors: what was kept, each without others.
    """

    __slots__ = ("errors",)

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []

    def __enter__(self) -> None:
        """Begin a part."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keep a ConfigError; other exceptions pass."""
        if error is None or not isinstance(error, ConfigError):
            return False
        self.add(error)
        return True

    def add(self, error: ConfigError) -> None:
        """Keep a fault, and those told with it."""
        self.errors += (error, *error.others)
        error.others = ()

    def raise_all(self) -> None:
        """Raise what was kept as one error, if there is anything.

        Raises:
            ConfigError: the first one, with the rest as its `others`.
        """
        if self.errors:
            first, *others = self.errors
            first.others = tuple(others)
            raise first


class ConfigErrors(Exception):
    """All faults of one configuration, in document order.

    Attributes:
        rest: what the loader could make of the parts that are not at fault (config.loader.Loaded), so that their
            faults are found, too; or None.
    """

    def __init__(self, faults: Iterable[Fault], rest: object | None = None) -> None:
        self.faults = tuple(faults)
        self.rest = rest
        super().__init__("\n".join(str(fault) for fault in self.faults))


class CloseConnection(Exception):
    """A listener or network filter refuses the connection; it is closed and nothing is logged as an error."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class UpstreamFailure(Exception):
    """An exchange with an upstream ended before its response did.

    Attributes:
        reason: Envoy's reset reason in words, e.g. "connection termination" (router failure bodies).
        flag: bit of net.stream_info, e.g. UC.
        transport: what the transport said, for %UPSTREAM_TRANSPORT_FAILURE_REASON%.
        sent: some bytes of the request may have reached the upstream.
        started: response headers had been read.
    """

    def __init__(
        self, reason: str, flag: int, *, transport: str = "", sent: bool = True, started: bool = False
    ) -> None:
        super().__init__(f"{reason}{': ' if transport else ''}{transport}")
        self.reason = reason
        self.flag = flag
        self.transport = transport
        self.sent = sent
        self.started = started


class LocalProtocolError(Exception):
    """We were about to break a protocol; a bug on our side or a message that can't be expressed."""


class RemoteProtocolError(Exception):
    """The peer broke a protocol.

    Attributes:
        status: what a server answers (400, 431, 501, 426, ...), when it can still answer.
        details: %RESPONSE_CODE_DETAILS%, e.g. "http1.codec_error".
        text: body of the answer.
    """

    def __init__(self, details: str, status: int = 400, text: str = "Bad Request") -> None:
        super().__init__(details)
        self.details = details
        self.status = status
        self.text = text
