"""Keeps passwords out of names, events and errors; knows how URLs and pipelines carry them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

MASK = "***"

_USERINFO = re.compile(r"([a-z][a-z0-9+.\-]*://)[^\s]*@", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|passcode|pass|pwd|pw|secret|token|api[-_]?key)\s*=\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s&;,!]+)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_SHORTEST_LITERAL = 3  # shorter secrets occur in ordinary words by chance


def mask(text: str) -> str:
    """Hide the user and password of every URL, and the value after every `password=` and the like.

    It would rather hide too much: everything between `://` and the last `@` before a space goes.
    """
    return _NAMED.sub(rf"\g<1>{MASK}", _USERINFO.sub(rf"\g<1>{MASK}@", text))


def legible(text: str) -> str:
    """`text` masked, and on one line whatever it holds."""
    return mask("".join(letter if letter.isprintable() else " " for letter in text))


class Masker:
    """`mask`, and besides it the secrets of one source spec wherever a library repeats them."""

    def __init__(self, spec: str) -> None:
        found = {secret for secret in _secrets(spec) if len(secret) >= _SHORTEST_LITERAL}
        self._secrets = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return mask(text)


def _secrets(spec: str) -> Iterator[str]:
    for userinfo in _userinfos(spec):
        password = userinfo.partition(":")[2]
        for secret in (userinfo, password):
            yield secret
            yield unquote(secret)
    for match in _NAMED.finditer(spec):
        value = match.group(2).strip("\"'")
        yield value
        yield unquote(value)


def _userinfos(spec: str) -> Iterator[str]:
    for text in (spec, *(first or second for first, second in _QUOTED.findall(spec))):
        scheme, separator, rest = text.partition("://")
        if separator and "@" in rest and " " not in scheme:
            yield rest.rpartition("@")[0]
    for word in spec.split():
        if "://" in word and "@" in word:
            yield word.partition("://")[2].rpartition("@")[0]
