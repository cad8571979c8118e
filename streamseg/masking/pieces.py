"""A text cut into what may be shown and what may not; knows neither URLs nor pipelines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

MASK = "***"

_PLAIN_TEXT = re.compile(r"[\w\-.~ ()*]*")
_WORDS = re.compile(r"[^\W_]+")
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_HUMPS = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
_ENDING = re.compile(r"\.(?:avi|flv|jpe?g|m3u8|m4v|mjpe?g|mkv|mov|mp4|mpd|mpg|png|sdp|ts|webm)$")

_SHORT = 8  # chance makes words as odd as a shorter token
_LONGEST_WORD, _LONGEST_NUMBER = 24, 14  # a time stamp in a file's name has 14 digits
_SHORTEST_TOKEN = 14


class Piece(NamedTuple):
    """A stretch of text, and whether it stays unseen."""

    text: str
    hidden: bool = False


def shown(pieces: Iterable[Piece]) -> str:
    """The text with `***` for each stretch that stays unseen."""
    parts: list[str] = []
    for text, hidden in pieces:
        if not hidden:
            parts.append(text)
        elif text and (not parts or parts[-1] != MASK):
            parts.append(MASK)
    return "".join(parts)


def judged(text: str) -> Piece:
    """A name that shows where it is made of words and numbers, as names that people give are."""
    return Piece(text, hidden=not is_plain(text))


def is_plain(text: str) -> bool:
    """Whether a name is made of words and short numbers: no signs, nothing that chance made."""
    decoded = unquote(text)
    if not _PLAIN_TEXT.fullmatch(decoded):
        return False
    words = _WORDS.findall(_ENDING.sub("", decoded))
    if any(_is_random(word) for word in words):
        return False
    odd = sum(len(word) for word in words if _is_odd(word))
    return odd < _SHORTEST_TOKEN or 2 * odd < sum(map(len, words))


def _is_odd(word: str) -> bool:
    """As a piece of a token between its dashes: letters and figures, or capitals, by turns."""
    runs, humps = len(_RUNS.findall(word)), len(_HUMPS.findall(word))
    return runs > 2 or humps > 1 or (runs > 1 and humps > 0)


def _is_random(word: str) -> bool:
    runs = _RUNS.findall(word)
    if len(word) < _SHORT:
        return False
    if len(runs) == 1:
        return len(word) > _LONGEST_NUMBER if word.isdigit() else _are_random_letters(word)
    if _HEX.fullmatch(word):
        return True
    if len(runs) == 2 and runs[0].isalpha():  # as camera0001
        return len(runs[1]) > 6 or _are_random_letters(runs[0])
    return len(runs) > 3 or len(word) > 12


def _are_random_letters(word: str) -> bool:
    if len(word) > _LONGEST_WORD or len(_HUMPS.findall(word)) > 3:
        return True
    if len(word) >= _SHORTEST_TOKEN - 2 and _HEX.fullmatch(word):
        return True
    return _CONSONANTS.search(word) is not None
