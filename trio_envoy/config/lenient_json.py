"""JSON as protobuf's parser takes it beyond the standard: single quotes, bare keys, a comma before the end.

The standard library reads what is JSON; this is read only when that has failed, and says where it failed. Source:
google/protobuf/json/internal/lexer.cc with allow_legacy_syntax, as measured on Envoy 1.40.0.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.])")
_WORD: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NAMES: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_ESCAPE: Final = re.compile(r'\\(.)|"', re.DOTALL)


class LenientReader:
    """Reads one text.

    Args:
        text: all of it must be one value.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.repeats = False

    def read(self) -> Any:
        """The value.

        Raises:
            json.JSONDecodeError: it can't be read; with line and column.
        """
        value = self._value()
        if self._peek():
            raise self._error("extraneous characters after the end of the JSON object")
        return value

    def _peek(self) -> str:
        """The next character that isn't white space, "" at the end."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None, "the pattern matches nothing as well"
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        char = self._peek()
        if char == "{":
            return self._object()
        if char == "[":
            return self._array()
        if char in ('"', "'"):
            return self._string()
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            return json.loads(number[0])
        word = _WORD.match(self._text, self._at)
        if word is not None and word[0] in _NAMES:
            self._at = word.end()
            return _NAMES[word[0]]
        raise self._error(f"unexpected character: {char!r}" if char else "unexpected EOF")

    def _object(self) -> dict[str, Any]:
        self._at += 1
        found: dict[str, Any] = {}
        while self._peek() != "}":
            key = self._key()
            if self._peek() != ":":
                raise self._error("expected ':'")
            self._at += 1
            self.repeats = self.repeats or key in found
            found[key] = self._value()
            if not self._comma("}"):
                break
        self._at += 1
        return found

    def _array(self) -> list[Any]:
        self._at += 1
        found: list[Any] = []
        while self._peek() != "]":
            found.append(self._value())
            if not self._comma("]"):
                break
        self._at += 1
        return found

    def _comma(self, end: str) -> bool:
        """Step over a comma; False when the container ends here."""
        char = self._peek()
        if char == ",":
            self._at += 1
            return True
        if char != end:
            raise self._error("expected ','")
        return False

    def _key(self) -> str:
        if self._peek() in ('"', "'"):
            return self._string()
        word = _WORD.match(self._text, self._at)
        if word is None:
            raise self._error("expected a key")
        self._at = word.end()
        return word[0]

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._error("a string without its end")
        body = match[1] if match[1] is not None else match[2]
        standard = _ESCAPE.sub(lambda found: "'" if found[1] == "'" else '\\"' if found[0] == '"' else found[0], body)
        try:
            text: str = json.loads(f'"{standard}"', strict=False)
        except json.JSONDecodeError as broken:
            raise self._error(broken.msg) from None
        self._at = match.end()
        return text

    def _error(self, text: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(text, self._text, self._at)
