"""Keeps secrets out of names, events, errors and files: what is not known harmless is masked.

A source's spec is read whole (`legible`, `Masker`); words from elsewhere are searched (`mask`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from streamseg.masking.pieces import MASK, Piece, shown
from streamseg.masking.pipelines import pipeline_pieces
from streamseg.masking.urls import is_url, loose_pieces, synthetic_pieces, url_pieces

__all__ = ["MASK", "Masker", "legible", "mask"]

_LONGEST_NAME, _END = 300, 40
_LONGEST_LINE = 10_000
_SHORTEST, _ANYWHERE = 2, 4  # shorter secrets occur in ordinary words by chance
_MOST_COLONS = 4
_LONG = 8  # a shorter value of an environment's "token" is a switch

_URL = re.compile(r"(?<![A-Za-z0-9+.\-])[A-Za-z0-9+.\-]{2,}:[/\\]+\S*")
_AFTER_URL = re.compile(r"[:;,.'\")>\]}]*$")
_CREDENTIALS = re.compile(
    r"(?<![^\s@:/\\'\"(<\[=])[^\s@:/\\'\"(<\[=]+(?::(?![/\\])|%3[aA])\S*(?:@|%40)"
)
_NAMED = re.compile(
    r"((?<![A-Za-z])(?:pass(?:word|wd|phrase|code)?|pwd?|secret|token|key|auth(?:orization)?"
    r"|credentials?|cookies?|session(?:[-_]?id)?|sig(?:nature)?|user(?:[-_]?(?:id|name|pw))?"
    r"|login|headers?)\s*=\s*)(?!value\b)(\"[^\"]*\"|'[^']*'|[^\s&;,!]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(\b(?:authorization|cookie)\b\s*:\s*|\b(?:basic|bearer|digest)\s+(?=\S*[\d=+/._]))\S.*",
    re.IGNORECASE,
)
_PIPELINE = re.compile(r"gst:|.*\s!\s|[a-z][\w\-]*\s+[\w:\-]+\s*=", re.IGNORECASE | re.DOTALL)
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|(?:^|_)(?:KEY|PW|PWD)$", re.IGNORECASE)
_BETWEEN_PARTS = re.compile(r"[\s&;#?/,\"'():@!]+")


def mask(text: str) -> str:
    """Hide what looks secret in any words: of every URL what `legible` hides, user:password@,
    what follows `password=` and the like, headers that let in, and the environment's secrets.

    It would rather hide too much.
    """
    return "\n".join(_mask_line(_replaced(line, _environment())) for line in text.split("\n"))


def legible(spec: str) -> str:
    """A source's spec, or a path, for people: without secrets, on one line, not endless."""
    text = shown(_pieces("".join(letter if letter.isprintable() else " " for letter in spec)))
    if len(text) > _LONGEST_NAME:
        text = f"{text[: _LONGEST_NAME - _END - 1]}…{text[-_END:]}"
    return text


class Masker:
    """`mask`, and besides it the secrets of some specs wherever a library repeats them: as they
    are, percent-encoded or decoded, escaped, whole or in part."""

    def __init__(self, *specs: str) -> None:
        pieces: list[Piece] = []
        for spec in specs:
            found = list(_pieces(spec))
            pieces += [*found, *_joined(found)]
        self._secrets = _forms(pieces)

    def __call__(self, text: str) -> str:
        return mask(_replaced(text, self._secrets))


def _pieces(spec: str) -> Iterator[Piece]:
    spec = spec.strip()
    if is_url(spec):
        yield from url_pieces(spec)
    elif spec.lower().startswith("synthetic:"):
        yield from synthetic_pieces(spec)
    elif _PIPELINE.match(spec):
        begins = len("gst:") if spec[:4].lower() == "gst:" else 0
        yield Piece(spec[:begins])
        yield from pipeline_pieces(spec[begins:], _pieces)
    else:
        yield from loose_pieces(spec)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Secrets that only a mark parts, such as a key with a "?" in it, as one."""
    run: list[Piece] = []
    for piece in (*pieces, Piece("  ")):
        if piece.hidden or (run and len(piece.text) == 1):
            run.append(piece)
            continue
        while run and not run[-1].hidden:
            run.pop()
        if len(run) > 1:
            yield Piece("".join(each.text for each in run), hidden=True)
        run = []


def _mask_line(line: str) -> str:
    if len(line) > _LONGEST_LINE:
        line = f"{line[:_LONGEST_LINE].rpartition(' ')[0]} …"
    line = _URL.sub(_masked_url, line)
    if "@" in line or "%40" in line:
        line = _CREDENTIALS.sub(f"{MASK}@", line)
    return _HEADER.sub(rf"\g<1>{MASK}", _NAMED.sub(rf"\g<1>{MASK}", line))


def _masked_url(found: re.Match[str]) -> str:
    ends = _AFTER_URL.search(found[0])
    end = ends.start() if ends else len(found[0])
    return shown(url_pieces(found[0][:end])) + found[0][end:]


def _environment() -> frozenset[str]:
    """What the environment lets in with: passwords of proxies, tokens by their names."""
    values = []
    for name, value in os.environ.items():
        url = "@" in value and is_url(value)
        if url or (len(value) >= _LONG and value[0] != "/" and _SECRET_NAME.search(name)):
            values.append((value, url))
    return _forms_in(tuple(values))


@lru_cache(maxsize=8)
def _forms_in(values: tuple[tuple[str, bool], ...]) -> frozenset[str]:
    pieces: list[Piece] = []
    for value, url in values:
        pieces += url_pieces(value) if url else [Piece(value, hidden=True)]
    return _forms(pieces)


def _forms(pieces: Iterable[Piece]) -> frozenset[str]:
    """The secrets in every spelling in which a library might repeat them."""
    secrets = {
        secret
        for text, hidden in pieces
        if hidden
        for part in _parts(text)
        for secret in (part, unquote(part), unquote_plus(part), part.replace("\\", ""))
    }
    forms = set(secrets)
    for secret in secrets:
        printed = secret.encode("utf-8", "replace").decode()
        forms |= {quote(printed), quote(printed, safe=""), quote_plus(printed)}
        forms |= {repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1]}
    forms |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in forms}
    return frozenset(form for form in forms if len(form) >= _SHORTEST and form != MASK)


def _parts(text: str) -> Iterator[str]:
    """All of a secret, what its colons part, also before an "@" in it, and the values in it."""
    yield text
    for login in {text, text.partition("@")[0], text.rpartition("@")[0]}:
        user, *rest = login.split(":", _MOST_COLONS)
        yield user
        yield from (":".join(rest[start:]) for start in range(len(rest)))
    for part in _BETWEEN_PARTS.split(text):
        yield part.partition("=")[2] or part


def _replaced(text: str, secrets: frozenset[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if secret not in text:
            continue
        if len(secret) >= _ANYWHERE:
            text = text.replace(secret, MASK)
        elif not secret.isdigit():
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return text
