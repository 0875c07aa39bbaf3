"""Operators as expressions, and templates as one function made of them.

A call for each operator is most of what a log line costs; so the common operators are written as expressions, and a
template becomes a single Python function that evaluates them in a row and fills a %-template (half the time of a tuple
of getters). The source of such a function holds nothing but our own expressions and made-up names; whatever comes from
a configuration is bound to one of those names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from trio_envoy.formatter.context import LogContext
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response

Getter = Callable[[LogContext], Any]

_NO_REQUEST: Final = Request(b"", b"", b"", b"", Headers(), host_missing=True)
_NO_RESPONSE: Final = Response(0, Headers())

# What an expression may name, in the order in which a function sets it, if an expression names it.
_LOCALS: Final = {
    "info": "context.info",
    "request": "no_request if context.request is None else context.request",
    "response": "no_response if context.response is None else context.response",
    "fields": "request.headers.first",
    "answered": "response.headers.first",
}


@attrs.frozen
class Inline:
    """A getter written as an expression.

    Attributes:
        text: over `info`, `request`, `response` (empty ones where there is none), `fields` (first values of the
            request's fields), `answered` (those of the response), `context`, and the constants in braces. It may say
            {missing} wherever it gives None: to fill that in is cheaper than to test for None.
        constants: what the other braces stand for.
        never_none: there is no need to test.
    """

    text: str
    constants: dict[str, object] = attrs.Factory(dict)
    never_none: bool = False

    @property
    def fills(self) -> bool:
        """Whether value_of() with something to stand for None never gives None."""
        return self.never_none or "{missing}" in self.text


Source = Inline | Getter


class Function:
    """A function over a LogContext in the making: expressions that fill the holes of a %-template."""

    def __init__(self) -> None:
        self._names: dict[str, object] = {"no_request": _NO_REQUEST, "no_response": _NO_RESPONSE}
        self._holes: list[str] = []

    def bind(self, value: object) -> str:
        """A name for a value, to be used in expressions."""
        name = f"k{len(self._names)}"
        self._names[name] = value
        return name

    def value_of(self, source: Source, missing: str = "None") -> str:
        """The expression that gives what the source gives, with `missing` (an expression, too) where that says so."""
        if isinstance(source, Inline):
            names = {key: self.bind(value) for key, value in source.constants.items()}
            return source.text.format(missing=missing, **names)
        return f"{self.bind(source)}(context)"

    def fill(self, expression: str) -> None:
        """The next hole of the template is filled by this."""
        self._holes.append(expression)

    def build(self, template: bytes | str) -> Callable[[LogContext], Any]:
        """The function that gives the filled template."""
        return self.returning(f"{self.bind(template)} % ({''.join([f'{hole}, ' for hole in self._holes])})")

    def returning(self, expression: str) -> Callable[[LogContext], Any]:
        """The function that gives the value of an expression."""
        used = expression
        lines: list[str] = []
        for name in reversed(_LOCALS):
            if name in used:
                lines.insert(0, f"    {name} = {_LOCALS[name]}\n")
                used += _LOCALS[name]
        source = f"def function(context):\n{''.join(lines)}    return {expression}\n"
        exec(source, self._names)  # noqa: S102 - our own expressions; see the module's docstring
        function: Callable[[LogContext], Any] = self._names["function"]  # type: ignore[assignment]
        return function
