"""Lists and mappings out of what a language model wrote, however loosely it kept to JSON.

Fences, prose, trailing commas, single quotes, round brackets and cut tails are read past. One pass,
in time that grows with the text's length alone; never raises. Knows no keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = "Listed | Mapped | float | str"

_OPENS = re.compile(r"[\[{]")
_TOKEN = re.compile(
    r"[\[\]{}(),:\"'`]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[^\W\d][\w-]*", re.ASCII
)
_DOUBLE = re.compile(r'[^"\\\n]*(?:\\.[^"\\\n]*)*')
_AFTER_SPACE = re.compile(r"[ \t\r]*")
MOST_VALUES = 100_000
"""What comes after so many is not read."""
_DEEPEST = 24
_LONGEST_NUMBER = 40
_LONGEST_TEXT = 8000
_PAIRS = {"]": "[", "}": "{", ")": "["}


@dataclass(slots=True, eq=False)
class Listed:
    """A list. `closed` tells that its end was there: the last of its items is whole."""

    items: list[Value] = field(default_factory=list)
    closed: bool = False


@dataclass(slots=True, eq=False)
class Mapped:
    """A mapping, its keys in lower case; what had no key stands under a number."""

    items: dict[str, Value] = field(default_factory=dict)
    closed: bool = False
    key: str | None = None
    """Read, its value still to come."""


def read(text: str) -> list[Value]:
    """Every outermost list and mapping in a text, in order: `Listed`, `Mapped`, float or str."""
    return _Reader(text).read()


class _Reader:
    """Walks the text once with a stack of what is open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[Listed | Mapped] = []
        self._open = {"[": 0, "{": 0}
        self._found: list[Value] = []
        self._line_end = -1
        self._count = 0

    def read(self) -> list[Value]:
        at = 0
        while self._count < MOST_VALUES:
            found = (_TOKEN if self._stack else _OPENS).search(self._text, at)
            if found is None:
                break
            at = self._take(found[0], found.end())
        return self._found

    def _take(self, mark: str, end: int) -> int:
        """Take a mark that ends at `end`; where to read on."""
        if mark in "[{(":
            self._begin("[" if mark == "(" else mark)
        elif mark in "]})":
            self._finish(_PAIRS[mark])
        elif mark in "\"'":
            return self._quoted(mark, end)
        elif mark == ":":
            pass
        elif mark == ",":
            top = self._stack[-1]
            if isinstance(top, Mapped):
                top.key = None
        elif mark != "`":
            self._put(_number(mark) if mark[0] in "+-.0123456789" else mark[:_LONGEST_TEXT])
        return end

    def _begin(self, kind: str) -> None:
        if len(self._stack) >= _DEEPEST:
            return
        made = Listed() if kind == "[" else Mapped()
        if self._stack:
            self._put(made)
        else:
            self._found.append(made)
        self._stack.append(made)
        self._count += 1
        self._open[kind] += 1

    def _finish(self, kind: str) -> None:
        """Close the innermost `kind`; what is open inside of it was cut or forgotten."""
        if not self._open[kind]:
            return
        while True:
            top = self._stack.pop()
            own = "[" if isinstance(top, Listed) else "{"
            self._open[own] -= 1
            if own == kind:
                top.closed = True
                return

    def _put(self, value: Value) -> None:
        top = self._stack[-1]
        self._count += 1
        if isinstance(top, Listed):
            top.items.append(value)
        elif top.key is not None:
            top.items.setdefault(top.key, value)
            top.key = None
        elif isinstance(value, str):
            top.key = value.strip().lower()
        else:
            top.items[str(len(top.items))] = value

    def _quoted(self, quote: str, start: int) -> int:
        """A quoted text from `start` on, which ends on its line; without an end it is no text."""
        if quote == '"':
            found = _DOUBLE.match(self._text, start)
            end = found.end() if found else start
            whole = self._text.startswith('"', end)
        elif self._text[max(0, start - 2)].isalnum():
            return start
        else:
            end, whole = self._single(start)
        if not whole:
            return end
        text = self._text[start : min(end, start + _LONGEST_TEXT)]
        self._put(
            text.replace("\\'", "'").replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        )
        return end + 1

    def _single(self, start: int) -> tuple[int, bool]:
        """Where a single-quoted text ends: at a quote that a comma, a colon or a bracket follows,
        so that an apostrophe does not end it; one inside of a word begins none."""
        if self._line_end < start:
            self._line_end = self._text.find("\n", start)
            if self._line_end < 0:
                self._line_end = len(self._text)
        at = start
        while (at := self._text.find("'", at, self._line_end)) >= 0:
            space = _AFTER_SPACE.match(self._text, at + 1)
            after = space.end() if space else at + 1
            if after >= self._line_end or self._text[after] in ",:]})":
                return at, True
            at += 1
        return self._line_end, False


def _number(mark: str) -> float:
    """Not a number where it is too long to be meant."""
    return float(mark) if len(mark) <= _LONGEST_NUMBER else float("nan")
