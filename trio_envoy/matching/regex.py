r"""RE2 as Envoy uses it: one byte is one character (Latin-1), a program may not be larger than 100 instructions.

google-re2 judges and matches; it is imported when a configuration has its first regex. Python's own `re` is never used
on expressions of a user: its syntax differs and it backtracks. Source: common/regex.cc; limits and texts as measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trio_envoy.config.matcher import RegexMatchAndSubstitute, RegexMatcher
from trio_envoy.errors import ConfigError
from trio_envoy.runtime import Runtime

MAX_PROGRAM_SIZE: Final = 100  # instructions
_LIMIT_KEY: Final = "re2.max_program_size.error_level"  # runtime


def full_match(config: RegexMatcher, runtime: Runtime) -> Callable[[bytes], bool]:
    """A function: does the expression match the whole value?

    Raises:
        ConfigError: bad syntax, or a program that is too large.
    """
    compiled = compile_regex(config, runtime)
    import re2

    # A set of one: its match is a yes or no straight from C++, a third of the cost of a match object.
    alone = re2.Set.FullMatchSet(_options(re2))
    alone.Add(compiled.pattern)
    alone.Compile()
    match = alone.Match
    return lambda value: match(value) is not None


def substitution(config: RegexMatchAndSubstitute, runtime: Runtime) -> Callable[[bytes], bytes]:
    r"""A function that replaces every match in a value, as RE2::GlobalReplace does.

    `\0` to `\9` are groups, `\\` is a backslash; any other escape ends the replacement text; a group that the pattern
    doesn't have means that nothing is replaced (Envoy accepts both at load).

    Raises:
        ConfigError: bad syntax, or a program that is too large.
    """
    pattern = compile_regex(config.pattern, runtime)
    pieces = _template(config.substitution.encode())
    if max((piece for piece in pieces if isinstance(piece, int)), default=0) > pattern.groups:
        return lambda value: value
    search = pattern.search

    def replace(value: bytes) -> bytes:
        out: list[bytes] = []
        position, last_end = 0, -1
        while position <= len(value):
            match = search(value, position)
            if match is None:
                break
            start, end = match.span()
            out.append(value[position:start])
            if start == end == last_end:  # no empty match right behind the last match: step over one byte
                out.append(value[start : start + 1])
                position = start + 1
                continue
            out += [(match.group(piece) or b"") if isinstance(piece, int) else piece for piece in pieces]
            position = last_end = end
        out.append(value[position:])
        return b"".join(out)

    return replace


def compile_regex(config: RegexMatcher, runtime: Runtime) -> Any:
    """The compiled expression (an object of google-re2).

    Raises:
        ConfigError: bad syntax, or a program that is too large.
    """
    import re2

    try:
        compiled = re2.compile(config.regex.encode(), _options(re2))
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ConfigError(text, at=config, field="regex") from None
    _check_size(config, compiled.programsize, runtime)
    return compiled


def _check_size(config: RegexMatcher, size: int, runtime: Runtime) -> None:
    own = config.google_re2.max_program_size if config.google_re2 is not None else None
    if own is not None:
        limit, level = own, ""
    else:
        limit = runtime.snapshot.get_int(_LIMIT_KEY, MAX_PROGRAM_SIZE)
        level = " set for the error level threshold"
    if size > limit:
        raise ConfigError(
            f"regex '{config.regex}' RE2 program size of {size} > max program size of {limit}{level}. "
            "Increase configured max program size if necessary.",
            at=config,
            field="regex",
        )


def _options(re2: Any) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    return options


def _template(text: bytes) -> tuple[bytes | int, ...]:
    """Literals and group numbers of a replacement text."""
    pieces: list[bytes | int] = []
    literal = bytearray()
    position = 0
    while position < len(text):
        char = text[position : position + 1]
        if char != b"\\":
            literal += char
            position += 1
            continue
        escaped = text[position + 1 : position + 2]
        if escaped.isdigit():
            pieces += [bytes(literal), int(escaped)]
            literal.clear()
        elif escaped == b"\\":
            literal += escaped
        else:
            break
        position += 2
    pieces.append(bytes(literal))
    return tuple(piece for piece in pieces if piece != b"")
