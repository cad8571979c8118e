"""What of a GStreamer pipeline may be shown: elements, and the properties that are known harmless.

A list of what may be shown, not of secrets: plugins bring new properties, and some of those hold
passwords.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from streamseg.masking.pieces import Piece, is_plain

_HARMLESS_NAMES = """
alignment animation-mode auto-multicast background-color bitrate blocksize brightness
buffer-mode buffer-size channels chroma-site clock-rate colorimetry contrast default-latency
depth device-index do-retransmission do-rtcp do-rtsp-keep-alive do-timestamp drop
drop-on-latency emit-signals encoding-name exposure fallback-fps flip foreground-color format
framerate gain height hue iframes index interlace-mode interleaved io-mode is-live key-int-max
latency latency-time layer layout leaky level loop max-buffers max-bitrate max-bytes max-errors
max-lateness max-size-buffers max-size-bytes max-size-time max-time max-rtcp-rtp-time-diff media
method mode mpegversion motion multiview-mode name norm num-buffers num-extra-surfaces
packetized parsed pattern payload pixel-aspect-ratio port port-range post-messages probation
processing-deadline profile protocols pt qos rate retry rtp-blocksize saturation sensor-id
sensor-mode speed-preset stream-format stream-type sync systemstream tcp-timeout threads
throttle-time tier timeout timestamp-offset tune typefind udp-reconnect variant video-direction
wbmode width zerolatency
"""
_HARMLESS = frozenset(_HARMLESS_NAMES.split())
_PLACES = frozenset({"device", "location", "uri"})
"""Properties that hold a path or a URL."""

_SIMPLE = re.compile(r"[A-Za-z0-9_+.:/\-]{1,40}")
_KIND = re.compile(r"\([a-z]+\)\s*")
_VALUE = r'"(?:\\.|[^"\\])*(?:"|$)|\'(?:\\.|[^\'\\])*(?:\'|$)|'
_SCAN = re.compile(
    r"(?P<space>\s+|[!()])"
    r"|(?P<key>[\w:.\-]+)(?P<equals>\s*=\s*)(?P<value>" + _VALUE + r"(?:\\.|\S)*)"
    r"|(?P<caps>(?:application|audio|image|text|video)/[\w.+\-]+(?:\([\w:, ]*\))?)(?P<fields>"
    r"(?:\s*,\s*[\w\-]+\s*=\s*(?:\(\w+\)\s*)?(?:" + _VALUE + r"[^\s,;!]+))*)"
    r"|(?P<word>(?:\\.|\S)+)",
    re.DOTALL,
)
_FIELD = re.compile(r"(\s*,\s*)([\w\-]+)(\s*=\s*)((?:" + _VALUE + r"[^,])+)", re.DOTALL)
_ELEMENT = re.compile(r"[a-z][a-z0-9\-_]{0,31}")
_QUOTE = re.compile(r"(?<!\\)[\"']")
_REFERENCE = re.compile(r"[A-Za-z][\w\-]*\.[\w%]*|\.")

Reader = Callable[[str], Iterator[Piece]]


def pipeline_pieces(description: str, place: Reader) -> Iterator[Piece]:
    """Of a description as `gst-launch-1.0` takes it.

    Args:
        description: Also a malformed one: what is not understood stays unseen.
        place: Reads a path or URL.
    """
    fresh = True  # an element's name may come now
    for token in _SCAN.finditer(description):
        if token["space"] is not None:
            fresh = fresh or token["space"] in "!()"
            yield Piece(token["space"])
        elif token["key"] is not None:
            yield Piece(token["key"], hidden=not is_plain(token["key"].replace(":", "-")))
            yield Piece(token["equals"])
            yield from _value(token["key"], token["value"], place)
        elif token["caps"] is not None:
            fresh = False
            yield Piece(token["caps"])
            yield from _fields(token["fields"])
        else:
            word = token["word"]
            if _QUOTE.search(word):  # it opens, or closes, what nobody can tell
                yield Piece(description[token.start() :], hidden=True)
                return
            known = _REFERENCE.fullmatch(word) and is_plain(word)
            yield Piece(word, hidden=not (known or (fresh and _ELEMENT.fullmatch(word))))
            fresh = False


def _value(key: str, value: str, place: Reader) -> Iterator[Piece]:
    name = key.rpartition("::")[2].lower()
    quote = value[0] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else ""
    inner = value[1:-1] if quote else value
    yield Piece(quote)
    if name in _PLACES and "\\" not in inner:
        yield from place(inner)
    elif name == "caps":
        yield from _caps(inner)
    else:
        yield Piece(inner, hidden=not _is_harmless(name, inner))
    yield Piece(quote)


def _caps(text: str) -> Iterator[Piece]:
    head, comma, rest = text.partition(",")
    yield Piece(head, hidden=not re.fullmatch(r"[a-z]+/[\w.+\-]+(?:\([\w:]*\))?", head))
    yield from _fields(comma + rest)


def _fields(text: str) -> Iterator[Piece]:
    end = 0
    for field in _FIELD.finditer(text):
        if field.start() != end:
            break
        comma, name, equals, value = field.groups()
        yield Piece(comma + name + equals)
        yield Piece(value, hidden=not _is_harmless(name.lower(), value))
        end = field.end()
    yield Piece(text[end:], hidden=True)


def _is_harmless(name: str, value: str) -> bool:
    bare = _KIND.sub("", value, count=1).strip("\"'")
    return (
        name in _HARMLESS
        and _SIMPLE.fullmatch(bare) is not None
        and is_plain(re.sub(r"[+:/]", "-", bare))
    )
