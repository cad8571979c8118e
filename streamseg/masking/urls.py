"""What of a URL may be shown, also of one that is malformed; opens nothing.

Scheme, host and port are harmless, and names in the paths of cameras and web servers that look
as people give them. User, password, query, fragment, stream keys and tokens are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streamseg.masking.pieces import MASK, Piece, judged

_SCHEME = re.compile(r"([A-Za-z0-9+.\-]{2,}):[/\\]+")  # a slash too few or too many; not C:/
_AT = re.compile(r"@|%40")
_COLON = re.compile(r":|%3a", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.\-]+|\[[\w:.%]+\]|\*\*\*)?(?::\d{1,5})?")
_HOST_AND_PORT = re.compile(
    r"[\w.\-]+:\d{1,5}(?=[/?#]|$)|\w[\w\-]*(?:\.[\w\-]+)+(?=/[^?]*\?[^?/]*=)"
)
_AUTHORITY_ENDS = re.compile(r"[/\\?#]")
_ASKS = re.compile(r"[?#]")
_LOOSE_QUERY = re.compile(r"\?(?=[^\s/]*=)")
_NAMED_PATHS = frozenset({"", "ftp", "ftps", "http", "https", "rtsp", "rtsps", "rtspt", "rtspu"})
_KEYED = frozenset({"rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts"})
_APPLICATIONS = frozenset({"app", "cam", "camera", "hls", "ingest", "live", "stream", "vod"})


def is_url(text: str) -> bool:
    """Whether it begins as a URL does, or as one whose scheme was left out."""
    return _SCHEME.match(text) is not None or _HOST_AND_PORT.match(text) is not None


def url_pieces(text: str) -> Iterator[Piece]:
    """Of one URL from its beginning to its end, whatever signs its password holds."""
    begins = _SCHEME.match(text)
    if begins is None:
        yield from _behind_scheme("", text)
        return
    scheme = begins[1].lower()
    yield Piece(text[: begins.end()])
    if scheme == "file":
        yield Piece(text[begins.end() :])
    else:
        yield from _behind_scheme(scheme, text[begins.end() :])


def synthetic_pieces(text: str) -> Iterator[Piece]:
    """Of `synthetic:NAME?key=value&...`: words and numbers."""
    for part in re.split(r"([:?&=/])", text):
        yield Piece(part) if part in {"", *":?&=/"} else judged(part)


def loose_pieces(text: str) -> Iterator[Piece]:
    """Of what is no URL, such as a path: user:password@ and what asks ?key=value stay unseen."""
    *_, last = (None, *_AT.finditer(text))
    colon = _COLON.search(text, 0, last.start()) if last else None
    if last and colon:
        begins = max(map(text.rfind, ("/", "\\", " "), (0,) * 3, (colon.start(),) * 3)) + 1
        yield Piece(text[:begins])
        yield Piece(text[begins : last.start()], hidden=True)
        yield Piece("@")
        yield from _behind_scheme("", text[last.end() :])
    elif asks := _LOOSE_QUERY.search(text):
        yield Piece(text[: asks.end()])
        yield Piece(text[asks.end() :], hidden=True)
    else:
        yield Piece(text)


def _behind_scheme(scheme: str, rest: str) -> Iterator[Piece]:
    at = rest.rfind("@")
    ends = _AUTHORITY_ENDS.search(rest)
    authority = rest[: ends.start()] if ends else rest
    if at >= 0 and _ASKS.search(rest[:at]) and _HOST.fullmatch(authority.rpartition("@")[2]):
        # A password with a "?" in it, or a query with an "@": what is harmless in one reading is
        # a secret in the other.
        yield Piece(rest, hidden=True)
        return
    if at >= 0:
        yield Piece(rest[:at], hidden=True)
        yield Piece("@")
        rest = rest[at + 1 :]
        ends = _AUTHORITY_ENDS.search(rest)
    start = ends.start() if ends else len(rest)
    host = rest[:start]
    yield Piece(host, hidden=not _HOST.fullmatch(host))
    yield from _behind_host(scheme, rest[start:])


def _behind_host(scheme: str, rest: str) -> Iterator[Piece]:
    asks = _ASKS.search(rest)
    path = rest[: asks.start()] if asks else rest
    yield from _path(scheme, path)
    if asks:
        yield Piece(asks[0])
        yield Piece(rest[asks.end() :], hidden=True)


def _path(scheme: str, path: str) -> Iterator[Piece]:
    slash, names = path[:1], path[1:].split("/")
    yield Piece(slash)
    if scheme in _KEYED:
        application, *keys = names
        known = application if keys or application.lower() in _APPLICATIONS else ""
        if known:
            yield judged(known)
            yield Piece("/" if keys else "")
            yield Piece("/".join(keys), hidden=True)
            return
    if scheme not in _NAMED_PATHS:
        yield Piece("/".join(names), hidden=True)
        return
    for position, name in enumerate(names):
        yield Piece("/" if position else "")
        yield Piece(name) if name == MASK else judged(name)
