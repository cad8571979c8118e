"""Says what a file or page is that nobody could play, from its bytes, in words that help."""

from __future__ import annotations

import errno
import os
import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import av
from av.error import FFmpegError, HTTPClientError, InvalidDataError

from streamseg.sources.pictures.signatures import begins_a_picture
from streamseg.sources.spec import STDIN_PIPE

_HEAD = 4096
_PAGE_TIMEOUT_S = 5.0
_HTML = re.compile(rb"^\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)", re.I | re.S)
_SIGNATURES = (
    (b"PK\x03\x04", "is a zip archive; unpack it and give what is in it"),
    (b"\x1f\x8b", "is a gzip archive; unpack it and give what is in it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it and give what is in it"),
    (b"Rar!", "is a rar archive; unpack it and give what is in it"),
    (b"%PDF", "is a PDF document; export its pages as PNG"),
)
_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")
_ISO_BRANDS = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
_MOST_ATOMS = 10_000


def of_file(path: str) -> str | None:
    """What is wrong with a file that does not play; None where its bytes do not tell."""
    if os.path.exists(path) and not os.path.isfile(path):
        return None  # a pipe gives its bytes only once
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return error.strerror or "it cannot be read"
    if not head:
        return "the file is empty"
    return _of_head(head) or _of_atoms(path, head)


def of_page(url: str) -> str | None:
    """What came from a web address instead of a video; None where that does not tell."""
    with suppress(FFmpegError, OSError, ValueError, StopIteration):
        limits = (_PAGE_TIMEOUT_S, _PAGE_TIMEOUT_S)
        with av.open(url, format="data", timeout=limits) as page:
            head = bytes(next(page.demux()))
            if begins_a_picture(head):
                return "it is a picture of a kind that is read from files only: fetch it first"
            return _of_head(head) if head else "the answer holds nothing"
    return None


def of_location(location: str, error: Exception | None = None) -> str | None:
    """What is wrong with what FFmpeg was given to open, and failed at with `error`."""
    scheme, separator, rest = location.partition(":")
    if scheme == "file" and separator:
        return of_file(rest)
    if location == STDIN_PIPE:
        return _of_pipe(error)
    if scheme.lower() not in ("http", "https"):
        return None
    if isinstance(error, HTTPClientError) and "#" in location:
        return (
            f"{error.strerror}; what follows '#' is not sent to the server: if it belongs to the "
            "name, write '#' as %23"
        )
    unread = error is None or isinstance(error, InvalidDataError)
    return of_page(location) if unread or getattr(error, "errno", 0) == errno.ENOSYS else None


def of_host(location: str, error: Exception) -> str | None:
    """Whether the URL's host has no address, which FFmpeg calls an input/output error."""
    if getattr(error, "errno", 0) != errno.EIO:
        return None
    try:
        host = urlsplit(location).hostname
        if host:
            socket.getaddrinfo(host, None)
    except OSError:  # not repeated: it names what was looked up
        return "its host has no address: check the name, and that the network is up"
    except ValueError:
        pass
    return None


def _of_pipe(error: Exception | None) -> str | None:
    if isinstance(error, InvalidDataError):
        return (
            "it is empty, no video, or an MP4 whose index comes last, which a pipe cannot go back "
            "from; pipe MKV, MPEG-TS or MP4 with -movflags +faststart, or give a file"
        )
    return None


def is_heif(head: bytes) -> bool:
    """Whether a file begins as an HEIC picture: FFmpeg would show a tile of it."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF


def _of_head(head: bytes) -> str | None:
    for signature, words in _SIGNATURES:
        if head.startswith(signature):
            return f"it {words}"
    if is_heif(head):
        return "it is an HEIC picture, which is not read here; convert it to JPEG or PNG"
    if _HTML.match(head.lstrip(b"\xef\xbb\xbf")):
        return (
            "it is a web page, not a video; give the address of the video itself "
            "(yt-dlp can find it)"
        )
    if head.lstrip(b"\xef\xbb\xbf").startswith(b"#EXTM3U"):
        return (
            "it is a playlist (HLS), and what it lists cannot be read: check that its segments are "
            "there, or play it from the address it was made for"
        )
    if _is_text(head):
        return "it is a text file, not a video"
    return None


def _of_atoms(path: str, head: bytes) -> str | None:
    """Of MP4 and MOV: whether the index is there, whether it is encrypted."""
    if head[4:8] not in _ISO_BRANDS:
        return None
    names, index = _atoms(path)
    if b"moov" not in names and b"moof" not in names:
        return (
            "the recording was cut off (no index: its moov atom is missing, which is written at "
            "the end); mend it with a tool such as untrunc, and record to MKV or fragmented MP4"
        )
    if b"encv" in index:
        return "it is encrypted; give a copy without copy protection"
    return None


def _atoms(path: str) -> tuple[set[bytes], bytes]:
    """Names of the atoms at the top level, and the beginning of the index."""
    names: set[bytes] = set()
    index = b""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        at = 0
        while at + 8 <= size and len(names) < _MOST_ATOMS:
            file.seek(at)
            header = file.read(16)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if at + length <= size or name == b"mdat":
                names.add(name)
            if name == b"moov":
                index = header + file.read(1 << 16)
            if length < 8:  # to the end, or nonsense
                break
            at += length
    return names, index


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a letter cut in two at the end is none the worse
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\f\x1b" for letter in text)
